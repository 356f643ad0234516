"""Forecasts of the variance itself, for QLIKE: last value, EWMA and HAR, each fitted to training rows."""

from __future__ import annotations

import numpy as np

from tickcast.training.contract import F8, Dataset
from tickcast.training.models.har import RANGES, RETURNS
from tickcast.training.models.scaled import even

_FLOOR = 1e-12


def variance_forecasts(train: Dataset, test: Dataset) -> dict[str, F8]:
    """By the name of the model, for those whose columns are there."""
    found: dict[str, F8] = {}
    target = train.realised**2
    for name, column in (("no-change", "log_range_1"), ("ewma", "log_ewma_240")):
        if column in train.names:
            past, now = (np.exp(2 * np.nan_to_num(rows.column(column), nan=-9.0)) for rows in (train, test))
            found[name] = now * (float(target.mean()) / max(float(past.mean()), _FLOOR))
    lags = [name for name in (RANGES if train.candle_seconds >= 60 else RETURNS) if name in train.names]
    if len(lags) > 1:
        found["har"] = _har(train, test, lags)
    return {name: np.maximum(variance, _FLOOR) for name, variance in found.items()}


def _har(train: Dataset, test: Dataset, lags: list[str]) -> F8:
    """Least squares in logarithms, brought back with the mean of what the logarithm left over."""
    places = np.array([train.names.index(name) for name in lags], dtype=np.int64)
    centre, scale, z = even(train.features, places)
    design = np.column_stack([np.ones(len(z)), z])
    beta = np.linalg.lstsq(design, np.log(train.realised**2 + _FLOOR), rcond=None)[0]
    lift = float((train.realised**2).mean()) / max(float(np.exp(design @ beta).mean()), _FLOOR)
    columns = np.nan_to_num((test.features[:, places] - centre) / scale, nan=0.0)
    return np.asarray(np.exp(np.column_stack([np.ones(len(columns)), np.clip(columns, -5, 5)]) @ beta) * lift)
