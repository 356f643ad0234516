"""Exponentially weighted volatility (lambda 0.94, as RiskMetrics has it) against the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickcast.training.contract import Dataset, Fitted, TaskName
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.scored import first_known, fit_column

COLUMNS = ("rel_ewma", "log_ewma_240")


class Ewma(LinearKind):
    """See the module."""

    name = "ewma"
    tasks: tuple[TaskName, ...] = ("volatility",)
    baseline = True

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:  # noqa: ARG002
        """The logistic curve through the ratio of the volatility to its threshold."""
        merged(self.name, {}, params)
        return fit_column(train, first_known(self.name, train, COLUMNS))
