"""Trades as one writes them on a tape, and the two ways in which every stage test runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tickcast.candles.layout import PARTIAL_FROM
from tickcast.events import TRADES, Columns, Frame, concat
from tickcast.flow import Stage

DAY_MS = 86_400_000
MIDNIGHT_MS = 1_704_067_200_000
"""2024-01-01, a Monday; times on the tape count from here."""

Row = dict[str, Any]


def at(clock: str) -> int:
    """Milliseconds of `minutes:seconds` after midnight: `1:30`, `0:59.999`."""
    minutes, seconds = clock.split(":")
    return MIDNIGHT_MS + int(minutes) * 60_000 + round(float(seconds) * 1000)


def trade(number: int, clock: str | int, price: float = 100.0, quantity: float = 1.0, **more: Any) -> Row:
    """One trade; `first_id` is its own id unless it is said otherwise."""
    time = at(clock) if isinstance(clock, str) else clock
    row = {"trade_id": number, "first_id": number, "price": price, "quantity": quantity, "timestamp_ms": time}
    return row | {"recv_ms": time, "bid": np.nan, "ask": np.nan} | more


def frame(*rows: Row, low: str | int = 0, blind: str | int = 0) -> Frame:
    """Trades of one key, with the word that holds after them."""
    low_ms, blind_ms = (at(word) if isinstance(word, str) else word for word in (low, blind))
    low_ms = max(low_ms, *(row["timestamp_ms"] for row in rows), 0)
    return Frame("trades", "binance", "BTCUSDT", low_ms, TRADES.rows(rows), blind_ms)


Way = Callable[[Callable[[], Stage], Sequence[Frame]], tuple[list[Frame], dict[str, int]]]


def in_one_process(make: Callable[[], Stage], frames: Sequence[Frame]) -> tuple[list[Frame], dict[str, int]]:
    stage = make()
    state = stage.new()
    out = [written for frame in frames for written in stage.step(state, frame)]
    return out, stage.counts(state)


def forgetting_everything_between_frames(
    make: Callable[[], Stage], frames: Sequence[Frame]
) -> tuple[list[Frame], dict[str, int]]:
    """The state is bytes in a store; each frame meets another process."""
    data = make().snapshot(make().new())
    out = []
    for frame in frames:
        stage = make()
        state = stage.restore(data)
        out += stage.step(state, frame)
        data = stage.snapshot(state)
        assert data == make().snapshot(make().restore(data))
    return out, make().counts(make().restore(data))


WAYS = (in_one_process, forgetting_everything_between_frames)


def joined(frames: Sequence[Frame]) -> Columns:
    """All rows of some frames as one."""
    return concat([frame.columns for frame in frames]) if frames else {}


def as_bytes(columns: Columns) -> dict[str, bytes]:
    """Columns by their bits, so that equal means equal."""
    return {name: column.tobytes() for name, column in columns.items()}


def rows_of(columns: Columns) -> list[Row]:
    """Columns as dicts, one a row."""
    count = len(next(iter(columns.values()))) if columns else 0
    return [{name: column[k].item() for name, column in columns.items()} for k in range(count)]


def revision_of(row: Row) -> int:
    """Its revision, counted from 0 also where no whole candle was made yet."""
    revision: int = row["revision"]
    return revision - PARTIAL_FROM if PARTIAL_FROM <= revision < 0 else revision


def cut(whole: Frame, places: Sequence[int]) -> list[Frame]:
    """The same rows in more frames; the last one carries the word of the whole."""
    bounds = [0, *sorted(set(places)), len(whole)]
    times = whole.columns["timestamp_ms"]
    parts = []
    for start, stop in pairwise(bounds):
        last = stop == len(whole)
        parts.append(whole.slice(start, stop, whole.low_ms if last else int(times[:stop].max(initial=0))))
    return parts
