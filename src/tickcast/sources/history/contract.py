"""What a venue remembers: pages of trades and candles, asked for over HTTP, oldest first.

    Walk.request ─→ (HTTP, within the host's budget) ─→ Walk.take(raw) ─→ Part ─→ own.history ─→ journal

A walk is pure and belongs to one venue's file: it knows cursors and limits, no sockets. What it gives is in order of
trade ids and joins without a seam, whichever way round the venue pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from tickcast.errors import TickcastError
from tickcast.events import Columns
from tickcast.sources.venues.contract import Listing


class HistoryError(TickcastError):
    """History could not be fetched; what is missing stays marked until it can."""


class After(NamedTuple):
    """Where to go on: what is known to be there already."""

    timestamp_ms: int
    """Of the last trade that is known, or the first moment wanted."""
    trade_id: int = -1
    """Of the last trade that is known; -1: none, begin at the time."""


class Request(NamedTuple):
    """One GET."""

    path: str
    params: tuple[tuple[str, str], ...]
    weight: float
    """What it costs of the host's budget."""
    host: str = "rest"
    """Which of the venue's endpoints: `rest` or `bulk`."""


class Part(NamedTuple):
    """Some history, whole: every row of the pair from `from_ms` up to `to_ms` is in it."""

    what: str
    """`trades` or `candles`."""
    pair: str
    seconds: int
    """Of candles their length; 0 for trades."""
    from_ms: int
    to_ms: int
    """Exclusive: rows at `to_ms` itself may follow in the next part."""
    pages: tuple[bytes, ...]
    """What the venue answered, unchanged: JSON, or a JSON string that holds lines of one of its files."""
    rows: Columns
    """What the pages say (events.TRADES or events.CANDLES), new rows only, ascending."""
    reached_end: bool
    """Nothing newer was there when this was asked, of a venue that still had the last trade that is known."""
    fetched_ms: int = 0


class Walk(Protocol):
    """One way through a venue's history, a request at a time."""

    @property
    def request(self) -> Request | None:
        """What to ask next; None: done."""
        ...

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the answer to `request`, asked when the venue's clock stood at `asked_ms`.

        None: it told nothing that can stand alone (too full a page, to be asked again in smaller steps).
        Raises HistoryError where it is no such answer, a truncated one included.
        """
        ...


class TimeSample(NamedTuple):
    """The venue's clock, seen through one request."""

    venue_ms: int
    sent_ns: int
    recv_ns: int


class History(Protocol):
    """One venue's memory over HTTP: what live repair, the start and `backfill` all use."""

    exchange: str

    def trades(self, pair: str, after: After, until_ms: int = 0) -> AsyncIterator[Part]:
        """All trades after that (by id where one is known), oldest first, up to a time (0: to the newest there is).

        Retries what is worth it within the host's budget; raises HistoryError when it gives up.
        """
        ...

    def candles(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> AsyncIterator[Part]:
        """Closed candles of that length from `from_ms` up to `to_ms`, oldest first."""
        ...

    async def venue_time(self) -> TimeSample:
        """Ask the venue for its clock."""
        ...

    async def listings(self) -> tuple[Listing, ...]:
        """All pairs that the venue trades."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
