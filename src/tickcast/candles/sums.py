"""Sums that are exact to the venue's digits: two doubles for one number, and a snap to the decimal grid at the end.

A venue's 0.1 arrives as the double nearest to it. Summed in two doubles nothing is lost but what each double lost, and
that is known to be tiny; so the decimal that was meant is the only one near enough, and its nearest double is issued.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from tickcast.kernels import inline

_POWERS = np.array([float(10**digits) for digits in range(23)])
"""Powers of ten that a double holds exactly."""
_PLAIN = 2.0**47
"""Below this a grid is so coarse, against the error of the doubles, that chance can not hit it."""
_FINEST = 2.0**52
_HALF_ULP = 2.0**-53

SINGLE, PRODUCT = 1.01, 2.02
"""Relative error of what was summed, in half units of the last place: of one decimal, and of two multiplied."""


def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


fma: Callable[[float, float, float], float] = cast(Any, intrinsic(_fma))
"""a * b + c, rounded once: `fma(a, b, -(a * b))` is exactly what the product lost. For kernels only."""


@inline
def snap(total: float, rest: float, error: float) -> float:
    """The double nearest to the decimal that a sum of decimals must be; the plain sum where no short one is near.

    >>> total, lost = 0.1 + 0.2, -(2.0**-55)
    >>> total, snap(total, lost, SINGLE)
    (0.30000000000000004, 0.3)
    """
    whole = total + rest
    rest -= whole - total
    total = whole
    if not total > 0.0:
        return total
    digits = 0
    while digits < 22 and total * _POWERS[digits + 1] < _PLAIN:
        digits += 1
    while digits < 23:
        power = _POWERS[digits]
        scaled = total * power
        if scaled >= _FINEST:
            break
        nearest = np.rint(scaled)
        off = (scaled - nearest) + (fma(total, power, -scaled) + rest * power)
        if off > 0.5:
            nearest += 1.0
            off -= 1.0
        elif off < -0.5:
            nearest -= 1.0
            off += 1.0
        if math.fabs(off) <= error * _HALF_ULP * scaled:
            return float(nearest / power)
        digits += 1
    return total


def _borrow(context: Any, array: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        borrowed = _make_array(array)(context, builder, value=arguments[0])
        borrowed.meminfo = borrowed.meminfo.type(None)
        borrowed.parent = borrowed.parent.type(None)
        return borrowed._getvalue()

    return array(array), generate


_make_array: Any = make_array
borrow: Callable[[Any], Any] = cast(Any, intrinsic(_borrow))
"""The same array without its counted reference: handing it from kernel to kernel costs nothing. The caller keeps it."""
