"""How much a candle moved: the one definition that labels, thresholds and scores share."""

from __future__ import annotations

import math

import numpy as np

from tickcast.indicators.ring import F8

RANGE_SECONDS = 60
"""From this length on a candle's range says more than its close; of shorter ones the range is mostly the spread."""
_PARKINSON = 1.0 / (4.0 * math.log(2.0))


def candle_variance(
    open: F8,  # noqa: ARG001 - a definition that needs it may come
    high: F8,
    low: F8,
    close: F8,
    previous_close: F8,
    candle_seconds: int,
) -> F8:
    """The variance of each candle's log return: Parkinson's of its range, or its squared return where it is short.

    >>> bar = [np.array([price]) for price in (100.0, 102.0, 99.0, 101.0, 100.0)]
    >>> candle_variance(*bar, 60).round(6).tolist(), candle_variance(*bar, 1).round(6).tolist()
    ([0.000321], [9.9e-05])
    """
    if candle_seconds >= RANGE_SECONDS:
        found: F8 = np.log(high / low) ** 2 * _PARKINSON
    else:
        found = np.log(close / previous_close) ** 2
    return found
