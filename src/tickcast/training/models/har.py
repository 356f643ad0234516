"""HAR-RV with intraday lags: the logarithm of the coming volatility as a weighted sum of the past ones over several
horizons, and from it the probability to exceed the threshold.

The lags are of the measure that the label is made of: ranges for candles of a minute and longer, returns below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tickcast.errors import TrainingError
from tickcast.training.contract import Dataset, Fitted, TaskName
from tickcast.training.models.base import LinearKind, merged
from tickcast.training.models.linear import Odds
from tickcast.training.models.scaled import Linear, even
from tickcast.training.models.squash import fit_score

RANGES = ("log_range_1", "log_range_5", "log_range_15", "log_range_60", "log_range_240", "log_range_1440")
RETURNS = ("log_rv_1", "log_rv_5", "log_rv_30", "log_rv_120", "log_rv_480", "log_rv_1440")
THRESHOLD = "log_threshold"
_FLOOR = 1e-6


class Har(LinearKind):
    """See the module."""

    name = "har"
    tasks: tuple[TaskName, ...] = ("volatility",)
    needs = (THRESHOLD,)
    baseline = True

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:  # noqa: ARG002
        """Least squares for the volatility; then the logistic curve through its distance from the threshold."""
        merged(self.name, {}, params)
        lags = [name for name in (RANGES if train.candle_seconds >= 60 else RETURNS) if name in train.names]
        if len(lags) < 2 or THRESHOLD not in train.names:
            raise TrainingError(
                "model har",
                f"needs {THRESHOLD} and at least two lags, the dataset has {len(lags)}",
                "give a longer range or take another model",
            )
        places = np.array([train.names.index(name) for name in (*lags, THRESHOLD)], dtype=np.int64)
        centre, scale, z = even(train.features, places)
        target = np.log(train.realised + _FLOOR)
        design = np.column_stack([np.ones(len(z)), z[:, :-1]])
        beta = np.linalg.lstsq(design, target, rcond=None)[0]
        beyond = design @ beta - (z[:, -1] * scale[-1] + centre[-1])
        slope, intercept = fit_score(beyond, train.labels)
        weights = slope * np.append(beta[1:], -scale[-1])
        linear = Linear(places, centre, scale, weights, intercept + slope * (float(beta[0]) - float(centre[-1])))
        return Odds(linear, train.names)
