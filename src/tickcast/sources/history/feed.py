"""History as a feed, for `tickcast backfill`: what is missing of the wanted time, oldest first, pair by pair.

    wanted    |-------------------------------|
    fetched       |------|                          earlier, by the journal's own word: skipped
    asked     |---|      |=======|=======|----|     whole days of long ago from files (=), the rest over REST (-)

It runs the caller's loop inside `poll`, as the live feed does, so nothing happens between two polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

from tickcast.clock import DAY_MS, Clock, utc_day
from tickcast.events import CANDLES
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.history.bulk import BulkDays, DayMissing
from tickcast.sources.history.contract import After, HistoryError, Part
from tickcast.sources.history.parts import Gatherer
from tickcast.sources.history.rest import RestHistory
from tickcast.sources.history.steps import NotKept

PAIRS_AT_ONCE = 3
WAITING_MAX = 4
"""Messages that may wait to be polled; the fetching waits then."""
CLOSE_S = 2.0
BYTES_WANTED = 1 << 19
"""Pages of trades are told together until they are so large and hold whole windows."""


class Wanted(NamedTuple):
    """What to fetch."""

    pairs: Sequence[str]
    what: str
    """`trades` or `candles`."""
    seconds: int
    """Of candles their length; 0 for trades."""
    from_ms: int
    to_ms: int
    fetched: Mapping[str, Sequence[tuple[int, int]]] = {}
    """By pair, spans that were fetched earlier."""
    align_ms: int = 60_000
    """The longest window that is made of the trades: a message ends where one ends, as far as its size allows."""
    all_or_none: bool = False
    """Of candles: a segment's are told together (up to 4 MiB): indicators over half of them would be wrong."""


class Segment(NamedTuple):
    """Some time, and the way to fetch it."""

    from_ms: int
    to_ms: int
    bulk: bool


class Progress(NamedTuple):
    """How far one pair is."""

    pair: str
    done_share: float
    rows: int


class BackfillFeed:
    """A feed that ends when all there is has been told."""

    def __init__(
        self,
        rest: RestHistory,
        wanted: Wanted,
        *,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        bulk: bool = True,
        shares_rest: bool = False,
    ) -> None:
        self.exchange = rest.exchange
        self._shares_rest = shares_rest  # then whoever gave it closes it, and tells its notes
        self.rest, self.wanted, self.clock, self.loop = rest, wanted, clock, loop
        self.errors: list[HistoryError] = []
        """What could not be fetched, one for each pair at most beside what the venue does not keep."""
        self._days = BulkDays(rest) if bulk and rest.endpoints.bulk else None
        now_ms = rest.our_ms()
        self._segments = {
            pair: segments(wanted, wanted.fetched.get(pair, ()), now_ms, bulk=self._days is not None)
            for pair in wanted.pairs
        }
        self._done_ms = dict.fromkeys(wanted.pairs, 0)
        self._inside_ms = dict.fromkeys(wanted.pairs, 0)  # of the segment under way
        self._rows = dict.fromkeys(wanted.pairs, 0)
        self._told_share = dict.fromkeys(wanted.pairs, 0.0)
        self._told: asyncio.Queue[Message | None] = asyncio.Queue(WAITING_MAX)
        self._work: asyncio.Task[None] | None = None
        self._ended = self._closed = False

    def poll(self, timeout_s: float) -> list[Message]:
        """The messages that came."""
        if self._ended:
            return []
        found, self._ended = self.loop.run_until_complete(self._collect(timeout_s))
        return found

    @property
    def ended(self) -> bool:
        """True when all has been told."""
        return self._ended

    def progress(self) -> list[Progress]:
        """How far each pair is."""
        return [Progress(pair, self._share(pair), self._rows[pair]) for pair in self.wanted.pairs]

    def notes(self) -> list[str]:
        """What a reader should know, a sentence each; told once."""
        return [] if self._shares_rest else self.rest.notes()

    def close(self) -> None:
        """Let go of all connections."""
        if self._closed:
            return
        self._closed = self._ended = True
        self.loop.run_until_complete(self._let_go())

    async def _collect(self, timeout_s: float) -> tuple[list[Message], bool]:
        if self._work is None:
            self._work = asyncio.create_task(self._fetch_all())
        found: list[Message] = []
        await asyncio.sleep(0)  # whoever does not wait lets it work all the same
        if self._told.empty() and timeout_s <= 0:
            return found, False
        try:
            first: Message | None
            if self._told.empty():
                first = await asyncio.wait_for(self._told.get(), timeout_s)
            else:
                first = self._told.get_nowait()
        except TimeoutError:
            return found, False
        while first is not None:
            found.append(first)
            if self._told.empty():
                return found, False
            first = self._told.get_nowait()
        await self._work  # what nobody expected is raised here
        return found, True

    async def _fetch_all(self) -> None:
        room = asyncio.Semaphore(PAIRS_AT_ONCE)

        async def one(pair: str) -> None:
            async with room:
                await self._fetch_pair(pair)

        try:
            async with asyncio.TaskGroup() as group:
                for pair in self.wanted.pairs:
                    group.create_task(one(pair))
        finally:
            if not self._closed:
                await self._told.put(None)

    async def _fetch_pair(self, pair: str) -> None:
        newest_first = reversed if self.wanted.all_or_none else iter  # no time is told before what follows it is
        for segment in newest_first(self._segments[pair]):
            try:
                await self._fetch_segment(pair, segment)
            except NotKept as exc:
                self.errors.append(exc)
            except HistoryError as exc:
                self.errors.append(exc)
                return
            self._done_ms[pair] += segment.to_ms - segment.from_ms
            self._inside_ms[pair] = 0

    async def _fetch_segment(self, pair: str, segment: Segment) -> None:
        what, seconds = self.wanted.what, self.wanted.seconds
        if segment.bulk and self._days is not None:
            try:
                await self._tell(self._days.parts(what, pair, seconds, segment.from_ms, self.wanted.align_ms), segment)
                return
            except DayMissing:
                self.rest.note(f"{self.exchange} {pair}: no file of {utc_day(segment.from_ms)}, so REST is asked")
        if what == CANDLES.name:
            await self._tell(self.rest.candles(pair, seconds, segment.from_ms, segment.to_ms), segment)
        else:
            await self._tell(self.rest.trades(pair, After(segment.from_ms), segment.to_ms), segment)

    async def _tell(self, parts: AsyncGenerator[Part], segment: Segment) -> None:
        """Trades go out as whole windows: stages that are past them can make those anew from one message only."""
        of_trades, told = self.wanted.what != CANDLES.name, not self.wanted.all_or_none
        gatherer = Gatherer(self.wanted.align_ms, BYTES_WANTED) if of_trades else None
        gatherer = Gatherer(self.wanted.align_ms) if self.wanted.all_or_none else gatherer
        try:
            async with aclosing(parts):
                async for part in parts:
                    self._rows[part.pair] += len(next(iter(part.rows.values())))
                    self._inside_ms[part.pair] = part.to_ms - segment.from_ms
                    await self._put(gatherer.add(part) if gatherer else part)
            told = True
        except NotKept:
            told = True  # there is no more
            raise
        finally:
            if gatherer and told and not self._closed:
                await self._put(gatherer.rest())

    async def _put(self, part: Part | None) -> None:
        if part is not None:
            await self._told.put(Message(self.clock.now_ns(), self.exchange, own.history(part, live=False)))

    def _share(self, pair: str) -> float:
        """It never goes back, even where what a file should have told has to be asked for once more."""
        whole_ms = sum(segment.to_ms - segment.from_ms for segment in self._segments[pair])
        share = min(1.0, (self._done_ms[pair] + self._inside_ms[pair]) / whole_ms) if whole_ms else 1.0
        self._told_share[pair] = max(share, self._told_share[pair])
        return self._told_share[pair]

    async def _let_go(self) -> None:
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait([self._work], timeout=CLOSE_S)
        if self._work is not None and self._work.done() and not self._work.cancelled():
            self._work.exception()  # it was raised by poll, or nobody polls any more
        if not self._shares_rest:
            await self.rest.close()


