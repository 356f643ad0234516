"""One model on one fold: learn, calibrate on validation rows, and say what it would have said of the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tickcast.calibration.whole import Banded, Calibration, Corrected, fit_band, fit_correction
from tickcast.training.contract import F8, Dataset, Fitted, Fold, Kind
from tickcast.training.evaluation import Forecasts
from tickcast.training.labels import horizon_ms

LEVEL = 0.9
"""What share of outcomes an interval is to hold."""


class Judged(NamedTuple):
    """A model that has learnt one fold, and its forecasts of the test rows."""

    fitted: Fitted
    calibration: Calibration
    forecasts: Forecasts


def learn(
    dataset: Dataset, fold: Fold, kind: Kind, *, params: Mapping[str, Any], seed: int, level: float = LEVEL
) -> tuple[Fitted, Calibration]:
    """Fit to the training rows, stop and calibrate by the validation rows; test rows are not looked at."""
    train, valid = dataset.take(fold.train), dataset.take(fold.valid)
    fitted = kind.fit(train, valid, params=params, seed=seed)
    gap = horizon_ms(dataset.task, dataset.candle_seconds) // (dataset.candle_seconds * 1000) * len(dataset.keys)
    if dataset.task.sort == "classification":
        return fitted, fit_correction(fitted.predict(valid.features), valid.labels, gap=gap)
    both = np.concatenate([fold.train, fold.valid])
    features, truth = dataset.features[both], dataset.labels[both]
    band = fit_band(dataset.names, features, fitted.predict(features), truth, fit_rows=len(fold.train), level=level)
    return fitted, band


def judge(
    dataset: Dataset,
    fold: Fold,
    kind: Kind,
    *,
    params: Mapping[str, Any],
    seed: int,
    number: int = 0,
    level: float = LEVEL,
) -> Judged:
    """Learn a fold and forecast its test rows, intervals adapting on the way as they would have live."""
    fitted, calibration = learn(dataset, fold, kind, params=params, seed=seed, level=level)
    test = dataset.take(fold.test)
    raw = fitted.predict(test.features)
    forecast, lower, upper = forecasts_of(calibration, test, raw)
    threshold = calibration.threshold if isinstance(calibration, Corrected) else float("nan")
    fold_of = np.full(len(test), number, dtype=np.int16)
    return Judged(fitted, calibration, Forecasts(kind.name, fold.test, fold_of, forecast, raw, lower, upper, threshold))


def forecasts_of(calibration: Calibration, rows: Dataset, raw: F8) -> tuple[F8, F8, F8]:
    """What is said of rows in the order of time: the calibrated forecast and its bounds."""
    if isinstance(calibration, Banded):
        reach_ms = horizon_ms(rows.task, rows.candle_seconds)
        lower, upper = calibration.run(rows.features, raw, rows.labels, rows.timestamp_ms, rows.key, reach_ms)
        return raw, lower, upper
    nothing = np.full(len(raw), np.nan)
    return calibration.calibrator.apply(raw), nothing, nothing


def joined(parts: list[Forecasts]) -> Forecasts:
    """The forecasts of one model over several folds."""
    named = ("rows", "fold", "forecast", "raw", "lower", "upper")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in named}
    return Forecasts(model=parts[0].model, threshold=parts[-1].threshold, **arrays)
