"""Coinbase Advanced Trade's history: `/ticker` pages of trades and `/candles` pages, both newest first.

    {"trades":[{"trade_id":"995098663","product_id":"BTC-USD","price":"68923.67","size":"0.00064",
                "time":"2026-04-07T00:28:58.544778Z","side":"SELL",...}],"best_bid":"...","best_ask":"..."}
    {"candles":[{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4","close":"66181.6",
                 "volume":"355.82896243"}]}

`side` is the maker's. Candles tell neither turnover nor how many trades they had; a minute without trades has no row.
"""

from __future__ import annotations

import msgspec
import numpy as np

from tickcast.events import TRADES, Columns
from tickcast.sources.coinbase import Side, is_buyer_maker
from tickcast.sources.decimals import Unreadable, rfc3339_ms
from tickcast.sources.pages.columns import (
    PRICES,
    CandleFields,
    TradeFields,
    candle_columns,
    numbers,
    trade_columns,
)


class _Trade(msgspec.Struct, gc=False):
    product_id: str
    trade_id: str
    price: str
    size: str
    time: str
    side: Side


class _Candle(msgspec.Struct, gc=False):
    start: str
    open: str
    high: str
    low: str
    close: str
    volume: str


class _Page(msgspec.Struct):
    trades: list[_Trade] | None = None
    candles: list[_Candle] | None = None
    error: str = ""
    message: str = ""


_page = msgspec.json.Decoder(_Page)


def read(what: str, pair: str, seconds: int, raw: bytes) -> Columns:  # noqa: ARG001
    """Trades or candles of a page, ascending. Pages of an alias are keyed with the product's own name: not checked."""
    page = _page.decode(raw)
    if what == TRADES.name and page.trades is not None:
        return _trades(page.trades)
    if what != TRADES.name and page.candles is not None:
        return _candles(page.candles, seconds)
    if page.error or page.message:
        raise Unreadable(f"the venue says: {page.message or page.error}")
    raise Unreadable(f"no page of {what}")


def _trades(rows: list[_Trade]) -> Columns:
    ids = _wholes([row.trade_id for row in rows], "trade_id")
    times_ms = np.array([rfc3339_ms(row.time, "time") for row in rows], np.int64)
    price, size = numbers([row.price for row in rows], "price"), numbers([row.size for row in rows], "size")
    maker = [is_buyer_maker(row.side) for row in rows]
    return trade_columns(TradeFields(ids, ids, price, size, times_ms, maker))


def _candles(rows: list[_Candle], seconds: int) -> Columns:
    start_ms = np.array(_wholes([row.start for row in rows], "start"), np.int64) * 1000
    names = (*PRICES, "volume")
    values = [numbers([getattr(row, name) for row in rows], name) for name in names]
    return candle_columns(CandleFields(start_ms, values), seconds)


def _wholes(texts: list[str], field: str) -> list[int]:
    joined = "".join(texts)
    if texts and not (joined.isdecimal() and joined.isascii() and all(0 < len(text) <= 16 for text in texts)):
        raise Unreadable(f"{field} is not a number")
    return [int(text) for text in texts]
