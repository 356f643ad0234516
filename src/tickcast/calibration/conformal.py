"""Split conformal: an interval from how wrong the model was on rows that it did not learn from.

With `n` scores that are exchangeable with the one to come, it lies at or below their `ceil((n + 1) * level)`-th with a
probability of at least `level`. Markets are not exchangeable over weeks: `calibration.adaptive` goes on from here.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.calibration.plain import from_plain, to_plain
from tickcast.errors import TrainingError

F8 = NDArray[np.float64]


def rank(rows: int, level: float) -> int:
    """`ceil((rows + 1) * level)`; an error in the last bits of the product does not make one more of it.

    >>> rank(9, 0.9), rank(99, 1 - 0.1), rank(100, 0.9)
    (9, 90, 91)
    """
    return math.ceil((rows + 1) * level * (1.0 - 1e-12))


def rank_quantile(scores: ArrayLike, level: float) -> float:
    """The score at that rank, counted from the lowest; infinite where there are too few scores for the level.

    >>> rank_quantile([3.0, 1.0, 2.0], 0.5), rank_quantile([3.0, 1.0, 2.0], 0.9)
    (2.0, inf)
    """
    known = _finite(scores)
    at = rank(len(known), level)
    return float(np.partition(known, at - 1)[at - 1]) if at <= len(known) else math.inf


def _finite(scores: ArrayLike) -> F8:
    known = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(known).all():
        first = int(np.argmin(np.isfinite(known)))
        what = f"score {first} is {known[first]}"
        raise TrainingError("conformal", what, "leave out rows without a forecast or an outcome")
    return known


def signed_scores(truth: ArrayLike, mean: ArrayLike, sigma: ArrayLike) -> F8:
    """`(truth - mean) / sigma`, row by row: how many scales off."""
    off: F8 = (np.asarray(truth, dtype=np.float64) - np.asarray(mean)) / np.asarray(sigma)
    return off


class Conformal(msgspec.Struct, frozen=True):
    """Bounds in scales around the mean: `mean + low * sigma` to `mean + high * sigma`.

    >>> conformal = Conformal.fit(np.arange(-50.0, 50.0), level=0.9)
    >>> conformal.high, conformal.bounds(1.0, 0.1)
    (45.0, (-3.5, 5.5))
    """

    level: float
    low: float
    high: float
    rows: int

    @classmethod
    def fit(cls, scores: ArrayLike, *, level: float = 0.9, symmetric: bool = True) -> Conformal:
        """Learn from signed scores of rows that the model has not learnt from.

        Symmetric: one quantile of their sizes. Otherwise each side has its own, and a miss on either is as likely.
        """
        signed = _finite(scores)
        if symmetric:
            high = rank_quantile(np.abs(signed), level)
            low = -high
        else:
            side = (1.0 + level) / 2.0
            low, high = -rank_quantile(-signed, side), rank_quantile(signed, side)
        if math.isinf(high) or math.isinf(low):
            needed = math.ceil(level / (1.0 - level) * (1 if symmetric else 2) - 1e-9)
            what = f"{len(signed)} scores are too few for a level of {level}"
            raise TrainingError(
                "conformal", what, f"calibrate on about {needed} rows or more, or ask for a lower level"
            )
        return cls(level, low, high, len(signed))

    def bounds(self, mean: Any, sigma: Any) -> tuple[Any, Any]:
        """The interval of one row, or of many."""
        return mean + self.low * sigma, mean + self.high * sigma

    def to_json(self) -> dict[str, Any]:
        """As a bundle keeps it."""
        made: dict[str, Any] = to_plain(self)
        return made

    @classmethod
    def from_json(cls, data: Any) -> Conformal:
        """What `to_json` gave."""
        return from_plain(data, cls, "conformal")
