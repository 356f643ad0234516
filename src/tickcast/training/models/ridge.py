"""Ridge regression of the return on all features. Over minutes expect next to nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tickcast.training.contract import Dataset, TaskName, Trial
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.linear import Sum
from tickcast.training.models.scaled import Linear, even, spread_of

_WINSOR = 5.0


class Ridge(LinearKind):
    """See the module."""

    name = "ridge"
    tasks: tuple[TaskName, ...] = ("price",)
    defaults: ClassVar[dict[str, float]] = {"alpha": 0.3}

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Sum:  # noqa: ARG002
        """Least squares with weights held down by `alpha` rows' worth of nothing for each row.

        Returns are cut at five deviations first: a crash is to be covered by the interval, not learnt by heart.
        """
        given = merged(self.name, self.defaults, params)
        places = spread_of(train.names)
        centre, scale, z = even(train.features, places)
        limit = _WINSOR * float(train.labels.std())
        target = np.clip(train.labels, -limit, limit)
        mean = float(target.mean())
        gram = z.T @ z + given["alpha"] * len(z) * np.eye(z.shape[1])
        weights = np.linalg.solve(gram, z.T @ (target - mean))
        return Sum(Linear(places, centre, scale, weights, mean - float(z.mean(axis=0) @ weights)), train.names)

    def space(self, trial: Trial) -> dict[str, Any]:
        """How strongly weights are held down."""
        return {"alpha": trial.suggest_float("alpha", 1e-3, 100.0, log=True)}
