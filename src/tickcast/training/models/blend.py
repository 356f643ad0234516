"""The mean of a linear model and of boosted trees, in margins for probabilities.

The linear one extrapolates into markets that the trees have not met, the trees see what is not linear; on the real
minute candles the mean is better than both on nearly every fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tickcast.training.contract import F8, Dataset, Task, TaskName, Trial
from tickcast.training.models import linear
from tickcast.training.models.lgbm import LightGBM, Trees
from tickcast.training.models.linear import Odds, Sum
from tickcast.training.models.logistic import Logistic
from tickcast.training.models.ridge import Ridge
from tickcast.training.models.squash import squash, squash_one
from tickcast.training.models.walk import single_row


class Both:
    """Two models and their mean."""

    def __init__(self, first: Sum | Odds, second: Trees) -> None:
        self._first, self._second = first, second

    def predict(self, features: F8) -> F8:
        """Returns, or probabilities."""
        if isinstance(self._first, Odds):
            return squash(0.5 * (self._first.margins(features) + self._second.margins(features)))
        return 0.5 * (self._first.predict(features) + self._second.predict(features))

    def single(self) -> Callable[[F8], float]:
        """One row."""
        line = self._first.linear.one()
        if isinstance(self._first, Odds):
            trees = single_row(self._second.walk, raw=True)
            return lambda row: squash_one(0.5 * (line(row) + trees(row)))
        both = self._second.single()
        return lambda row: 0.5 * (line(row) + both(row))

    def files(self) -> dict[str, bytes]:
        """Those of both."""
        return self._first.files() | self._second.files()

    def importance(self) -> dict[str, float]:
        """The trees' gains as shares, and the weights as shares, in equal parts."""
        found: dict[str, float] = {}
        for part in (self._first.importance(), self._second.importance()):
            total = sum(part.values()) or 1.0
            for name, value in part.items():
                found[name] = found.get(name, 0.0) + 0.5 * value / total
        return found


class Blend:
    """See the module."""

    name = "blend"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    needs: tuple[str, ...] = ()
    baseline = False

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Both:
        """Fit both; each takes its own parameters."""
        first = Ridge() if train.task.sort == "regression" else Logistic()
        own = {name: value for name, value in params.items() if name in first.defaults}
        rest = {name: value for name, value in params.items() if name not in first.defaults}
        fitted = first.fit(train, valid, params=own, seed=seed)
        return Both(fitted, LightGBM().fit(train, valid, params=rest, seed=seed))

    def space(self, trial: Trial) -> dict[str, Any]:
        """That of the trees; the linear part keeps its defaults."""
        return LightGBM().space(trial)

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Both:
        """Both from their files."""
        return Both(linear.read(task, names, files), LightGBM().load(task, names, files))
