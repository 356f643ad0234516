"""Nothing will change: the random walk for prices, "as it was a moment ago" for probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tickcast.training.contract import F8, Dataset, Fitted, TaskName
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.files import number, read_json, write_json
from tickcast.training.models.linear import constant

_LAST: dict[str, str] = {"direction": "return_1", "volatility": "rel_range_1"}
FILE = "last.json"


class Last:
    """Two probabilities: after the thing was so at last, and after it was not."""

    def __init__(self, place: int, names: tuple[str, ...], after: float, otherwise: float) -> None:
        self._place, self._names, self._after, self._otherwise = place, names, after, otherwise

    def predict(self, features: F8) -> F8:
        """By the sign of one column."""
        return np.where(features[:, self._place] > 0, self._after, self._otherwise)

    def single(self) -> Any:
        """By the sign of one column."""
        return lambda row: self._after if row[self._place] > 0 else self._otherwise

    def files(self) -> dict[str, bytes]:
        """The column's name and the two probabilities."""
        told = {"name": self._names[self._place], "after": self._after, "otherwise": self._otherwise}
        return {FILE: write_json(told)}

    def importance(self) -> dict[str, float]:
        """One column decides."""
        return {self._names[self._place]: 1.0}


class NoChange(LinearKind):
    """See the module."""

    name = "no-change"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    baseline = True

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:  # noqa: ARG002
        """Price: zero. The others: how often it was so, after it was so and after it was not."""
        merged(self.name, {}, params)
        column = _LAST.get(train.task.name, "")
        if column not in train.names:
            rate = float(train.labels.mean()) if train.task.sort == "classification" else 0.0
            from tickcast.training.models.squash import margin_of

            return constant(train.task, margin_of(rate) if train.task.sort == "classification" else 0.0, train.names)
        so = train.column(column) > 0
        after, otherwise = (
            (float(train.labels[rows].sum()) + 1.0) / (float(rows.sum()) + 2.0) for rows in (so, ~so)
        )  # a count of one each way keeps both probabilities off zero
        return Last(train.names.index(column), train.names, after, otherwise)

    def load(self, task: Any, names: tuple[str, ...], files: Mapping[str, bytes]) -> Fitted:
        """Either file."""
        if FILE not in files:
            return super().load(task, names, files)
        told = read_json(files, FILE)
        if told.get("name") not in names:
            from tickcast.errors import BundleError

            raise BundleError(FILE, "names a feature that the bundle has not", "take another version")
        return Last(names.index(told["name"]), names, number(told, "after"), number(told, "otherwise"))
