"""What was usual: the mean return, or the base rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickcast.training.contract import Dataset, Fitted, TaskName
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.linear import constant
from tickcast.training.models.squash import margin_of


class Mean(LinearKind):
    """See the module."""

    name = "mean"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    baseline = True

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:  # noqa: ARG002
        """The mean of the labels."""
        merged(self.name, {}, params)
        mean = float(train.labels.mean())
        return constant(train.task, mean if train.task.sort == "regression" else margin_of(mean), train.names)
