"""Some files leave out the candles of quiet windows: those are put back, flat, as live candles have them.

file   | 5 7 |     |     | 8 |           o h l c, volume
filled | 5 7 | 7 7 | 7 7 | 8 |           7 7 7 7, 0
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tickcast.clock import DAY_MS
from tickcast.events import COMPLETE, Columns, Frame, concat

ROWS_AT_ONCE = 200_000
_PRICES = ("open", "high", "low", "close")


def fill_quiet(frames: Iterator[Frame], candle_seconds: int, longest_ms: int = DAY_MS) -> Iterator[Frame]:
    """Frames of one market's candles in the order of time, without holes shorter than `longest_ms`."""
    step_ms = candle_seconds * 1000
    last: Columns | None = None
    for frame in frames:
        rows = frame.columns if last is None else concat([last, frame.columns])
        holes = np.diff(rows["window_start_ms"]) // step_ms - 1
        holes[holes * step_ms >= longest_ms] = 0
        ends = np.cumsum(np.append(1, holes + 1))
        begin = 0 if last is None else 1  # the last candle of before is there to be repeated, not to be given again
        while begin < len(ends):
            given = int(ends[begin - 1]) if begin else 0
            stop = max(begin + 1, int(np.searchsorted(ends, given + ROWS_AT_ONCE, "right")))
            start = max(begin - 1, 0)
            some = {name: column[start:stop] for name, column in rows.items()}
            filled = _filled(some, holes[start : stop - 1], step_ms)
            cut = {name: column[begin - start :] for name, column in filled.items()}
            yield Frame("candles", frame.exchange, frame.pair, int(cut["window_end_ms"][-1]), cut)
            begin = stop
        last = {name: column[-1:] for name, column in rows.items()}


def _filled(rows: Columns, holes: np.ndarray[tuple[int, ...], np.dtype[np.int64]], step_ms: int) -> Columns:
    source = np.repeat(np.arange(len(holes) + 1), np.append(holes, 0) + 1)
    after = np.arange(len(source)) - np.searchsorted(source, source, "left")
    filled = {name: column[source] for name, column in rows.items()}
    quiet = after > 0
    filled["window_start_ms"] = filled["window_start_ms"] + after * step_ms
    filled["window_end_ms"] = filled["window_start_ms"] + step_ms
    filled["known_at_ms"] = np.where(quiet, filled["window_end_ms"], filled["known_at_ms"])
    for name in _PRICES:
        filled[name] = np.where(quiet, filled["close"], filled[name])
    for name in ("volume", "quote_volume", "buy_volume"):
        filled[name] = np.where(quiet & ~np.isnan(filled[name]), 0.0, filled[name])
    filled["trade_count"] = np.where(quiet, 0, filled["trade_count"])
    filled["quality"][quiet] = COMPLETE
    return filled
