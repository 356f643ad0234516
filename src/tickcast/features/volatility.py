"""Realised volatility: one definition for the threshold in a feature row and for the label that is held against it.

The volatility of some candles is the square root of the sum of their variances, oldest first. The variance of a candle
of a minute or longer is Parkinson's, of its range; of a shorter one it is its squared log return.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import inline, kernel, warms

Floats = NDArray[np.float64]

RANGES_FROM_MS = 60_000
"""From this length on a candle's variance is taken from its range."""
RATE_FLOOR = 1e-5
"""Added to a volatility per candle before its logarithm is taken."""
THRESHOLD_FLOOR = 1e-6
"""Added to one over the horizon."""
_NAN = float("nan")
_PARKINSON = 1.0 / (4.0 * math.log(2.0))


def horizon_candles(volatility_seconds: int, candle_seconds: int) -> int:
    """How many whole candles a horizon takes.

    >>> horizon_candles(60, 1), horizon_candles(90, 60), horizon_candles(60, 300)
    (60, 2, 1)
    """
    return -(-volatility_seconds // candle_seconds)


@inline
def square_return(close: float, previous: float) -> float:
    """The squared log return of two prices above zero."""
    change = math.log(close / previous)
    return change * change


@inline
def range_variance(high: float, low: float) -> float:
    """Parkinson's variance of two prices above zero."""
    span = math.log(high / low)
    return span * span * _PARKINSON


@kernel
def _variances(high: Floats, low: Floats, close: Floats, previous: Floats, ranges: bool, out: Floats) -> None:
    for row in range(len(out)):
        value = _NAN
        if ranges and high[row] > 0.0 and low[row] > 0.0:
            value = range_variance(high[row], low[row])
        elif not ranges and close[row] > 0.0 and previous[row] > 0.0:
            value = square_return(close[row], previous[row])
        out[row] = value


def candle_variance(
    open: Floats, high: Floats, low: Floats, close: Floats, previous_close: Floats, candle_seconds: int
) -> Floats:
    """The variance of each candle; NaN where a price that it needs is not there.

    >>> bar = [np.array([price]) for price in (100.0, 101.0, 99.0, 100.5, 100.0)]
    >>> candle_variance(*bar, 60).round(8).tolist(), candle_variance(*bar, 1).round(8).tolist()
    ([0.00014428], [2.488e-05])
    """
    tops, bottoms, closes, before = (
        np.ascontiguousarray(column, dtype=np.float64) for column in (high, low, close, previous_close)
    )
    out = np.empty(len(open))
    _variances(tops, bottoms, closes, before, candle_seconds * 1000 >= RANGES_FROM_MS, out)
    return out


@warms
def _warm() -> None:
    one = np.ones(1)
    candle_variance(one, one, one, one, one, 60)
