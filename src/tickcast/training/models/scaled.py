"""Columns made even for linear models: centred, scaled, cut at five deviations, nothing where nothing is known.

One kernel for many rows and for one, so both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from tickcast.kernels import kernel
from tickcast.training.contract import F8
from tickcast.training.models.files import number, numbers

LIMIT = 5.0
"""Deviations beyond which a value says no more: one wild minute must not swing a forecast."""


@kernel
def combine(features: F8, at: F8, places: Any, centre: F8, scale: F8, weights: F8, intercept: float) -> None:
    """Write each row's weighted sum into `at`, in the order of the columns."""
    for row in range(features.shape[0]):
        total = intercept
        for j in range(len(places)):
            z = (features[row, places[j]] - centre[j]) / scale[j]
            if z == z:  # NaN: not known, the average stands for it
                total += weights[j] * min(max(z, -LIMIT), LIMIT)
        at[row] = total


class Linear(msgspec.Struct, frozen=True):
    """A weighted sum of evened columns."""

    places: np.ndarray[Any, np.dtype[np.int64]]
    """Which columns of the rows it takes."""
    centre: F8
    scale: F8
    weights: F8
    intercept: float

    def of(self, features: F8) -> F8:
        """The sum for each row."""
        out = np.empty(len(features))
        combine(features, out, self.places, self.centre, self.scale, self.weights, self.intercept)
        return out

    def one(self) -> Callable[[F8], float]:
        """The sum for one row."""
        out = np.empty(1)
        parts = (self.places, self.centre, self.scale, self.weights, self.intercept)

        def single(row: F8) -> float:
            combine(row.reshape(1, -1), out, *parts)
            return float(out[0])

        return single

    def told(self, names: tuple[str, ...]) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "names": [names[place] for place in self.places.tolist()],
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
        }

    def importance(self, names: tuple[str, ...]) -> dict[str, float]:
        """The weight of each column in deviations."""
        return {names[p]: abs(float(w)) for p, w in zip(self.places.tolist(), self.weights, strict=True)}


def read_linear(value: Mapping[str, Any], names: tuple[str, ...]) -> Linear:
    """What `told` wrote, for rows of these names; BundleError where it does not fit."""
    from tickcast.errors import BundleError

    used = value.get("names")
    if not isinstance(used, list) or any(name not in names for name in used):
        strange = next((n for n in used if n not in names), "?") if isinstance(used, list) else "names"
        raise BundleError(f"feature {strange}", "is not among those of the bundle", "take another version")
    count = len(used)
    scale = numbers(value, "scale", count)
    if (scale <= 0).any():
        raise BundleError("field scale", "holds a number that is not above zero", "take another version")
    places = np.array([names.index(name) for name in used], dtype=np.int64)
    parts = numbers(value, "centre", count), scale, numbers(value, "weights", count)
    return Linear(places, *parts, number(value, "intercept"))


def even(features: F8, places: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[F8, F8, F8]:
    """Centre, scale and the evened columns, from the rows to learn from."""
    columns = features[:, places]
    known = np.isfinite(columns)
    filled = np.where(known, columns, 0.0)
    count = np.maximum(known.sum(axis=0), 1)
    centre = filled.sum(axis=0) / count
    away = np.where(known, columns - centre, 0.0)
    scale = np.sqrt((away * away).sum(axis=0) / count)
    scale[~(scale > 1e-12 * np.maximum(1.0, np.abs(centre)))] = 1.0
    return centre, scale, np.clip(away / scale, -LIMIT, LIMIT)


def spread_of(names: tuple[str, ...], wanted: tuple[str, ...] = ()) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of the wanted names; none wanted: all."""
    return np.array([names.index(n) for n in wanted] if wanted else range(len(names)), dtype=np.int64)
