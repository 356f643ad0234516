"""How one talks to Coinbase Advanced Trade: `market_trades`, `ticker` and `heartbeats`, one channel a message.

    → {"type":"subscribe","channel":"heartbeats"}
    → {"type":"subscribe","channel":"market_trades","product_ids":["BTC-USD"]}
    ← {"channel":"subscriptions","timestamp":"...","sequence_num":1,"events":[{"subscriptions":{"heartbeats":[...]}}]}
    ← {"channel":"market_trades","timestamp":"...","sequence_num":2,"events":[{"type":"snapshot","trades":[...]}]}

Every message carries `sequence_num`, which counts over all channels of the connection. What can not be read reports
none, so that the next message shows the jump. The first trades of a subscription are a snapshot of recent ones, newest
first. An answer lists all that the connection is subscribed to, also after an unsubscription: the venue does not say
to which request it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf
from typing import Literal

import msgspec

from tickcast.sources.coinbase import Coinbase as Mapper
from tickcast.sources.coinbase import Side
from tickcast.sources.decimals import ID_MAX, Pair, Unreadable, go_time_ms, rfc3339_ms
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
    PROOF,
    QUOTE,
    REFUSED,
    TRADES,
    UNREADABLE,
    Endpoints,
    Heard,
    Rules,
    Span,
)
from tickcast.sources.venues.spans import UNDECODABLE, Row, heard_by, quote_of, spans_of
from tickcast.sources.venues.urls import socket_url

_SHAPE = re.compile(r"[A-Z0-9]{1,30}-[A-Z0-9]{1,30}")


class _Trade(msgspec.Struct, gc=False):
    product_id: Pair
    trade_id: str
    price: str
    size: str
    time: str
    side: Side


class _TradesEvent(msgspec.Struct, gc=False):
    trades: list[_Trade]
    type: str = ""


class _MarketTrades(msgspec.Struct, gc=False):
    channel: Literal["market_trades"]
    events: list[_TradesEvent]
    timestamp: str
    sequence_num: int


class _Ticker(msgspec.Struct, gc=False):
    product_id: Pair


class _TickersEvent(msgspec.Struct, gc=False):
    tickers: list[_Ticker]


class _Tickers(msgspec.Struct, gc=False):
    channel: Literal["ticker"]
    events: list[_TickersEvent]
    timestamp: str
    sequence_num: int


class _Beat(msgspec.Struct):
    current_time: str


class _Heartbeats(msgspec.Struct):
    channel: Literal["heartbeats"]
    events: list[_Beat]
    sequence_num: int


class _Kind(msgspec.Struct):
    type: str = ""


class _Head(msgspec.Struct):
    channel: str = ""
    type: str = ""
    timestamp: str = ""
    sequence_num: int = -1
    message: str = ""
    reason: str = ""
    events: list[_Kind] = []


_market_trades = msgspec.json.Decoder(_MarketTrades).decode
_tickers = msgspec.json.Decoder(_Tickers).decode
_heartbeats = msgspec.json.Decoder(_Heartbeats).decode
_head = msgspec.json.Decoder(_Head).decode
_map = Mapper()
_new = tuple.__new__


class Coinbase:
    """Coinbase Advanced Trade's way of speaking.

    >>> Coinbase().hello(["BTC-USD"])[0]
    b'{"type":"subscribe","channel":"heartbeats"}'
    """

    name = "coinbase"
    separator = "-"
    # 8 connects and 8 messages a second are the venue's, both for the address and not for the connection: with 2 new
    # connections a second their hellos of 3 messages stay below.
    rules = Rules(
        pairs_per_connection=50,
        connects=2,
        connects_span_s=1.0,
        sends_per_s=3.0,
        silence_s=10.0,
        ping_s=5.0,
    )
    endpoints: tuple[Endpoints, ...] = (Endpoints("wss://advanced-trade-ws.coinbase.com", "https://api.coinbase.com"),)

    def at(self, base: str) -> Endpoints:
        """Where the same dialect is spoken under another base."""
        return Endpoints(f"{socket_url(base)}/ws", base)

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:  # noqa: ARG002
        """What to dial: the same for all pairs."""
        return endpoints.ws

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        """Heartbeats first: the venue closes what has not subscribed to anything within 5 s."""
        return [b'{"type":"subscribe","channel":"heartbeats"}', *_requests("subscribe", pairs)]

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        """The reverse, but for the heartbeats, which are the whole connection's."""
        return _requests("unsubscribe", pairs)

    def answers_wanted(self, pairs: Sequence[str]) -> int:  # noqa: ARG002
        """One for each channel."""
        return 3

    def ping(self, number: int) -> bytes | None:  # noqa: ARG002
        """None: the heartbeats prove the time, a WebSocket ping the connection."""
        return None

    def shape(self, pair: str) -> bool:
        """Capitals and digits on both sides of a hyphen.

        >>> [Coinbase().shape(pair) for pair in ("BTC-USD", "00-USD", "BTC/USD", "btc-usd", "BTCUSD")]
        [True, True, False, False, False]
        """
        return _SHAPE.fullmatch(pair) is not None

    def hear(self, raw: bytes) -> Heard:
        """What a message is."""
        reader = _BY_NAME.get(raw[12:18])
        if reader is not None:
            try:
                heard = reader(raw)
            except UNDECODABLE:
                heard = None
            if heard is not None:
                return heard
        return _with_head(raw, heard_by(_map, raw))


