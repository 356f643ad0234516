"""How one talks to Binance spot: the combined stream, `@aggTrade` and `@bookTicker` of each pair.

    → {"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@bookTicker"],"id":1}
    ← {"result":null,"id":1}
    ← {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1628952396573,"s":"BTCUSDT","a":31718372,...}}

Streams are subscribed by message, not in the URL: so one pair can be subscribed anew inside a living connection, and
no URL grows beyond what a proxy takes. Such a message must stay below 4,096 bytes on the wire: the venue answers a
longer one with silence. A stream of a pair that does not exist is answered like any other and then stays silent too,
so pairs are checked against the venue's list before (`names.check_pairs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import msgspec

from tickcast.sources.binance import AGGREGATE_MAX
from tickcast.sources.binance import Binance as Mapper
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.decimals import ID_MAX, Pair
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
    QUOTE,
    REFUSED,
    SHUTDOWN,
    TRADES,
    UNREADABLE,
    Endpoints,
    Heard,
    Rules,
    Span,
)
from tickcast.sources.venues.spans import UNDECODABLE, heard_by
from tickcast.sources.venues.urls import socket_url

SEND_BYTES_MAX = 4000
"""Of one subscription; the venue's limit is 4,096 with all that frames it."""
GOODBYE_ID = 1_000_000
"""Requests from this number on take streams away: their answers are no answer to a hello."""
STARTS_MAX = 4096
"""Beginnings of messages to remember: two for each pair that is listened to. Where they are full, all are forgotten."""


class _Data(msgspec.Struct, gc=False):
    e: str
    s: Pair
    p: str
    q: str
    f: int
    l: int  # noqa: E741 (the venue's name)
    T: int
    m: bool
    E: int


class _Combined(msgspec.Struct, gc=False):
    data: _Data


class _Error(msgspec.Struct):
    msg: str = ""


class _Head(msgspec.Struct):
    e: str = ""
    E: int = 0
    data: msgspec.Raw = msgspec.Raw()
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    code: int | None = None
    msg: str = ""


_decode = msgspec.json.Decoder(_Combined).decode
_head = msgspec.json.Decoder(_Head).decode
_map = Mapper()
_new = tuple.__new__


