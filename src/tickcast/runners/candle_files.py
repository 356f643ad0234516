"""Files of candles, carried through the stages in memory: what learning needs where there is no data directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from tickcast.config import FlowSettings
from tickcast.errors import DataError
from tickcast.events import Frame
from tickcast.runners.imports import rolled
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.files.merge import merged
from tickcast.sources.files.quiet import fill_quiet
from tickcast.sources.files.reader import ReadResult, read_file
from tickcast.sources.files.result import ReadOptions

_NO_NUMBER = "is not a number"
"""How a reader ends the reason for which it refused an infinity, or a text where a number belongs."""


def carried(frames: Iterable[Frame], flow: FlowSettings) -> Iterator[Frame]:
    """All that the stages make of some frames, as live, replay and import make it."""
    pipeline = Pipeline(flow)
    for frame in frames:
        yield from pipeline.push_frame(frame)


def outputs_of(
    paths: Sequence[Path],
    flow: FlowSettings,
    options: ReadOptions | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> Iterator[Frame]:
    """What the stages make of files of candles; all files of one pair are read as one.

    Candles of which the flow's lengths can not be made stay as long as they are. Rows that were refused are told; one
    that holds an infinity, or what is no number at all, ends it: nobody can say what else such a file holds.
    """
    groups: dict[tuple[str, str, str, int], list[ReadResult]] = {}
    for path in paths:
        result = read_file(path, options=options or ReadOptions())
        if result.understood.what != "candles":
            raise DataError(str(path), "holds trades, not candles, so nothing was read", "import it first, then train")
        told(f"{path}: {result.understood}")
        groups.setdefault(result.key, []).append(result)
    markets: dict[tuple[str, str], Path] = {}
    for (_, exchange, pair, _), files in groups.items():
        other = markets.setdefault((exchange, pair), files[0].path)
        if other != files[0].path:
            raise DataError(
                str(files[0].path),
                f"and {other} hold candles of {exchange}:{pair} of several lengths, so nothing was read",
                "give files of one length",
            )
    for (_, _, _, seconds), files in groups.items():
        yield from carried(_frames(files, seconds, own := _flow(flow, seconds)), own)
        for file in files:
            _tell_refused(file, told)


def _tell_refused(file: ReadResult, told: Callable[[str], None]) -> None:
    refused = file.rejects
    if not refused.count:
        return
    odd = sum(count for kind, count in refused.reasons.items() if kind.endswith(_NO_NUMBER))
    first = next((one for one in refused.first if not odd or one.reason.endswith(_NO_NUMBER)), refused.first[0])
    if odd:
        raise DataError(
            f"{file.path}, {first.place}",
            f"{first.reason}, in this and {odd - 1:,} more rows, and nothing can be learned from that",
            "correct or remove these rows",
        )
    told(f"{file.path}: {refused.count:,} rows were refused and are missing; the first: {first.place}, {first.reason}")


def _flow(flow: FlowSettings, seconds: int) -> FlowSettings:
    if all(one % seconds == 0 for one in flow.candle_seconds):
        return flow
    return msgspec.structs.replace(flow, candle_seconds=(seconds,))


def _frames(files: list[ReadResult], seconds: int, flow: FlowSettings) -> Iterator[Frame]:
    frames = merged(files)
    quiet_ms = max(file.quiet_ms for file in files)
    if quiet_ms:
        frames = fill_quiet(frames, seconds, quiet_ms)
    return rolled(frames, seconds, flow.candle_seconds)
