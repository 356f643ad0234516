"""How one talks to Kraken spot, WebSocket v2: `trade`, and `ticker` whenever a best price changes.

    → {"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":false}}
    ← {"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true,...}
    → {"method":"ping","req_id":7}
    ← {"method":"pong","req_id":7,"time_in":"2026-07-07T23:00:03.501510Z","time_out":"2026-07-07T23:00:03.501553Z"}

Answers come pair by pair and channel by channel. `heartbeat` comes about once a second where nothing else does; it has
no time, so it is a sign of life and no more: the time is proven by pongs.

`status` tells of the matching engine, and its word goes on as `detail`. While it is `maintenance`, `cancel_only` or
`post_only` the venue matches no orders: no trade can be missed, and a market that is quiet then is truly quiet. So it
is noise, not a shutdown; a connection that ends meanwhile is dialled again like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf
from typing import Literal

import msgspec

from tickcast.sources.decimals import Id, Pair, rfc3339_ms
from tickcast.sources.kraken import Kraken as Mapper
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
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

_SHAPE = re.compile(r"(?!(?:XBT|XDG)/)[A-Z0-9][A-Z0-9.]{0,29}x?/(?!(?:XBT|XDG)$)[A-Z0-9]{1,30}")
"""Tokenised stocks end in a small x (`AAPLx/USD`); XBT and XDG are other names of BTC and DOGE, of v1 and REST."""


class _Trade(msgspec.Struct, gc=False):
    symbol: Pair
    side: Literal["buy", "sell"]
    price: float
    qty: float
    trade_id: Id
    timestamp: str


class _Trades(msgspec.Struct, gc=False):
    channel: Literal["trade"]
    data: list[_Trade]
    type: str = ""


class _Ticker(msgspec.Struct, gc=False):
    symbol: Pair
    timestamp: str = ""


class _Tickers(msgspec.Struct, gc=False):
    channel: Literal["ticker"]
    data: list[_Ticker]


class _Result(msgspec.Struct):
    symbol: str = ""
    warnings: list[str] | None = None


class _Status(msgspec.Struct):
    system: str = ""


class _Statuses(msgspec.Struct):
    data: list[_Status]


class _Head(msgspec.Struct):
    channel: str = ""
    type: str = ""
    method: str = ""
    success: bool = True
    symbol: str = ""
    error: str | list[str] | None = None
    errorMessage: str = ""
    result: _Result | None = None


_trades = msgspec.json.Decoder(_Trades).decode
_tickers = msgspec.json.Decoder(_Tickers).decode
_statuses = msgspec.json.Decoder(_Statuses).decode
_head = msgspec.json.Decoder(_Head).decode
_map = Mapper()
_new = tuple.__new__


class Kraken:
    """Kraken spot's way of speaking.

    >>> Kraken().ping(7)
    b'{"method":"ping","req_id":7}'
    """

    name = "kraken"
    separator = "/"
    # About 150 connects in 10 minutes are the venue's, for the address.
    rules = Rules(
        pairs_per_connection=100,
        connects=100,
        connects_span_s=600.0,
        sends_per_s=4.0,
        silence_s=5.0,
        ping_s=1.0,
    )
    endpoints: tuple[Endpoints, ...] = (Endpoints("wss://ws.kraken.com/v2", "https://api.kraken.com"),)

    def at(self, base: str) -> Endpoints:
        """Where the same dialect is spoken under another base."""
        return Endpoints(f"{socket_url(base)}/v2", base)

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:  # noqa: ARG002
        """What to dial: the same for all pairs."""
        return endpoints.ws

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        """Trades without a snapshot (history brings what is missing), best prices with one."""
        return _requests("subscribe", pairs)

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        """The reverse."""
        return _requests("unsubscribe", pairs)

    def answers_wanted(self, pairs: Sequence[str]) -> int:
        """One for each pair on each channel."""
        return 2 * len(pairs)

    def ping(self, number: int) -> bytes | None:
        """The venue's own ping: its answer tells the venue's time."""
        return b'{"method":"ping","req_id":%d}' % number

    def shape(self, pair: str) -> bool:
        """Capitals and digits on both sides of a slash, BTC and not XBT.

        >>> [Kraken().shape(pair) for pair in ("BTC/USD", "XBT/USD", "XXBTZUSD", "BTC-USD", "btc/usd")]
        [True, False, False, False, False]
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
        elif raw == _HEARTBEAT:
            return _BEAT
        return _with_head(raw, heard_by(_map, raw))


def _requests(method: str, pairs: Sequence[str]) -> list[bytes]:
    more: dict[str, dict[str, object]] = {"trade": {"snapshot": False}, "ticker": {"event_trigger": "bbo"}}
    if method == "subscribe":
        more["ticker"]["snapshot"] = True
    return [
        msgspec.json.encode({"method": method, "params": {"channel": channel, "symbol": list(pairs), **params}})
        for channel, params in more.items()
    ]


_HEARTBEAT = b'{"channel":"heartbeat"}'
_BEAT = Heard(NOISE)


def _read_trades(raw: bytes) -> Heard | None:
    """A message of trades, if all of it is as it should be."""
    message = _trades(raw)
    snapshot = message.type == "snapshot"
    rows: list[Row] = []
    for row in message.data:
        pair, trade_id = row.symbol, row.trade_id
        if not (0.0 < row.price < inf and 0.0 < row.qty < inf and pair.isprintable()):
            return None
        rows.append((pair, trade_id, trade_id, rfc3339_ms(row.timestamp, "timestamp")))
    if len(rows) == 1:
        pair, trade_id, _, ms = rows[0]
        spans: tuple[Span, ...] = (_new(Span, (pair, trade_id, trade_id, ms, ms)),)
    else:
        spans = spans_of(rows)
    return _new(Heard, (TRADES if spans else NOISE, spans, "", 0, -1, snapshot, ""))


def _read_tickers(raw: bytes) -> Heard | None:
    rows = _tickers(raw).data
    if len(rows) == 1:
        row = rows[0]
        venue_ms = rfc3339_ms(row.timestamp, "timestamp") if row.timestamp else 0
        return _new(Heard, (QUOTE, (), row.symbol, venue_ms, -1, False, ""))
    if not rows:
        return None
    venue_ms = max(rfc3339_ms(row.timestamp, "timestamp") if row.timestamp else 0 for row in rows)
    return quote_of([row.symbol for row in rows], venue_ms)


_BY_NAME = {b'trade"': _read_trades, b"ticker": _read_tickers}
"""The usual messages by the letters that begin their channel's name, where the venue writes it first."""


def _with_head(raw: bytes, heard: Heard) -> Heard:
    """What a mapper's events do not tell: an answer and its pair, a refusal, the state of the venue."""
    try:
        head = _head(raw)
        if head.channel == "status" and heard.kind == NOISE:
            return Heard(NOISE, detail=", ".join(status.system for status in _statuses(raw).data))
    except UNDECODABLE:
        return heard
    if heard.kind == UNREADABLE:
        error = head.error if isinstance(head.error, str) else ", ".join(head.error or ())
        words = error or head.errorMessage
        return Heard(REFUSED, pair=head.symbol, detail=words) if words or not head.success else heard
    if head.method == "subscribe" and heard.kind == NOISE:
        result = head.result or _Result()
        return Heard(ANSWER, pair=result.symbol, detail=", ".join(result.warnings or ()))
    return heard._replace(snapshot=True) if head.channel == "trade" and head.type == "snapshot" else heard
