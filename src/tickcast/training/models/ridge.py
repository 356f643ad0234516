"""Ridge regression of the return on all features. Over minutes expect next to nothing of it.

How strongly weights are held down decides whether it finds a weak signal or learns noise by heart: returns over a
horizon overlap, so that there is far less to learn from than there are rows. The validation rows choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tickcast.training.contract import F8, Dataset, TaskName, Trial
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.linear import Sum
from tickcast.training.models.scaled import Linear, even, spread_of

_WINSOR = 5.0
ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""What the validation rows choose from; the last leaves hardly more than the mean."""


class Ridge(LinearKind):
    """See the module."""

    name = "ridge"
    tasks: tuple[TaskName, ...] = ("price",)
    defaults: ClassVar[dict[str, float]] = {"alpha": 1.0}

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Sum:  # noqa: ARG002
        """Least squares with weights held down by `alpha` rows' worth of nothing for each row.

        An `alpha` that is not given is the best on the validation rows. Returns are cut at five deviations first: a
        crash is to be covered by the interval, not learnt by heart.
        """
        given = merged(self.name, self.defaults, params)
        places = spread_of(train.names)
        centre, scale, z = even(train.features, places)
        limit = _WINSOR * float(train.labels.std())
        target = np.clip(train.labels, -limit, limit)
        mean = float(target.mean())
        gram, pull, middle = z.T @ z, z.T @ (target - mean), z.mean(axis=0)

        def solved(alpha: float) -> Linear:
            held = gram + alpha * len(z) * np.eye(len(gram))
            weights: F8 = np.asarray(np.linalg.solve(held, pull), dtype=np.float64)
            return Linear(places, centre, scale, weights, mean - float(middle @ weights))

        if "alpha" in params or not len(valid):
            return Sum(solved(given["alpha"]), train.names)
        truth = np.clip(valid.labels, -limit, limit)
        best = min(map(solved, ALPHAS), key=lambda one: _loss(one, valid.features, truth))
        return Sum(best, train.names)

    def space(self, trial: Trial) -> dict[str, Any]:
        """How strongly weights are held down."""
        return {"alpha": trial.suggest_float("alpha", 1e-3, 1000.0, log=True)}


def _loss(line: Linear, features: F8, truth: F8) -> float:
    return float(np.mean((truth - line.of(features)) ** 2))