def segments(wanted: Wanted, fetched: Sequence[tuple[int, int]], now_ms: int, *, bulk: bool) -> list[Segment]:
    """The time that is still missing, oldest first, whole days of before yesterday apart.

    >>> day = 86_400_000
    >>> wanted = Wanted(("BTCUSDT",), "trades", 0, day // 2, 3 * day)
    >>> [(one.from_ms / day, one.bulk) for one in segments(wanted, [(2 * day, 4 * day)], 9 * day, bulk=True)]
    [(0.5, False), (1.0, True)]
    """
    found: list[Segment] = []
    at_ms, align_ms = wanted.from_ms, wanted.align_ms
    for low_ms, high_ms in [*sorted(fetched), (wanted.to_ms, wanted.to_ms)]:
        if low_ms > at_ms:  # a window that is known in part is fetched as a whole
            from_ms, to_ms = at_ms - at_ms % align_ms, -(-low_ms // align_ms) * align_ms
            found += _in_days(max(from_ms, wanted.from_ms), min(to_ms, wanted.to_ms), now_ms, bulk=bulk)
        at_ms = max(at_ms, high_ms)
        if at_ms >= wanted.to_ms:
            break
    return found


def _in_days(from_ms: int, to_ms: int, now_ms: int, *, bulk: bool) -> list[Segment]:
    """Whole days from files, as far as there are any by now: yesterday's may not be there yet."""
    first_ms = -(-from_ms // DAY_MS) * DAY_MS
    last_ms = min(to_ms, now_ms - DAY_MS) // DAY_MS * DAY_MS
    if not bulk or last_ms <= first_ms:
        return [Segment(from_ms, to_ms, False)]
    days = [Segment(day_ms, day_ms + DAY_MS, True) for day_ms in range(first_ms, last_ms, DAY_MS)]
    head = [Segment(from_ms, first_ms, False)] if first_ms > from_ms else []
    tail = [Segment(last_ms, to_ms, False)] if to_ms > last_ms else []
    return [*head, *days, *tail]
