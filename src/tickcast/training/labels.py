"""What came of each row: looked up by window, never by place, and only where every candle of the horizon was whole.

    row at t              |<------------- horizon ------------->|
    ... candle, ends at t | candle | candle |   ...    | candle |
                  close ──┴── price: ln(last close / this close) ┘
                               volatility: sqrt(sum of the candles' variances), above the row's own threshold?

A horizon is rounded up to whole candles. Rows without a label keep a NaN, and the reason why.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.events import PARTIAL, Columns
from tickcast.features.volatility import candle_variance, horizon_candles
from tickcast.training.contract import F8, I8, Task

OK, PARTIAL_ROW, NO_LABEL_YET, GAP_IN_HORIZON, NO_THRESHOLD, ZERO_RETURN = range(6)

REASONS = {
    "older": "older than the training horizon",
    "other_feature_set": "of another feature set than the newest rows",
    "known_late": "known only later than a forecast could have waited (repaired, or fetched afterwards)",
    "partial": "of a candle that was not seen in full",
    "no_label_yet": "so near to the end of the data that their future is not known",
    "gap_in_horizon": "with a missing or partial candle in their future",
    "no_threshold": "before the trailing threshold of volatility was known",
    "zero_return": "whose price did not move, so that they have no direction",
    "missing_features": "with too many features not known, as before their memory has filled",
}
"""Why a row is left out, in words; each row is counted under the first that holds."""
NAMES = {
    PARTIAL_ROW: "partial",
    NO_LABEL_YET: "no_label_yet",
    GAP_IN_HORIZON: "gap_in_horizon",
    NO_THRESHOLD: "no_threshold",
    ZERO_RETURN: "zero_return",
}
THRESHOLD = "spike_threshold"


class Labels(NamedTuple):
    """Of some rows of one key."""

    values: F8
    realised: F8
    close: F8
    reasons: NDArray[np.int8]
    """OK, or why there is no label."""


def horizon_ms(task: Task, candle_seconds: int) -> int:
    """How far a label reaches into the future: whole candles.

    >>> horizon_ms(Task("volatility", 60), 300), horizon_ms(Task("price", 300), 60)
    (300000, 300000)
    """
    return horizon_candles(task.horizon_seconds, candle_seconds) * candle_seconds * 1000


def label(task: Task, candle_seconds: int, candles: Columns, times_ms: I8, thresholds: F8) -> Labels:
    """Labels of rows at some times; candles are of one key and length, in the order of time, each once."""
    count, step_ms = horizon_candles(task.horizon_seconds, candle_seconds), candle_seconds * 1000
    ends = candles["window_end_ms"]
    whole = np.append(0, np.cumsum(candles["quality"] == PARTIAL))
    reasons = np.zeros(len(times_ms), dtype=np.int8)
    values, realised, close = (np.full(len(times_ms), np.nan) for _ in range(3))
    if not len(ends):
        reasons[:] = PARTIAL_ROW
        return Labels(values, realised, close, reasons)
    at = np.minimum(ends.searchsorted(times_ms), len(ends) - 1)
    there = (ends[at] == times_ms) & (candles["quality"][at] != PARTIAL) & (candles["close"][at] > 0)
    last = np.minimum(at + count, len(ends) - 1)
    complete = (last == at + count) & (ends[last] == times_ms + count * step_ms) & (whole[last + 1] == whole[at + 1])
    complete &= candles["close"][last] > 0
    # of several reasons the first one stands: they are written from the last to the first
    reasons[~complete] = GAP_IN_HORIZON
    reasons[times_ms + count * step_ms > ends[-1]] = NO_LABEL_YET
    reasons[~there] = PARTIAL_ROW
    close[there] = candles["close"][at[there]]
    good = np.flatnonzero(reasons == OK)
    if len(good):
        realised[good] = realised_volatility(candles, candle_seconds, at[good], count)
        moved = np.log(candles["close"][last[good]] / candles["close"][at[good]])
        values[good] = _values(task, moved, realised[good], thresholds[good])
        reasons[good] = _reasons(task, moved, realised[good], thresholds[good])
    values[reasons != OK] = realised[reasons != OK] = np.nan
    return Labels(values, realised, close, reasons)


def realised_volatility(candles: Columns, candle_seconds: int, at: I8, count: int) -> F8:
    """The square root of the summed variances of the `count` candles behind each place, which must all be there."""
    closes = candles["close"]
    before = np.append(np.nan, closes[:-1])
    variance = candle_variance(candles["open"], candles["high"], candles["low"], closes, before, candle_seconds)
    total = np.zeros(len(at))
    for further in range(1, count + 1):  # in the order of time, so that equal candles give equal bits
        total += variance[at + further]
    found: F8 = np.sqrt(total)
    return found


def _values(task: Task, moved: F8, realised: F8, thresholds: F8) -> F8:
    if task.name == "price":
        return moved
    above = moved > 0.0 if task.name == "direction" else realised > thresholds
    return above.astype(np.float64)


def _reasons(task: Task, moved: F8, realised: F8, thresholds: F8) -> NDArray[np.int8]:
    found = np.zeros(len(moved), dtype=np.int8)
    if task.name == "direction":
        found[moved == 0.0] = ZERO_RETURN
    elif task.name == "volatility":
        found[~np.isfinite(thresholds)] = NO_THRESHOLD
    found[~(np.isfinite(moved) & np.isfinite(realised))] = GAP_IN_HORIZON  # a candle without a price is none
    return found
