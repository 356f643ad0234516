"""Sums that are exact to the venue's digits: prices and sizes are counted in units of their last decimal.

    0.1 + 0.2           1 + 2 tenths = 3 tenths → 0.3
    61837.63 x 0.00021  6183763 x 21, in units of 0.0000001

A venue's 0.1 arrives as the double nearest to it, and the only decimal of few digits that near is 0.1; so the whole
number that was meant is known. Whole numbers in two doubles add up without any loss to 106 bits, in any order. What is
no decimal of few digits (a converted amount, say) adds its plain double, with what the unit does not hold in the rest.
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
_HALF_ULP = 2.0**-53 * (1.0 + 2.0**-20)


def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


fma: Callable[[float, float, float], float] = cast(Any, intrinsic(_fma))
"""a * b + c, rounded once: `fma(a, b, -(a * b))` is exactly what the product lost. For kernels only."""


@inline
def is_whole(value: float, power: float) -> bool:
    """Whether the value is the double nearest to a decimal of the unit 1 / power.

    >>> is_whole(0.3, 10.0), is_whole(0.1 + 0.2, 10.0)
    (True, False)
    """
    scaled = value * power
    return math.fabs(fma(value, power, -np.rint(scaled))) <= math.fabs(scaled) * _HALF_ULP


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


@inline
def units(value: float, power: float) -> tuple[float, float]:
    """The value as a whole number of units, and what that leaves over (nothing of a decimal)."""
    whole = float(np.rint(value * power))
    return whole, 0.0 if is_whole(value, power) else fma(value, power, -whole)


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
