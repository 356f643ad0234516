"""Logistic regression on all features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tickcast.training.contract import Dataset, TaskName, Trial
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.linear import Odds
from tickcast.training.models.scaled import Linear, even, spread_of


class Logistic(LinearKind):
    """See the module."""

    name = "logistic"
    tasks: tuple[TaskName, ...] = ("direction", "volatility")
    defaults: ClassVar[dict[str, float]] = {"C": 0.1}

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Odds:  # noqa: ARG002
        """Scikit-learn's fit on evened columns."""
        from sklearn.linear_model import LogisticRegression

        given = merged(self.name, self.defaults, params)
        places = spread_of(train.names)
        centre, scale, z = even(train.features, places)
        model = LogisticRegression(C=given["C"], max_iter=400).fit(z, train.labels)
        return Odds(Linear(places, centre, scale, model.coef_[0].copy(), float(model.intercept_[0])), train.names)

    def space(self, trial: Trial) -> dict[str, Any]:
        """How strongly weights are held down."""
        return {"C": trial.suggest_float("C", 1e-4, 10.0, log=True)}