def _requests(kind: str, pairs: Sequence[str]) -> list[bytes]:
    return [
        msgspec.json.encode({"type": kind, "channel": channel, "product_ids": list(pairs)})
        for channel in ("market_trades", "ticker")
    ]


def _read_trades(raw: bytes) -> Heard | None:
    """A message of trades, if all of it is as it should be."""
    message = _market_trades(raw)
    venue_ms = rfc3339_ms(message.timestamp, "timestamp")
    snapshot = False
    rows: list[Row] = []
    for event in message.events:
        snapshot |= event.type == "snapshot"
        for row in event.trades:
            trade_id, price, size = int(row.trade_id), row.price, row.size
            text = price + size + row.trade_id
            if not (
                0 <= trade_id <= ID_MAX
                and 0.0 < float(price) < inf
                and 0.0 < float(size) < inf
                and row.trade_id.isdecimal()
                and len(row.trade_id) <= 19
                and text.isascii()
                and "_" not in text
                and row.product_id.isprintable()
            ):
                return None
            rows.append((row.product_id, trade_id, trade_id, rfc3339_ms(row.time, "time")))
    if len(rows) == 1:
        pair, trade_id, _, ms = rows[0]
        spans: tuple[Span, ...] = (_new(Span, (pair, trade_id, trade_id, ms, ms)),)
    else:
        spans = spans_of(rows)
    return _new(Heard, (TRADES if spans else NOISE, spans, "", venue_ms, message.sequence_num, snapshot, ""))


def _read_tickers(raw: bytes) -> Heard | None:
    message = _tickers(raw)
    venue_ms = rfc3339_ms(message.timestamp, "timestamp")
    pairs = [ticker.product_id for event in message.events for ticker in event.tickers]
    if len(pairs) == 1:
        return _new(Heard, (QUOTE, (), pairs[0], venue_ms, message.sequence_num, False, ""))
    return quote_of(pairs, venue_ms, message.sequence_num) if pairs else None


def _read_heartbeats(raw: bytes) -> Heard | None:
    message = _heartbeats(raw)
    if not message.events:
        return None
    venue_ms = max(go_time_ms(beat.current_time, "current_time") for beat in message.events)
    return Heard(PROOF, venue_ms=venue_ms, sequence=message.sequence_num)


_BY_NAME = {
    b"market": _read_trades,
    b"ticker": _read_tickers,
    b"heartb": _read_heartbeats,
}
"""The usual messages by the letters that begin their channel's name, where the venue writes it first."""


def _with_head(raw: bytes, heard: Heard) -> Heard:
    """What a mapper's events do not tell: number, time, snapshot, an answer, a refusal."""
    try:
        head = _head(raw)
    except UNDECODABLE:
        return heard
    if heard.kind == UNREADABLE:
        words = f"{head.message} {head.reason}".strip() or heard.detail
        return Heard(REFUSED, detail=words) if head.type == "error" else heard
    snapshot = head.channel == "market_trades" and any(event.type == "snapshot" for event in head.events)
    kind = ANSWER if head.channel == "subscriptions" else heard.kind
    venue_ms = heard.venue_ms
    if head.timestamp and kind != PROOF:
        try:
            venue_ms = rfc3339_ms(head.timestamp, "timestamp")
        except Unreadable:
            venue_ms = 0
    return heard._replace(kind=kind, venue_ms=venue_ms, sequence=head.sequence_num, snapshot=snapshot)
