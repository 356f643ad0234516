"""Sums that are exact to the venue's digits: prices and sizes are counted in units of their last decimal.

    0.1 + 0.2           1 + 2 tenths = 3 tenths → 0.3
    61837.63 x 0.00021  6183763 x 21, in units of 0.0000001

A venue's 0.1 arrives as the double nearest to it, and the only decimal of few digits that near is 0.1; so the whole
number that was meant is known. Whole numbers in two doubles add up without any loss to 106 bits, in any order. What is
no decimal of few digits (a converted amount, say) is added as the plain double that it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from tickcast.kernels import inline, kernel

Floats = NDArray[np.float64]

DIGITS_MAX = 11
"""Decimals of a price, or of a size, that are looked for: the unit of a product is then a power a double holds."""
POWERS = np.array([float(10**digits) for digits in range(23)])
_CLEAR = 2.0**52
"""Beyond it doubles lie so far apart that they do not tell one unit from the next."""
_HALF_ULP = 2.0**-53 * (1.0 + 2.0**-20)


def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


fma: Callable[[float, float, float], float] = cast(Any, intrinsic(_fma))
"""a * b + c, rounded once: `fma(a, b, -(a * b))` is exactly what the product lost. For kernels only."""


@inline
def is_whole(value: float, power: float) -> bool:
    """Whether the value is the double nearest to a decimal of the unit 1 / power, and to no other.

    >>> is_whole(0.3, 10.0), is_whole(0.1 + 0.2, 10.0)
    (True, False)
    """
    scaled = value * power
    off = math.fabs(fma(value, power, -np.rint(scaled)))
    return (off <= math.fabs(scaled) * _HALF_ULP) & (math.fabs(scaled) < _CLEAR)


@kernel
def digits_of(value: float, digits: int) -> int:
    """How many decimals the value has, at least `digits`; -1 if it is no decimal of few digits.

    >>> digits_of(0.25, 0), digits_of(3.0, 1), digits_of(1 / 3, 0)
    (2, 1, -1)
    """
    while digits <= DIGITS_MAX:
        if is_whole(value, POWERS[digits]):
            return digits
        digits += 1
    return -1


@kernel
def first_unfit(values: Floats, start: int, stop: int, power: float) -> int:
    """The first of the values that is no whole number of units, or `stop`."""
    while start < stop:
        until = min(start + 256, stop)
        unfit = 0
        for row in range(start, until):
            unfit |= not is_whole(values[row], power)
        if unfit:
            while is_whole(values[start], power):
                start += 1
            return start
        start = until
    return stop


@kernel
def units(value: float, digits: int) -> tuple[float, float]:
    """The value in units of its `digits`th decimal, as two doubles; of a decimal they are whole numbers.

    >>> units(0.3, 2), units(543300.19, 10)
    ((30.0, 0.0), (5433001900000000.0, 0.0))
    """
    scaled = value * POWERS[digits]
    if is_whole(value, POWERS[digits]):
        return float(np.rint(scaled)), 0.0
    own = digits_of(value, 0)
    if 0 <= own < digits:  # too big to count in these units, but not in its own
        whole, factor = float(np.rint(value * POWERS[own])), POWERS[digits - own]
        return whole * factor, fma(whole, factor, -(whole * factor))
    return scaled, fma(value, POWERS[digits], -scaled)


@inline
def rescale(money: Floats, at: int, rest_at: int, factor: float) -> None:
    """Count a sum in units that are so many times smaller."""
    total = money[at] * factor
    money[rest_at] = money[rest_at] * factor + fma(money[at], factor, -total)
    money[at] = total


@inline
def value_of(total: float, rest: float, power: float) -> float:
    """The double nearest to a sum of units.

    >>> value_of(3.0, 0.0, 10.0)
    0.3
    """
    whole = total + rest
    value = whole / power
    return value + (fma(-value, power, whole) + (rest - (whole - total))) / power


@inline
def add(money: Floats, at: int, rest_at: int, value: float, rest: float) -> None:
    """Add to a sum of two doubles; what the first loses, the second keeps."""
    old = money[at]
    new = old + value
    back = new - old
    money[rest_at] += ((old - (new - back)) + (value - back)) + rest
    money[at] = new
