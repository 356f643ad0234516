"""Coinbase: Advanced Trade (`channel`), the older Exchange feed (`type`), and Advanced's REST pages of trades.

    {"channel":"market_trades","timestamp":"2026-09-30T02:39:56.25330544Z","sequence_num":115,"events":[{"type":"update",
     "trades":[{"product_id":"ETH-USD","trade_id":"846155152","price":"2666.64","size":"0.00007427",
                "time":"2026-09-30T02:39:56.164307Z","side":"SELL"}]}]}
    {"type":"match","trade_id":1052119289,"side":"sell","size":"0.2","price":"63514.6","product_id":"BTC-USD",
     "sequence":132235026010,"time":"2026-07-07T22:58:17.164892Z", ...}

`side` is the MAKER's on all of them, see `is_buyer_maker`. Trade ids are consecutive within a product. A ticker's
time is the message's own (Advanced) or the trade's (Exchange). `X-USDC` products come keyed as the venue keys them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from tickcast.sources.contract import Alive, Event, Quote, Trade
from tickcast.sources.decimals import (
    ID_MAX,
    Id,
    Pair,
    Unreadable,
    go_time_ms,
    guarded,
    not_negative,
    pair_name,
    positive,
    rfc3339_ms,
)

Side = Literal["buy", "sell", "BUY", "SELL"]

CHANNEL_NOISE = frozenset(("l2_data", "subscriptions", "status", "candles", "ticker_batch"))
TYPE_NOISE = frozenset(
    ("l2update", "snapshot", "received", "open", "done", "change", "activate", "status", "auction", "rfq_match")
) | frozenset(("subscriptions", "subscribe", "unsubscribe"))
"""`subscribe` is our own request, where a recording kept it. Messages of a book carry no trade that `match` has not."""


def is_buyer_maker(side: Side) -> bool:
    """Say it once for all of Coinbase: `side` is the resting order's, so a resting buyer means that the taker sold.

    >>> is_buyer_maker("sell"), is_buyer_maker("BUY")
    (False, True)
    """
    return side in ("buy", "BUY")


class _Head(msgspec.Struct):
    channel: str = ""
    type: str = ""
    trades: msgspec.Raw = msgspec.Raw()
    message: str = ""
    reason: str = ""


class _Trade(msgspec.Struct):
    product_id: Pair
    trade_id: str
    price: str
    size: str
    time: str
    side: Side


class _TradesEvent(msgspec.Struct):
    trades: list[_Trade]


class _MarketTrades(msgspec.Struct):
    events: list[_TradesEvent]


class _Ticker(msgspec.Struct):
    product_id: Pair
    price: str
    best_bid: str
    best_ask: str
    best_bid_quantity: str | None = None
    best_ask_quantity: str | None = None
    best_bid_size: str | None = None  # the Exchange feed's names, since 2022
    best_ask_size: str | None = None
    time: str = ""


class _TickersEvent(msgspec.Struct):
    tickers: list[_Ticker]


class _Tickers(msgspec.Struct):
    timestamp: str
    events: list[_TickersEvent]


class _Beat(msgspec.Struct):
    current_time: str


class _Heartbeats(msgspec.Struct):
    events: list[_Beat]


class _Match(msgspec.Struct):
    product_id: Pair
    trade_id: Id
    price: str
    size: str
    time: str
    side: Side


class _Heartbeat(msgspec.Struct):
    product_id: Pair
    time: str


_head = msgspec.json.Decoder(_Head)
_page = msgspec.json.Decoder(list[_Trade])
_market_trades = msgspec.json.Decoder(_MarketTrades)
_tickers = msgspec.json.Decoder(_Tickers)
_ticker = msgspec.json.Decoder(_Ticker)
_heartbeats = msgspec.json.Decoder(_Heartbeats)
_match = msgspec.json.Decoder(_Match)
_heartbeat = msgspec.json.Decoder(_Heartbeat)


class Coinbase:
    """What Coinbase's messages say.

    >>> Coinbase().map_message(b'{"type":"heartbeat","product_id":"BTC-USD","time":"2026-07-07T22:58:18.000000Z"}')
    (Alive(pair='BTC-USD', timestamp_ms=1783465098000),)
    """

    exchange = "coinbase"

    def map_message(self, raw: bytes) -> Sequence[Event]:
        """What one message says; empty for known noise; WireError for the unreadable."""
        return guarded(self.exchange, _read, raw)


def _read(raw: bytes) -> Sequence[Event]:
    reader = _BY_START.get(raw[: raw.find(b",")])
    if reader is not None:
        return reader(raw)
    head = _head.decode(raw)
    kind = head.channel or head.type
    if head.type == "error":
        raise Unreadable(f"the venue says: {head.message} {head.reason}".rstrip())
    reader = (_CHANNELS if head.channel else _TYPES).get(kind)
    if reader is not None:
        return reader(raw)
    if kind in (CHANNEL_NOISE if head.channel else TYPE_NOISE):
        return ()
    if not kind and head.trades:
        return _oldest_first(_page.decode(head.trades))
    raise Unreadable(f"unknown {'channel' if head.channel else 'type'} {kind[:40]!r}")


def _read_market_trades(raw: bytes) -> Sequence[Event]:
    return _oldest_first([trade for event in _market_trades.decode(raw).events for trade in event.trades])


def _oldest_first(rows: list[_Trade]) -> Sequence[Event]:
    trades = [
        Trade(
            pair_name(row.product_id),
            trade_id := _id(row.trade_id),
            trade_id,
            positive(row.price, "price"),
            positive(row.size, "size"),
            rfc3339_ms(row.time, "time"),
            is_buyer_maker(row.side),
        )
        for row in rows
    ]
    if len(trades) > 1:
        trades.sort(key=lambda trade: trade.trade_id)
    return trades


def _id(text: str) -> int:
    if text.isdecimal() and text.isascii() and len(text) <= 19:
        number = int(text)
        if number <= ID_MAX:
            return number
    raise Unreadable("trade_id is not a number")


def _read_match(raw: bytes) -> Sequence[Event]:
    row = _match.decode(raw)
    price, quantity = positive(row.price, "price"), positive(row.size, "size")
    maker = is_buyer_maker(row.side)
    ms = rfc3339_ms(row.time, "time")
    return (Trade(pair_name(row.product_id), row.trade_id, row.trade_id, price, quantity, ms, maker),)


def _read_tickers(raw: bytes) -> Sequence[Event]:
    wire = _tickers.decode(raw)
    ms = rfc3339_ms(wire.timestamp, "timestamp")
    return [_quote(ticker, ms) for event in wire.events for ticker in event.tickers]


def _read_ticker(raw: bytes) -> Sequence[Event]:
    ticker = _ticker.decode(raw)
    return (_quote(ticker, rfc3339_ms(ticker.time, "time") if ticker.time else 0),)


def _quote(ticker: _Ticker, ms: int) -> Quote:
    return Quote(
        pair_name(ticker.product_id),
        not_negative(ticker.best_bid, "best_bid"),
        _size(ticker.best_bid_quantity, ticker.best_bid_size),
        not_negative(ticker.best_ask, "best_ask"),
        _size(ticker.best_ask_quantity, ticker.best_ask_size),
        not_negative(ticker.price, "price"),
        ms,
    )


def _size(advanced: str | None, exchange: str | None) -> float:
    text = exchange if advanced is None else advanced
    return math.nan if text is None else not_negative(text, "size of the best price")


def _read_heartbeats(raw: bytes) -> Sequence[Event]:
    return [Alive("", go_time_ms(beat.current_time, "current_time")) for beat in _heartbeats.decode(raw).events]


def _read_heartbeat(raw: bytes) -> Sequence[Event]:
    beat = _heartbeat.decode(raw)
    return (Alive(pair_name(beat.product_id), rfc3339_ms(beat.time, "time")),)


_Reader = Callable[[bytes], Sequence[Event]]
_CHANNELS: dict[str, _Reader] = {
    "market_trades": _read_market_trades,
    "ticker": _read_tickers,
    "heartbeats": _read_heartbeats,
}
_TYPES: dict[str, _Reader] = {
    "match": _read_match,
    "last_match": _read_match,
    "ticker": _read_ticker,
    "heartbeat": _read_heartbeat,
}
_BY_START = {b'{"channel":"%b"' % name.encode(): reader for name, reader in _CHANNELS.items()} | {
    b'{"type":"%b"' % name.encode(): reader for name, reader in _TYPES.items()
}
"""The same by the bytes with which the venue begins them; any other beginning is read as a whole first."""