class Binance:
    """Binance spot's way of speaking.

    >>> Binance().hello(["BTCUSDT"])
    [b'{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@bookTicker"],"id":1}']
    """

    name = "binance"
    separator = ""
    # 300 connects in 5 minutes, 1,024 streams a connection and 5 messages a second (pings and pongs are among them) are
    # the venue's; what is left between is for other programs behind the same address, and for our pongs.
    rules = Rules(
        pairs_per_connection=500,
        connects=200,
        connects_span_s=300.0,
        sends_per_s=3.0,
        silence_s=10.0,
        ping_s=1.0,
        max_age_s=23.5 * 3600,
    )
    endpoints: tuple[Endpoints, ...] = (
        Endpoints("wss://stream.binance.com:9443/stream", "https://api.binance.com", "https://data.binance.vision"),
        Endpoints(
            "wss://data-stream.binance.vision/stream",
            "https://data-api.binance.vision",
            "https://data.binance.vision",
        ),
    )

    def __init__(self) -> None:
        self._starts: dict[bytes, Heard] = {}

    def at(self, base: str) -> Endpoints:
        """Where the same dialect is spoken under another base.

        >>> Binance().at("http://127.0.0.1:9000/binance").ws
        'ws://127.0.0.1:9000/binance/stream'
        """
        return Endpoints(f"{socket_url(base)}/stream", base, base)

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:  # noqa: ARG002
        """What to dial: the same for all pairs."""
        return endpoints.ws

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        """Subscriptions, as few messages as the venue's longest allows."""
        return _requests("SUBSCRIBE", pairs, 1)

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        """The reverse."""
        return _requests("UNSUBSCRIBE", pairs, GOODBYE_ID)

    def answers_wanted(self, pairs: Sequence[str]) -> int:
        """One for each message of the hello."""
        return len(self.hello(pairs))

    def ping(self, number: int) -> bytes | None:  # noqa: ARG002
        """None: a WebSocket ping does."""
        return None

    def shape(self, pair: str) -> bool:
        """Letters and digits without anything between, in capitals.

        >>> [Binance().shape(pair) for pair in ("BTCUSDT", "1INCHUSDT", "btcusdt", "BTC-USDT")]
        [True, True, False, False]
        """
        return 5 <= len(pair) <= 64 and pair.isalnum() and pair == pair.upper()

    def hear(self, raw: bytes) -> Heard:
        """What a message is.

        The usual two are known by how they begin. A quote that begins as one is not looked at further: the mapper
        will, and no trade can be lost by it.
        """
        known = self._starts.get(raw[: raw.find(b':{"', 11) + 4])
        if known is None:
            return self._slow(raw)
        if known[0] == QUOTE:
            return known
        try:
            data = _decode(raw).data
            first_id, last_id, ms, price, quantity = data.f, data.l, data.T, data.p, data.q
            if (
                data.e == "aggTrade"
                and 0 <= first_id <= last_id <= ID_MAX
                and last_id - first_id < AGGREGATE_MAX
                and TIME_MIN_MS <= ms <= TIME_MAX_MS
                and TIME_MIN_MS <= data.E <= TIME_MAX_MS
                and 0.0 < float(price) < inf
                and 0.0 < float(quantity) < inf
                and data.s == known[2]
                and (text := price + quantity).isascii()
                and "_" not in text
            ):
                span = _new(Span, (known[2], first_id, last_id, ms, ms))
                return _new(Heard, (TRADES, (span,), "", data.E, -1, False, ""))
        except UNDECODABLE:
            pass
        return self._slow(raw)

    def _slow(self, raw: bytes) -> Heard:
        heard = heard_by(_map, raw)
        if heard.kind in (TRADES, QUOTE):
            self._learn(raw, heard)
        return _with_head(raw, heard)

    def _learn(self, raw: bytes, heard: Heard) -> None:
        """Remember how this pair's messages begin, if it is the layout that the fast way knows."""
        pair = heard.pair or heard.spans[0].pair
        stream, event = ("bookTicker", "u") if heard.kind == QUOTE else ("aggTrade", "e")
        start = b'{"stream":"%b@%b","data":{"%b' % (pair.lower().encode(), stream.encode(), event.encode())
        if raw.startswith(start):
            if len(self._starts) >= STARTS_MAX:
                self._starts.clear()
            self._starts[start] = Heard(heard.kind, (), pair)


def _requests(method: str, pairs: Sequence[str], first_number: int) -> list[bytes]:
    return [
        msgspec.json.encode({"method": method, "params": params, "id": first_number + nth})
        for nth, params in enumerate(_chunks(pairs))
    ]


def _chunks(pairs: Sequence[str]) -> Iterator[list[str]]:
    """The streams of these pairs, in lists that fit into one message."""
    chunk: list[str] = []
    room = 0
    for pair in pairs:
        streams = [f"{pair.lower()}@aggTrade", f"{pair.lower()}@bookTicker"]
        size = sum(len(msgspec.json.encode(stream)) + 1 for stream in streams)
        if chunk and size > room:
            yield chunk
            chunk = []
        if not chunk:
            room = SEND_BYTES_MAX - 64  # method and number
        chunk += streams
        room -= size
    if chunk:
        yield chunk


def _with_head(raw: bytes, heard: Heard) -> Heard:
    """What a mapper's events do not tell: when the venue sent it, an answer, a refusal, a goodbye."""
    try:
        head = _head(raw)
        if head.data:
            head = _head(head.data)
    except UNDECODABLE:
        return heard
    venue_ms = head.E if TIME_MIN_MS <= head.E <= TIME_MAX_MS else 0
    if heard.kind == TRADES:
        return heard._replace(venue_ms=venue_ms)
    if heard.kind == UNREADABLE and (head.error or head.code is not None):
        return Heard(REFUSED, detail=head.msg or (head.error.msg if head.error else "") or heard.detail)
    if heard.kind == NOISE and head.e == "serverShutdown":
        return Heard(SHUTDOWN, venue_ms=venue_ms)
    if heard.kind == NOISE and head.id is not None and bytes(head.result) == b"null":
        return Heard(ANSWER if isinstance(head.id, int) and 0 < head.id < GOODBYE_ID else NOISE)
    return heard
