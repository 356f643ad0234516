"""When a model is to learn again: pure functions of how far its data and the stored rows reach.

    newest bundle's data ─────────── hours ──────────→ due
    |======= training_days =======|....... new rows .......|
                                                        cut to a full hour before the newest row

Time is the market's, as rows tell it: where nothing new was stored there is nothing new to learn. The cut makes a
training that was killed begin again with the very same rows, and so end with the same bundle.
"""

from __future__ import annotations

from typing import NamedTuple

HOUR_MS = 3_600_000
FIRST_ROWS = 1200
"""A dataset wants a thousand; the cut and the rows whose future is not known yet take some."""
NEW_SHARE = 0.5
"""What share of the rows that the hours could have given must be there: after a long gap there is little to learn."""
STEPS = 4
"""A cut is at a full hour, or at a full part of the hours where these are few."""


class Reach(NamedTuple):
    """How far stored rows reach, over all keys."""

    last_ms: int
    """The newest row's time."""
    rows: int
    """How many there are, behind the newest bundle's data where there is one."""
    keys: int
    candle_seconds: int


class Due(NamedTuple):
    """Whether it is time, in a sentence, and how much of the market's time is to pass before it is worth asking again.

    Nothing new may come for a long time; then the answer stays what it is.
    """

    is_due: bool
    why: str
    until_ms: int
    """Where the rows to learn from are cut."""
    wait_s: float


def due(newest_ms: int | None, reach: Reach, hours: float) -> Due:
    """Is it time? `newest_ms`: the end of what the newest bundle learned from, None where there is no bundle.

    >>> day_ms = 24 * HOUR_MS
    >>> due(10 * day_ms, Reach(11 * day_ms, 1440, 1, 60), 24).why
    'its data end 24.0 h before the newest row, and 1,440 rows are new'
    >>> due(10 * day_ms, Reach(10 * day_ms + HOUR_MS, 60, 1, 60), 24).wait_s / 3600
    23.0
    """
    until_ms = _cut(reach.last_ms, hours)
    if hours <= 0:
        return Due(False, "retrain_hours is 0, which means never", until_ms, float("inf"))
    if newest_ms is None:
        lacking = max(0, FIRST_ROWS - reach.rows)
        told = f"there is no bundle yet, and {reach.rows:,} rows"
        if lacking:
            wait_s = lacking / max(reach.keys, 1) * reach.candle_seconds
            return Due(False, f"{told} where at least {FIRST_ROWS:,} are needed", until_ms, wait_s)
        return Due(True, told, until_ms, 0.0)
    age_ms = reach.last_ms - newest_ms
    if age_ms < hours * HOUR_MS:
        told = f"its data end {max(age_ms, 0) / HOUR_MS:.1f} h before the newest row, and {hours:g} h were asked for"
        return Due(False, told, until_ms, (hours * HOUR_MS - age_ms) / 1000)
    told = f"its data end {age_ms / HOUR_MS:.1f} h before the newest row, and {reach.rows:,} rows are new"
    wanted = int(NEW_SHARE * hours * 3600 / max(reach.candle_seconds, 1) * max(reach.keys, 1))
    if reach.rows < wanted:
        wait_s = (wanted - reach.rows) / max(reach.keys, 1) * reach.candle_seconds
        return Due(False, f"{told} where at least {wanted:,} are needed", until_ms, wait_s)
    return Due(True, told, until_ms, 0.0)


def _cut(last_ms: int, hours: float) -> int:
    """The last full hour, or part of the hours.

    >>> _cut(13 * HOUR_MS + 5, 24) / HOUR_MS, _cut(13 * HOUR_MS + 5, 0) / HOUR_MS
    (13.0, 13.0)
    """
    step_ms = max(60_000, round(min(hours / STEPS, 1.0) * HOUR_MS) // 60_000 * 60_000)
    return last_ms // step_ms * step_ms


def again_s(failures: int, hours: float) -> float:
    """How long to wait after so many failures in a row: minutes at first, at most the hours themselves.

    >>> [again_s(count, 24) / 60 for count in (1, 2, 3, 20)]
    [10.0, 20.0, 40.0, 1440.0]
    """
    return float(min(600.0 * 2.0 ** min(failures - 1, 30), max(hours * 3600, 60.0)))
