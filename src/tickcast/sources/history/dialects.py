"""Which file knows a venue's history, and how many requests its hosts allow.

>>> dialect_of("kraken").TIME.path
'/0/public/Time'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tickcast.errors import ConfigError
from tickcast.sources.history import binance, coinbase, kraken
from tickcast.sources.history.contract import After, HistoryError, Request, Walk
from tickcast.sources.venues.contract import Listing


class LongWalk(Walk, Protocol):
    """A walk, and what it has to say of itself."""

    notes: list[str]
    refusal: HistoryError | None


class TradesWalkMaker(Protocol):
    """Begins a walk through trades."""

    def __call__(self, pair: str, after: After, until_ms: int = 0) -> LongWalk:
        """Trades after that, up to a time."""
        ...


class CandlesWalkMaker(Protocol):
    """Begins a walk through candles."""

    def __call__(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> LongWalk:
        """Closed candles of that time."""
        ...


class Dialect(Protocol):
    """What a venue's file has."""

    @property
    def TIME(self) -> Request:
        """How to ask for the venue's clock."""
        ...

    @property
    def LISTINGS(self) -> Request:
        """How to ask for all pairs."""
        ...

    @property
    def TradesWalk(self) -> TradesWalkMaker:
        """Through trades."""
        ...

    @property
    def CandlesWalk(self) -> CandlesWalkMaker:
        """Through candles."""
        ...

    def read_time(self, raw: bytes) -> int:
        """The venue's clock, in milliseconds."""
        ...

    def read_listings(self, raw: bytes) -> tuple[Listing, ...]:
        """All pairs."""
        ...

    def read_limit(self, raw: bytes) -> float:
        """What the listings say that a host allows in a span; 0: nothing."""
        ...


class Limit(NamedTuple):
    """So much weight in any span of so many seconds."""

    weight: float
    span_s: float


_DIALECTS: Mapping[str, Dialect] = {"binance": binance, "coinbase": coinbase, "kraken": kraken}
LIMITS: Mapping[str, Limit] = {
    "binance": Limit(6000.0, 61.0),
    "coinbase": Limit(10.0, 1.1),
    "kraken": Limit(3.0, 3.3),  # a counter that falls by one a second
}
"""Spans are a little longer than the venues', since requests do not take equally long to get there."""
BULK_LIMIT = Limit(10.0, 1.0)
"""Of files of whole days: nobody names a limit, so ours is what a person would find fair."""


def dialect_of(exchange: str) -> Dialect:
    """The file that knows an exchange's history."""
    if exchange in _DIALECTS:
        return _DIALECTS[exchange]
    raise ConfigError("exchange", f"no history is known of {exchange!r}", f"known are {', '.join(_DIALECTS)}")
