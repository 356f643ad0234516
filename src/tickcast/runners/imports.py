"""Imported frames on the road of everything else: into tables, or through a data directory's journal into its store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from tickcast.candles.rollup import roll_up
from tickcast.clock import NS_PER_MS, SystemClock
from tickcast.config import FlowSettings, Settings
from tickcast.errors import DataError
from tickcast.events import CANDLES, Columns, Frame, concat
from tickcast.runners.embedded import Embedded
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.contract import Message
from tickcast.sources.own import frame_message
from tickcast.store.parquet import ParquetSink

MESSAGE_ROWS_MAX = 1000


class IntoTables:
    """Parquet files, as `tickcast replay --out` writes them."""

    def __init__(self, out: Path) -> None:
        self._sink = ParquetSink(out)
        self._pipelines: dict[FlowSettings, Pipeline] = {}

    def __enter__(self) -> IntoTables:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.__exit__(kind, error, trace)

    def take(self, frame: Frame, flow: FlowSettings) -> None:
        """Carry one frame through the stages of a flow."""
        pipeline = self._pipelines.get(flow)
        if pipeline is None:
            pipeline = self._pipelines[flow] = Pipeline(flow)
        for output in pipeline.push_frame(frame):
            self._sink.write(output)

    def summary(self) -> dict[str, Any]:
        """What was made."""
        results = self._sink.results
        return {
            "out": str(self._sink.directory),
            "counts": results.counts(),
            "digest": results.hexdigest(),
            "stages": [pipeline.counts() for pipeline in self._pipelines.values()],
        }


class IntoDirectory:
    """A data directory: rows enter through its journal, so that a later verify finds where they came from."""

    def __init__(self, settings: Settings, flow: FlowSettings) -> None:
        named = {name: getattr(flow, name) for name in FlowSettings.__struct_fields__}
        self._clock = SystemClock()
        self._embedded = Embedded(msgspec.structs.replace(settings, pairs=(), **named), self._clock)

    def __enter__(self) -> IntoDirectory:
        self._embedded.__enter__()
        try:
            self._embedded.recover()
        except BaseException as exc:
            self._embedded.__exit__(type(exc), exc, exc.__traceback__)
            raise
        self._embedded.status.rows.clear()
        self._before = self._embedded.pipeline.counts()
        self._refused = self._embedded.intake.quarantined()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._embedded.__exit__(kind, error, trace)
            return
        with ExitStack() as ending:
            ending.push(self._embedded)
            self._embedded.finish()

    def take(self, frame: Frame, flow: FlowSettings) -> None:  # noqa: ARG002 - the directory's own flow holds
        """Journal one frame, then carry it on; receive times are a feed's, so an import has none."""
        fetched_ms = self._clock.now_ns() // NS_PER_MS
        for start in range(0, max(len(frame), 1), MESSAGE_ROWS_MAX):
            stop = min(start + MESSAGE_ROWS_MAX, len(frame))
            part = frame.slice(start, stop, frame.low_ms if stop == len(frame) else _low_of(frame, start, stop))
            self._embedded.accept([Message(0, frame.exchange, frame_message(part, fetched_ms))])
        if self._embedded.intake.quarantined() != self._refused:
            reasons = "; ".join(self._embedded.intake.quarantined()[frame.exchange])
            raise DataError(frame.key[:80], f"was refused ({reasons})", "correct the file or its flags")
        self._embedded.settle_when_full()

    def summary(self) -> dict[str, Any]:
        """What was made."""
        since = {
            stage: {what: count - self._before.get(stage, {}).get(what, 0) for what, count in counts.items()}
            for stage, counts in self._embedded.pipeline.counts().items()
        }
        return {
            "data_dir": str(self._embedded.settings.data_dir),
            "counts": dict(self._embedded.status.rows),
            "stages": [since],
        }


def _low_of(frame: Frame, start: int, stop: int) -> int:
    """The low that holds after some of the rows: none is said that the rows themselves do not reach."""
    name = "window_end_ms" if frame.kind == CANDLES.name else "timestamp_ms"
    return min(frame.low_ms, int(frame.columns[name][start:stop].max()))


def rolled(frames: Iterator[Frame], have_seconds: int, want_seconds: tuple[int, ...]) -> Iterator[Frame]:
    """Candles of the lengths asked for, each when the last one it is made of has come."""
    if want_seconds == (have_seconds,):
        yield from frames
        return
    waiting = {seconds: CANDLES.empty() for seconds in want_seconds if seconds != have_seconds}
    for frame in frames:
        parts = [frame.columns] if have_seconds in want_seconds else []
        for seconds, rest in waiting.items():
            made, waiting[seconds] = _roll(concat([rest, frame.columns]), seconds, frame.low_ms)
            parts.append(made)
        joined = concat(parts)
        order = np.lexsort((joined["candle_seconds"], joined["window_end_ms"]))
        yield frame.with_columns("candles", {name: column[order] for name, column in joined.items()})


def _roll(rows: Columns, seconds: int, low_ms: int) -> tuple[Columns, Columns]:
    whole = rows["window_start_ms"] < low_ms // (seconds * 1000) * (seconds * 1000)
    done = {name: column[whole] for name, column in rows.items()}
    return roll_up(done, seconds), {name: column[~whole] for name, column in rows.items()}
