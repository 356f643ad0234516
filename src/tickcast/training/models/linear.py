"""What linear models have in common once they have learnt: a weighted sum, and for probabilities its squashing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tickcast.training.contract import F8, Task
from tickcast.training.models.files import read_json, write_json
from tickcast.training.models.scaled import Linear, read_linear
from tickcast.training.models.squash import squash, squash_one

FILE = "linear.json"


class Sum:
    """Forecasts a number."""

    def __init__(self, linear: Linear, names: tuple[str, ...]) -> None:
        self.linear, self._names = linear, names

    def predict(self, features: F8) -> F8:
        """The sum for each row."""
        return self.linear.of(features)

    def single(self) -> Callable[[F8], float]:
        """The sum for one row."""
        return self.linear.one()

    def files(self) -> dict[str, bytes]:
        """Names, centres, scales and weights."""
        return {FILE: write_json(self.linear.told(self._names))}

    def importance(self) -> dict[str, float]:
        """The weight of each column in deviations."""
        return self.linear.importance(self._names)


class Odds(Sum):
    """Forecasts a probability."""

    def margins(self, features: F8) -> F8:
        """The logarithm of the odds."""
        return self.linear.of(features)

    def predict(self, features: F8) -> F8:
        """The probability for each row."""
        return squash(self.linear.of(features))

    def single(self) -> Callable[[F8], float]:
        """The probability for one row."""
        one = self.linear.one()
        return lambda row: squash_one(one(row))


def read(task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Sum | Odds:
    """The model in the file, for rows of these names."""
    linear = read_linear(read_json(files, FILE), names)
    return Sum(linear, names) if task.sort == "regression" else Odds(linear, names)


def constant(task: Task, value: float, names: tuple[str, ...]) -> Sum | Odds:
    """A model that says the same whatever it sees; `value` is a margin for probabilities."""
    nothing = np.empty(0)
    linear = Linear(np.empty(0, dtype=np.int64), nothing, nothing, nothing, value)
    return Sum(linear, names) if task.sort == "regression" else Odds(linear, names)
