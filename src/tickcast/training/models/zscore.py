"""A threshold on the z-score of recent volatility, the rule that people use without a model, as a probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickcast.training.contract import Dataset, Fitted, TaskName
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.scored import first_known, fit_column

COLUMNS = ("rolling_vol_60s", "rolling_vol_300s", "log_rv_5", "log_range_1")
"""Where there are no ticks (imported candles) the volatility of the last five candles stands for `rolling_vol`."""


class ZScore(LinearKind):
    """See the module."""

    name = "zscore"
    tasks: tuple[TaskName, ...] = ("volatility",)
    baseline = True

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:  # noqa: ARG002
        """The logistic curve through the z-score: the same ranking, and the same threshold, as the rule."""
        merged(self.name, {}, params)
        return fit_column(train, first_known(self.name, train, COLUMNS))
