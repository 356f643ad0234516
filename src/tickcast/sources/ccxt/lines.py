"""What ccxt hands over, as lines for the journal: the unified fields that we use, and nothing that could be computed.

A trade's line is the same whether it came by stream or by page, so that it is known again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec.json import encode

from tickcast.sources.ccxt.mapper import content_id, made_id
from tickcast.sources.decimals import Unreadable

NO_ID = -1


class Row(NamedTuple):
    """One trade."""

    id: int
    """As the mapper makes it; NO_ID where its time can not be read."""
    timestamp_ms: int
    raw: bytes = b""


def trade_rows(symbol: str, trades: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The trades that ccxt returned, in the order of their times; what can not be true, the mapper will name.

    >>> told = {"id": "7", "timestamp": 1736208000123, "price": 1e-7, "amount": 2.0, "side": "buy"}
    >>> trade_rows("X/Y", [told])[0].raw[:60]
    b'{"ccxt":"trade","symbol":"X/Y","id":"7","price":"1e-07","amo'
    """
    rows: list[Row] = []
    seen: dict[tuple[object, ...], int] = {}
    for trade in trades:
        venue_id, time_ms = _text(trade.get("id")), _whole(trade.get("timestamp"))
        price, amount, side = _text(trade.get("price")), _text(trade.get("amount")), _text(trade.get("side"))
        line: dict[str, Any] = {"ccxt": "trade", "symbol": symbol, "id": venue_id, "price": price, "amount": amount}
        line |= {"side": side, "timestamp": time_ms}
        if not venue_id:  # equal trades of one moment are counted, as far as they come together
            content = (time_ms, price, amount, side)
            ordinal = seen[content] = seen.get(content, -1) + 1
            line["ordinal"], venue_id = ordinal, content_id(price, amount, side, ordinal)
        rows.append(Row(_id(time_ms, venue_id), time_ms, encode(line)))
    rows.sort(key=lambda row: row.timestamp_ms)  # stable: those of one moment stay as they came
    return rows


def quote_line(symbol: str, ticker: Mapping[str, Any]) -> bytes:
    """The best prices, or nothing where one of them is missing.

    >>> quote_line("BTC/USDT", {"bid": 1.0, "ask": 2.0, "bidVolume": None})
    b'{"ccxt":"quote","symbol":"BTC/USDT","bid":"1.0","bid_size":"","ask":"2.0","ask_size":"","last":""}'
    """
    bid, ask = _text(ticker.get("bid")), _text(ticker.get("ask"))
    if not bid or not ask:
        return b""
    line = {"ccxt": "quote", "symbol": symbol, "bid": bid, "bid_size": _text(ticker.get("bidVolume"))}
    line |= {"ask": ask, "ask_size": _text(ticker.get("askVolume")), "last": _text(ticker.get("last"))}
    return encode(line)


def _id(time_ms: int, venue_id: str) -> int:
    try:
        return made_id(time_ms, venue_id)
    except Unreadable:
        return NO_ID


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
