"""How one talks to a venue, without a socket in sight: what to send, what an answer means, what its limits are.

    pairs ─→ Venue.hello ─→ (socket) ─→ Venue.hear ─→ which pair's trades, a quote, a proof of time, an answer, noise

A venue is pure: bytes and numbers in, bytes and numbers out. Sockets, clocks and retries are other rooms' work, and
what a message MEANS to the market is its mapper's; here is only what the live feed needs in order to join, to watch
and to repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec


class Endpoints(NamedTuple):
    """Where a venue is reached: whole URLs up to, not including, the path that a request names."""

    ws: str
    """With its path: `wss://stream.binance.com:9443/stream`."""
    rest: str
    """`https://api.binance.com`"""
    bulk: str = ""
    """Where files of whole days lie; empty: the venue has none."""


class Rules(msgspec.Struct, frozen=True):
    """A venue's limits, and when its silence means that it is gone."""

    pairs_per_connection: int
    connects: int
    """At most so many connection attempts ..."""
    connects_span_s: float
    """... in so many seconds, over all connections of the process."""
    sends_per_s: float
    """Messages that one connection may send."""
    silence_s: float
    """A socket that gave not a byte (a pong counts) for so long is dead."""
    ping_s: float
    """How often we ask for a sign of life and proof of time."""
    open_s: float = 10.0
    """How long dialling and the answer to the subscription may take."""
    max_age_s: float = 0.0
    """Replace a connection of this age before the venue cuts it; 0: it never does."""
    message_bytes_max: int = 16 << 20


TRADES, QUOTE, PROOF, ANSWER, SHUTDOWN, REFUSED, NOISE, UNREADABLE = range(8)
"""What a message is to the feed. PROOF: the venue's time for all of this connection. ANSWER: a subscription stands.
SHUTDOWN: the venue says that it will close. REFUSED: it says no (a subscription, a rate). UNREADABLE: no JSON of
theirs (it is journaled all the same, and the mapper sends it to quarantine)."""


class Span(NamedTuple):
    """The trades of one pair in one message: ids `first_id` to `last_id`, -1 where ids are not consecutive."""

    pair: str
    first_id: int
    last_id: int
    first_ms: int
    last_ms: int


class Heard(NamedTuple):
    """What one message is to the feed."""

    kind: int
    spans: tuple[Span, ...] = ()
    """Of TRADES: usually one; more where a venue sends several pairs in one message."""
    pair: str = ""
    """Of a QUOTE; of an ANSWER the pair it confirms (empty: all that was asked for in that request)."""
    venue_ms: int = 0
    """When the venue sent it, by its own clock; 0: it does not say."""
    sequence: int = -1
    """The connection's running number (Coinbase); -1: the venue has none."""
    snapshot: bool = False
    """Recent trades sent on subscribing, not new ones."""
    detail: str = ""
    """Of a refusal or a status: the venue's words."""


class Listing(NamedTuple):
    """One pair that a venue trades, as its socket and our configuration write it."""

    pair: str
    base: str
    quote: str
    trading: bool = True
    alias_of: str = ""
    """Another pair whose data this one really returns (Coinbase's BTC-USDC is BTC-USD)."""


class Venue(Protocol):
    """One venue's way of speaking. One object serves all its connections; it keeps no state of any of them."""

    name: str
    rules: Rules
    endpoints: tuple[Endpoints, ...]
    """The usual ones first, then the ways round (Binance's vision hosts)."""

    def at(self, base: str) -> Endpoints:
        """Where the same dialect is spoken under another base, as the local exchange does: `http://127.0.0.1:9000/binance`."""
        ...

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:
        """What to dial for these pairs."""
        ...

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        """What to send once it is open: trades and best prices of these pairs, and the venue's heartbeats."""
        ...

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        """The reverse, so that one pair can be subscribed anew inside a living connection."""
        ...

    def answers_wanted(self, pairs: Sequence[str]) -> int:
        """How many ANSWERs follow on `hello`; the connection stands when they have come."""
        ...

    def ping(self, number: int) -> bytes | None:
        """A ping in the venue's own words (its answer is a PROOF); None: a WebSocket ping does."""
        ...

    def hear(self, raw: bytes) -> Heard:
        """What a message is. Never raises; costs about a microsecond."""
        ...

    def shape(self, pair: str) -> bool:
        """Whether a name is written as this venue writes pairs."""
        ...
