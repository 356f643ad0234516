"""`tickcast backfill`: history of some days into a data directory, through its journal, resumable at any point.

What was fetched already is a table of the store (`fetched`), so a second start asks only for what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

import msgspec

from tickcast.clock import Clock
from tickcast.config import Settings
from tickcast.errors import Stopped
from tickcast.runners.embedded import Embedded
from tickcast.runners.lacking import fetched_spans
from tickcast.runners.origins import Origins
from tickcast.runners.stopping import Stopping
from tickcast.sources.history.feed import BackfillFeed, Progress, Wanted
from tickcast.sources.history.rest import PATIENT
from tickcast.store.duckdb import DuckStore

POLL_S = 0.1
Advance = Callable[[list[tuple[str, Progress]]], None]
NOTES_MAX = 1000
"""The summary names the last so many."""


class BackfillRange(msgspec.Struct, frozen=True):
    """What to fetch."""

    what: str
    """`trades` or `candles`."""
    from_ms: int
    to_ms: int


class BackfillSummary(msgspec.Struct):
    """What a backfill did, for machines."""

    rows: dict[str, int]
    """By `exchange:pair`, what came from the exchange."""
    counts: dict[str, int]
    """What was stored because of it."""
    quarantined: dict[str, dict[str, int]]
    missing: list[str]
    """What could not be fetched, a sentence each."""
    notes: list[str]
    data_dir: str


class Backfill:
    """One run; `advance` is called with how far each pair is."""

    def __init__(self, settings: Settings, wanted: BackfillRange, clock: Clock) -> None:
        self.settings, self.wanted, self.clock = settings, wanted, clock

    def run(
        self, advance: Advance = lambda progress: None, tell: Callable[[str], None] = lambda note: None
    ) -> BackfillSummary:
        """Fetch what is missing of the range; whatever ends it early, what came is kept. Notes are told as they come.

        An exchange that is away is asked for minutes: nobody should have to guess meanwhile why nothing happens.
        """
        settings, stopping = self.settings, Stopping()
        flow = msgspec.structs.replace(settings, pairs=())
        with closing(Origins(settings, self.clock)) as origins:
            with stopping.at_once():
                notes = _Notes(tell)
                notes += origins.check()
            with Embedded(flow, self.clock) as embedded:
                with stopping.at_once():
                    embedded.warm_up()
                with stopping.gently():
                    embedded.recover(lambda messages: _end_if(stopping))
                    embedded.status.rows.clear()
                    summary = self._fetch(origins, embedded, stopping, advance, notes)
                    embedded.checkpoint()
                    _end_if(stopping)
            return summary

    def _fetch(
        self, origins: Origins, embedded: Embedded, stopping: Stopping, advance: Advance, notes: _Notes
    ) -> BackfillSummary:
        rows: dict[str, int] = {}
        missing: list[str] = []
        lengths = self.settings.candle_seconds if self.wanted.what == "candles" else (0,)
        advance(
            [(exchange, Progress(pair, 0.0, 0)) for exchange in origins.endpoints for pair in origins.plan[exchange]]
        )
        for number, seconds in enumerate(lengths):
            for exchange in origins.endpoints:
                with closing(self._feed(origins, embedded.store, exchange, seconds)) as feed:
                    while not feed.ended and not stopping.asked:
                        embedded.pump([feed], POLL_S)
                        embedded.settle_when_full()
                        notes += [*feed.notes(), *origins.notes(), *embedded.notes()]
                        advance([(exchange, _of_all(one, number, len(lengths))) for one in feed.progress()])
                    for progress in feed.progress():
                        key = f"{feed.exchange}:{progress.pair}"
                        rows[key] = rows.get(key, 0) + progress.rows
                    notes += [*feed.notes(), *embedded.notes()]
                    missing += map(str, feed.errors)
        counts, quarantined = dict(embedded.status.rows), embedded.intake.quarantined()
        return BackfillSummary(rows, counts, quarantined, missing, notes.kept, str(self.settings.data_dir))

    def _feed(self, origins: Origins, store: DuckStore, exchange: str, seconds: int) -> BackfillFeed:
        pairs = origins.plan[exchange]
        fetched = {pair: fetched_spans(store, exchange, pair, seconds) for pair in pairs}
        span = (self.wanted.from_ms, self.wanted.to_ms)
        wanted = Wanted(pairs, self.wanted.what, seconds, *span, fetched, origins.align_ms)
        return BackfillFeed(origins.rest(exchange, PATIENT), wanted, clock=self.clock, loop=origins.loop)


def _of_all(progress: Progress, number: int, lengths: int) -> Progress:
    """How far a pair is with all candle lengths, while one of them is fetched."""
    return progress._replace(done_share=(number + progress.done_share) / lengths)


class _Notes:
    """What a reader should know: told at once, and kept for the summary."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.kept: list[str] = []
        self._tell = tell

    def __iadd__(self, notes: Iterable[str]) -> _Notes:
        for note in notes:
            self.kept.append(note)
            self._tell(note)
        del self.kept[:-NOTES_MAX]
        return self


def _end_if(stopping: Stopping) -> None:
    """Half a range is no success, whatever was kept of it."""
    if stopping.asked:
        raise Stopped
