"""How large a return to expect: one number for each row, from what the row knows of volatility.

    ln(|return - mean| + 1e-5)  ~  least squares on log_rv_*, log_range_*, log_tod*, log_ewma*

The columns are evened (average 0, deviation 1) and cut at 5 deviations; what is missing counts as the average. An
interval is so many of these scales wide, and is wide when the market is wild before it has seen a single miss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.calibration.plain import from_plain, to_plain
from tickcast.errors import BundleError, TrainingError
from tickcast.kernels import kernel, plain, warms

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

PREFIXES = ("log_rv_", "log_range_", "log_tod", "log_ewma")
"""Columns that tell of volatility."""
RETURN_FLOOR = 1e-5
"""Added to a return before its logarithm is taken."""
SCALE_FLOOR = 1e-6
"""No scale is below it: a market that stands still may move again."""
CUT = 5.0
"""An evened column counts at most as this many deviations."""
RIDGE = 1e-6
"""Of the rows, added to the columns' squares: columns that say the same share the weight, always alike."""
ROWS_MIN = 30
_NORMAL_MEDIAN = 0.6744897501960817
"""Of |z| where z is normal: the scale is a standard deviation for such returns."""


@kernel
def _scales(features: F8, places: I8, centre: F8, spread: F8, weights: F8, out: F8) -> None:
    for row in range(len(out)):
        total = weights[len(places)]
        for at in range(len(places)):
            evened = (features[row, places[at]] - centre[at]) / spread[at]
            if not math.isnan(evened):
                total += weights[at] * min(max(evened, -CUT), CUT)
        out[row] = max(math.exp(total), SCALE_FLOOR)


class _Kept(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    places: tuple[int, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    """One for each name, and the constant last."""


class Scale:
    """The expected size of a return, for one row or many; the same bits for both.

    >>> rng = np.random.default_rng(1)
    >>> features = rng.normal(size=(1000, 1)) - 6.0
    >>> returns = np.exp(features[:, 0]) * rng.normal(size=1000)
    >>> scale = Scale.fit(("log_rv_60",), features, returns)
    >>> 0.9 < scale.one(np.array([-6.0])) / math.exp(-6.0) < 1.1
    True
    """

    __slots__ = ("_arrays", "_kept")

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._arrays = (
            np.array(kept.places, dtype=np.int64),
            np.array(kept.centre, dtype=np.float64),
            np.array(kept.spread, dtype=np.float64),
            np.array(kept.weights, dtype=np.float64),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it reads; none: it is the same for every row."""
        return self._kept.names

    @classmethod
    def fit(cls, names: Sequence[str], features: F8, residuals: F8) -> Scale:
        """Learn from rows: their features (rows x names) and their returns minus the mean that was forecast."""
        sizes = np.asarray(residuals, dtype=np.float64)
        if len(sizes) < ROWS_MIN or features.shape != (len(sizes), len(names)):
            what = f"{len(sizes)} returns beside features {features.shape} of {len(names)} names"
            raise TrainingError("scale", what, f"give one row of features a return, and {ROWS_MIN} rows or more")
        places = [at for at, name in enumerate(names) if name.startswith(PREFIXES)]
        columns = np.asarray(features[:, places], dtype=np.float64)
        if not np.isfinite(sizes).all() or np.isinf(columns).any():
            what = "a return that is not finite, or a volatility that is infinite"
            raise TrainingError("scale", what, "look for a price of zero in the candles, and leave such rows out")
        used, centre, spread = _even(columns)
        kept = [places[at] for at in used]
        weights = _least_squares((columns[:, used] - centre) / spread, np.log(np.abs(sizes) + RETURN_FLOOR))
        raw = cls(_Kept(tuple(names[at] for at in kept), tuple(kept), _floats(centre), _floats(spread), weights))
        return raw._levelled(np.abs(sizes) / raw.of(features))

    def _levelled(self, ratios: F8) -> Scale:
        """The same with its constant moved, so that it is a standard deviation and not the mean of a logarithm."""
        factor = float(np.median(ratios)) / _NORMAL_MEDIAN
        factor = factor or math.sqrt(float(np.mean(ratios * ratios))) or 1.0
        *slopes, constant = self._kept.weights
        return Scale(msgspec.structs.replace(self._kept, weights=(*slopes, constant + math.log(factor))))

    def of(self, features: F8) -> F8:
        """The scale of each row of features (rows x all names that `fit` was given)."""
        out = np.empty(len(features))
        _scales(plain(np.asarray(features, dtype=np.float64)), *self._arrays, out)
        return out

    def one(self, row: F8) -> float:
        """The scale of one row of features."""
        return float(self.of(row.reshape(1, -1))[0])

    def to_json(self) -> dict[str, Any]:
        """As a bundle keeps it."""
        made: dict[str, Any] = to_plain(self._kept)
        return made

    @classmethod
    def from_json(cls, data: Any, names: Sequence[str]) -> Scale:
        """What `to_json` gave, for rows with these features in this order; refused where they do not fit."""
        kept = from_plain(data, _Kept, "scale")
        missing = [name for name in kept.names if name not in names]
        sizes = {len(kept.names), len(kept.places), len(kept.centre), len(kept.spread), len(kept.weights) - 1}
        if missing or len(sizes) > 1:
            what = f"it reads {', '.join(missing)}, which no row has" if missing else "its parts differ in length"
            raise BundleError("scale", what, "serve it with the feature set it was trained on, or train again")
        return cls(msgspec.structs.replace(kept, places=tuple(names.index(name) for name in kept.names)))


def _floats(values: F8) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _even(columns: F8) -> tuple[list[int], F8, F8]:
    """The columns that say something (known somewhere, and not always the same), their averages and deviations."""
    used, centre, spread = [], [], []
    for at in range(columns.shape[1]):
        known = columns[:, at][~np.isnan(columns[:, at])]
        if len(known) and np.ptp(known) > 0.0 and np.std(known) > 0.0:
            used.append(at)
            centre.append(np.mean(known))
            spread.append(np.std(known))
    return used, np.array(centre), np.array(spread)


def _least_squares(evened: F8, target: F8) -> tuple[float, ...]:
    """Weights of the columns, and the constant last."""
    cut = np.clip(np.nan_to_num(evened, nan=0.0), -CUT, CUT)
    average, middle = np.mean(cut, axis=0), float(np.mean(target))
    off = cut - average
    square = off.T @ off + RIDGE * len(target) * np.eye(off.shape[1])
    slopes = np.linalg.solve(square, off.T @ (target - middle)) if off.shape[1] else np.empty(0)
    return (*_floats(slopes), middle - float(slopes @ average))


@warms
def _warm() -> None:
    _scales(np.ones((1, 1)), np.zeros(1, np.int64), np.ones(1), np.ones(1), np.ones(2), np.empty(1))
