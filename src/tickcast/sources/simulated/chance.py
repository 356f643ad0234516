"""Random draws and the few functions on them, from integer arithmetic and + - * / sqrt alone.

The market's bytes must not depend on the machine: numpy does not promise its distributions from version to version,
and libm's exp and log differ in the last digit between platforms. So the generator (xoshiro256++, of Blackman and
Vigna, public domain) and the functions are written out here; IEEE 754 fixes what each of their steps gives.

Numba's cache watches the file of a kernel, not the files it calls: after a change here, touch `kernels.py` too.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel

_U11, _U17, _U19, _U23, _U41, _U45 = (np.uint64(n) for n in (11, 17, 19, 23, 41, 45))
_U12 = np.uint64(12)
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts: the first with zeros at the end, so that k * it is exact
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476


def stream(seed: int, name: str) -> NDArray[np.uint64]:
    """The state of a stream of draws that belongs to a seed and a name; other names give unrelated streams.

    >>> stream(1, "BTCUSDT").shape
    (4,)
    """
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=32).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


@kernel
def uniform(state: NDArray[np.uint64]) -> float:
    """A number between 0 and 1, never one of them."""
    total = state[0] + state[3]
    drawn = ((total << _U23) | (total >> _U41)) + state[0]
    carried = state[1] << _U17
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= carried
    state[3] = (state[3] << _U45) | (state[3] >> _U19)
    return (np.float64(drawn >> _U12) + 0.5) * 2.220446049250313e-16


@kernel
def log(x: float) -> float:
    """Natural logarithm of a normal positive number, good to about 1e-15."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> 52) - 1022
    m = np.int64((bits & 0xFFFFFFFFFFFFF) | (1022 << 52)).view(np.float64)  # in [0.5, 1)
    if m < _SQRT_HALF:
        m *= 2.0
        exponent -= 1
    z = (m - 1.0) / (m + 1.0)
    s = z * z
    series = 1.0 / 15.0 + s * (1.0 / 17.0 + s * (1.0 / 19.0 + s / 21.0))
    series = 1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0 + s * (1.0 / 13.0 + s * series)))
    series = s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * series))
    return exponent * _LN2_HIGH + (exponent * _LN2_LOW + 2.0 * z * (1.0 + series))


@kernel
def exp(x: float) -> float:
    """The exponential function, good to about 1e-15; what is below -700 is 0, and 700 is the most."""
    if x < -700.0:
        return 0.0
    x = min(x, 700.0)
    k = int(np.floor(x * 1.4426950408889634 + 0.5))
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    series = 1.0 / 362880.0 + r * (1.0 / 3628800.0 + r * (1.0 / 39916800.0 + r / 479001600.0))
    series = 1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0 + r * (1.0 / 40320.0 + r * series)))
    series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * series))))
    scale: float = np.int64((k + 1023) << 52).view(np.float64)
    return series * scale


@kernel
def normal(state: NDArray[np.uint64]) -> float:
    """A standard normal number, from one draw: the inverse distribution function after P. J. Acklam (error 1e-9)."""
    p = uniform(state)
    tail = min(p, 1.0 - p)
    if tail > 0.02425:
        q = p - 0.5
        r = q * q
        top = ((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
        top = ((top + 1.383577518672690e02) * r - 3.066479806614716e01) * r + 2.506628277459239e00
        low = ((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
        low = ((low + 6.680131188771972e01) * r - 1.328068155288572e01) * r + 1.0
        return top * q / low
    q = np.sqrt(-2.0 * log(tail))
    top = ((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e00) * q
    top = ((top - 2.549732539343734e00) * q + 4.374664141464968e00) * q + 2.938163982698783e00
    low = ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e00) * q
    low = (low + 3.754408661907416e00) * q + 1.0
    z: float = top / low
    return z if p < 0.5 else -z
