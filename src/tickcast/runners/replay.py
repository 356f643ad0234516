"""A recording through all stages at once: the same road as live, without a journal of its own and without a clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from tickcast.config import Settings
from tickcast.errors import DataError
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.recorded import Recording
from tickcast.store.parquet import ParquetSink
from tickcast.store.results import Results


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
    intake = Intake(Pipeline(settings.flow, settings.pairs))
    with _sink(out) as sink:
        for block in recording:
            for frame in intake.take(block).frames:
                sink.write(frame)
            advance(recording.read_bytes)
        for frame in intake.finish().frames:
            sink.write(frame)
        _must_hold_the_pairs(settings.pairs, intake)
        results = sink.results
        found = results.hexdigest(), results.counts()
    return ReplaySummary(*found, intake.messages, intake.quarantined(), intake.pipeline.counts(), list(recording.notes))


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
