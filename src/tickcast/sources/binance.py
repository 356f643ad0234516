"""Binance spot, websocket streams. Contract: binance-spot-api-docs, web-socket-streams.md.

    {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
     "T":1723161255342,"m":true,"M":true}
    {"e":"aggTrade","E":...,"s":"BTCUSDT","a":3988316038,"p":"64348.95","q":"0.00009","f":6407186253,"l":6407186253,
     "T":...,"m":true,"M":true}
    {"u":50093239212,"s":"BTCUSDT","b":"61837.63","B":"3.78826","a":"61837.64","A":"1.54698"}      (bookTicker: no time)

Bare, or combined as `{"stream":"btcusdt@trade","data":{...}}`. `scan_lines.py` reads the same messages many times
faster; this file is the definition of what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tickcast.sources.contract import Alive, Event, Quote, Trade
from tickcast.sources.decimals import ID_MAX, Id, Pair, Unreadable, epoch_ms, guarded, not_negative, pair_name, positive

TIMED_NOISE = frozenset(
    ("depthUpdate", "kline", "24hrTicker", "24hrMiniTicker", "1hTicker", "4hTicker", "1dTicker", "avgPrice")
)
"""Events that tell of more than we need, but of their own time too."""

AGGREGATE_MAX = 1_000_000
"""Trades in one aggregate: one taker's order fills some thousands at most, and a false range would swallow true ids."""


class _Head(msgspec.Struct):
    e: str = ""
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    u: msgspec.Raw = msgspec.Raw()
    lastUpdateId: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()
    msg: str = ""


class _Trade(msgspec.Struct):
    s: Pair
    t: Id
    p: str
    q: str
    T: int
    m: bool  # true: the buyer was resting, so the taker sold


class _Aggregate(msgspec.Struct, kw_only=True):
    s: Pair
    p: str
    q: str
    first: int = msgspec.field(name="f")
    last: int = msgspec.field(name="l")
    T: int
    m: bool


class _BookTicker(msgspec.Struct):
    s: Pair
    b: str
    B: str
    a: str
    A: str


class _Timed(msgspec.Struct):
    s: Pair
    E: int


_head = msgspec.json.Decoder(_Head)
_trade = msgspec.json.Decoder(_Trade)
_aggregate = msgspec.json.Decoder(_Aggregate)
_book_ticker = msgspec.json.Decoder(_BookTicker)
_timed = msgspec.json.Decoder(_Timed)


class Binance:
    """What Binance's messages say.

    >>> Binance().map_message(b'{"u":5,"s":"BTCUSDT","b":"61837.63","B":"3.7","a":"61837.64","A":"1.5"}')[0].bid
    61837.63
    """

    exchange = "binance"

    def map_message(self, raw: bytes) -> Sequence[Event]:
        """What one message says; empty for known noise; WireError for the unreadable."""
        return guarded(self.exchange, _read, raw)


def _read(raw: bytes) -> Sequence[Event]:
    if raw[:1] == b"[":
        raise Unreadable("an array names no pair (REST aggTrades, klines): journal such rows as aggTrade events")
    head = _head.decode(raw)
    if head.stream and head.data:
        return _event(_head.decode(head.data), head.data)
    return _event(head, raw)


def _event(head: _Head, raw: bytes | msgspec.Raw) -> Sequence[Event]:
    if head.e == "trade":
        return _map_trade(_trade.decode(raw))
    if head.e == "aggTrade":
        return _map_aggregate(_aggregate.decode(raw))
    if head.e in TIMED_NOISE:
        timed = _timed.decode(raw)
        return (Alive(pair_name(timed.s), epoch_ms(timed.E, "E")),)
    if head.e == "serverShutdown" or head.lastUpdateId:
        return ()
    if head.e:
        raise Unreadable(f"unknown event {head.e[:40]!r}")
    if head.u:
        return _map_book_ticker(_book_ticker.decode(raw))
    if head.error or head.code:
        raise Unreadable(f"the venue says: {head.msg or bytes(head.error).decode()}")
    if head.id:  # the answer to a subscription, or the request itself in a recording
        return ()
    raise Unreadable("unknown message")


def _map_trade(wire: _Trade) -> Sequence[Event]:
    price, quantity = positive(wire.p, "p"), positive(wire.q, "q")
    return (Trade(pair_name(wire.s), wire.t, wire.t, price, quantity, epoch_ms(wire.T, "T"), wire.m),)


def _map_aggregate(wire: _Aggregate) -> Sequence[Event]:
    if wire.first == -1 and wire.last == -1 and not_negative(wire.p, "p") == 0.0 == not_negative(wire.q, "q"):
        return ()  # the venue's way to say that an aggregate became void
    if not 0 <= wire.first <= wire.last < min(ID_MAX + 1, wire.first + AGGREGATE_MAX):
        raise Unreadable("f and l are not a range of ids")
    price, quantity = positive(wire.p, "p"), positive(wire.q, "q")
    return (Trade(pair_name(wire.s), wire.last, wire.first, price, quantity, epoch_ms(wire.T, "T"), wire.m),)


def _map_book_ticker(wire: _BookTicker) -> Sequence[Event]:
    bid, bid_size = not_negative(wire.b, "b"), not_negative(wire.B, "B")
    ask, ask_size = not_negative(wire.a, "a"), not_negative(wire.A, "A")
    return (Quote(pair_name(wire.s), bid, bid_size, ask, ask_size, math.nan, 0),)
