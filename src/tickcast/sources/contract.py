"""The source contract: a feed brings bytes, a mapper says what they mean, and neither does the other's job.

    feed (socket, file, simulated market) ─→ Message ─→ journal line ─→ Block of lines ─→ mapper ─→ MarketRows

A mapper is pure: bytes in, events out; no I/O, no clock. What it can not read raises WireError and goes to quarantine;
what it knows and does not need (subscriptions, status, depth) is an empty answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns, Frame

TIME_MIN_MS = 1_230_940_800_000
"""2009-01-03: no trade of any coin is older."""
TIME_MAX_MS = 4_102_444_800_000
"""2100-01-01: a time beyond is another unit, or garbage."""


class Message(NamedTuple):
    """What a venue sent, unchanged, and when it came (0: the recording does not say)."""

    recv_ns: int
    exchange: str
    raw: bytes


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade, or an aggregate of consecutive ones; `is_buyer_maker` is true where the taker sold."""

    pair: str
    trade_id: int
    first_id: int
    """The first id an aggregate covers; -1 where the venue's ids are not consecutive."""
    price: float
    quantity: float
    timestamp_ms: int
    is_buyer_maker: bool


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The best prices; a time of 0 says that the venue sent none."""

    pair: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    last: float
    """NaN where the message has none."""
    timestamp_ms: int


class Alive(msgspec.Struct, frozen=True, gc=False):
    """Proof that the venue's clock has reached a time, for one pair or (pair "") for all of the exchange."""

    pair: str
    timestamp_ms: int


Event = Trade | Quote | Alive


class Mapper(Protocol):
    """One venue's dialect."""

    exchange: str

    def map_message(self, raw: bytes) -> Sequence[Event]:
        """What one message says, in its order of time and id; empty for known noise; WireError for the unreadable."""
        ...


TRADE, QUOTE, ALIVE = 1, 2, 3


class Reject(NamedTuple):
    """One message for quarantine."""

    recv_ns: int
    reason: str
    raw: bytes


class Fetched(NamedTuple):
    """History of one pair (`tickcast.sources.own.history`), read."""

    frame: Frame
    """Trades or candles; `whole_from_ms` and `low_ms` say from when to when they are all there are."""
    candle_seconds: int
    """0: trades."""
    live: bool
    """The live stream was open before this was asked for, and nothing newer was there: the two join without a gap."""
    fetched_ms: int


class Blind(NamedTuple):
    """The feed's word that it did not see a pair from then until the pair's next row or proof of time."""

    pair: str
    from_ms: int


class MarketRows(NamedTuple):
    """What a block of journal lines says, in the order of arrival, in columns.

    `columns` holds: kind (TRADE, QUOTE, ALIVE), pair (index into `pairs`, -1 for all of the exchange), and the columns
    of `events.TRADES`; a QUOTE fills bid and ask, an ALIVE timestamp_ms (a QUOTE too where the venue sends a time,
    else 0).
    """

    pairs: list[str]
    columns: Columns
    rejects: list[Reject]
    messages: int
    """How many lines the block had."""
    silence_ns: NDArray[np.int64]
    """Pairs of receive times, as rows (from, to), between which the recording was silent for longer than a minute."""
    last_recv_ns: int = 0
    """The latest receive time so far (0 where the recording has none), to hand in with the next block."""
    frames: Sequence[Frame] = ()
    """Frames that a user imported (`tickcast.sources.own`), ready for the stages."""
    told: Sequence[Fetched | Blind] = ()
    """What a live feed says of history and of blindness; such a line always stands alone in its block."""


class Block(NamedTuple):
    """Some whole journal lines of one exchange."""

    exchange: str
    lines: bytes


class Feed(Protocol):
    """Where messages come from. Feeds do I/O; they are asked, they never call."""

    exchange: str

    def poll(self, timeout_s: float) -> list[Message]:
        """The messages that came, in the order in which they came; empty when none came in time."""
        ...

    @property
    def ended(self) -> bool:
        """True when nothing will ever come again."""
        ...

    def close(self) -> None:
        """Let go of all that is held; twice is harmless."""
        ...


Blocks = Iterator[Block]
