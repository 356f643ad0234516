"""A recording through all stages at once: the same road as live, without a journal of its own and without a clock.

Rows go out in the order of their ids. Most recordings are nearly in it; where history was fetched long afterwards, a
store puts the rows in order first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from tickcast.config import Settings
from tickcast.errors import DataError
from tickcast.events import Frame
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.recorded import Recording
from tickcast.store.contract import KINDS
from tickcast.store.duckdb import DuckStore
from tickcast.store.parquet import ParquetSink
from tickcast.store.results import Results
from tickcast.store.series import TooFarBehind

COMMIT_ROWS = 100_000


class ReplaySummary(msgspec.Struct):
    """What a replay found, for people and for machines."""

    digest: str
    counts: dict[str, int]
    messages: dict[str, int]
    quarantined: dict[str, dict[str, int]]
    stages: dict[str, dict[str, int]]
    notes: list[str]


def replay(
    recording: Recording,
    settings: Settings,
    *,
    out: Path | None = None,
    advance: Callable[[float], None] = lambda done: None,
) -> ReplaySummary:
    """Carry a recording through the stages; with `out`, its tables are written there as Parquet."""
    try:
        with _sink(out) as sink:
            intake = _carry(recording, settings, sink.write, advance)
            results = sink.results
            found = results.hexdigest(), results.counts()
    except TooFarBehind:
        with tempfile.TemporaryDirectory(prefix="tickcast-") as scratch, _sink(out) as sink:
            store = _Ordering(Path(scratch) / "replay.duckdb")
            intake = _carry(recording, settings, store.write, advance)
            store.hand_over(sink.write)
            results = sink.results
            found = results.hexdigest(), results.counts()
    notes = list(dict.fromkeys(recording.notes))
    return ReplaySummary(*found, intake.messages, intake.quarantined(), intake.pipeline.counts(), notes)


def _carry(
    recording: Recording, settings: Settings, write: Callable[[Frame], None], advance: Callable[[float], None]
) -> Intake:
    """All of the recording through fresh stages."""
    intake = Intake(Pipeline(settings.flow, settings.pairs))
    for block in recording:
        for frame in intake.take(block).frames:
            write(frame)
        advance(recording.read_bytes)
    for frame in intake.finish().frames:
        write(frame)
    _must_hold_the_pairs(settings.pairs, intake)
    return intake


class _Ordering:
    """A store that is only there to put rows in order."""

    def __init__(self, path: Path) -> None:
        self._store = DuckStore(path)
        self._pending: list[Frame] = []
        self._rows = 0

    def write(self, frame: Frame) -> None:
        """Take rows, whatever their order."""
        self._pending.append(frame)
        self._rows += len(frame)
        if self._rows >= COMMIT_ROWS:
            self._commit()

    def hand_over(self, write: Callable[[Frame], None]) -> None:
        """Give the final rows, a key after the other, in the order of their ids; then close."""
        self._commit()
        for kind in KINDS:
            for exchange, pair in self._store.keys(kind):
                for columns in self._store.rows(kind, exchange=exchange, pair=pair):
                    write(Frame(kind, exchange, pair, 0, columns))
        self._store.close()

    def _commit(self) -> None:
        self._store.commit(self._pending, None)
        self._pending, self._rows = [], 0


class _NoFiles:
    """A sink that keeps digest and counts alone."""

    def __init__(self) -> None:
        self.results = Results()
        self.write = self.results.write


def _sink(out: Path | None) -> AbstractContextManager[ParquetSink | _NoFiles]:
    return nullcontext(_NoFiles()) if out is None else ParquetSink(out)


def _must_hold_the_pairs(pairs: tuple[str, ...], intake: Intake) -> None:
    found = {key.partition(":")[2] for key in intake.pipeline.lows()}
    missing = [pair for pair in pairs if pair not in found]
    if missing:
        others = ", ".join(sorted(intake.pairs_seen)) or "no pair at all"
        raise DataError(
            f"pairs {','.join(missing)}",
            f"have no message in this recording, which holds {others}, so nothing was written",
            "spell them as the venue does",
        )
