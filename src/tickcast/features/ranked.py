"""Numbers in their order, to take a quantile of at every row; what goes in and out is found by halving."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel

Floats = NDArray[np.float64]


@kernel
def place_of(ranked: Floats, count: int, value: float) -> int:
    """How many of the first `count` are less than a value."""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if ranked[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def swap(ranked: Floats, count: int, old: float, new: float) -> int:
    """Take one number out and put another in (NaN: none); returns how many there are then."""
    if math.isnan(old) and math.isnan(new):
        return count
    if math.isnan(old):
        at = place_of(ranked, count, new)
        for place in range(count, at, -1):
            ranked[place] = ranked[place - 1]
        ranked[at] = new
        return count + 1
    gone = place_of(ranked, count, old)
    if math.isnan(new):
        for place in range(gone, count - 1):
            ranked[place] = ranked[place + 1]
        return count - 1
    at = place_of(ranked, count, new)
    if at > gone:
        for place in range(gone, at - 1):
            ranked[place] = ranked[place + 1]
        ranked[at - 1] = new
    else:
        for place in range(gone, at, -1):
            ranked[place] = ranked[place - 1]
        ranked[at] = new
    return count


@kernel
def quantile(ranked: Floats, count: int, share: float) -> float:
    """As `numpy.quantile` interpolates, to the bit; of one number or more.

    >>> round(quantile(np.array([1.0, 2.0, 4.0, 9.0]), 3, 0.75), 12)
    3.0
    """
    place = (count - 1) * share
    first = math.floor(place)
    part = place - first
    below, above = ranked[first], ranked[min(first + 1, count - 1)]
    step = above - below
    return float(above - step * (1.0 - part) if part >= 0.5 else below + step * part)
