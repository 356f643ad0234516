"""Scores of a number that was forecast: a return, or a variance."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tickcast.scores.rows import F8, aligned, mean, skill

VARIANCE_FLOOR = 1e-12
"""Variances below it (of a market that stood still) count as this in QLIKE: a volatility of a millionth."""


class PointScores(msgspec.Struct, frozen=True):
    """How far off, and how much better than the baseline on the same rows. None: can not be told."""

    rows: int
    mae: float
    rmse: float
    bias: float
    """Mean of forecast - truth."""
    baseline_mae: float
    baseline_rmse: float
    skill_mae: float | None
    skill_mse: float | None
    r2_zero: float | None
    """`1 - sum (truth - forecast)² / sum truth²`: out of sample, against a return of zero."""
    direction_accuracy: float | None
    direction_rows: int
    """Rows where both the truth and the forecast are above or below zero; only these tell a direction."""


def absolute_losses(truth: ArrayLike, forecast: ArrayLike) -> F8:
    """`|truth - forecast|`, row by row.

    >>> absolute_losses([1.0, 2.0], [1.5, 2.0]).tolist()
    [0.5, 0.0]
    """
    true, said = aligned("absolute loss", truth=truth, forecast=forecast)
    return np.abs(true - said)


def squared_losses(truth: ArrayLike, forecast: ArrayLike) -> F8:
    """`(truth - forecast)²`, row by row.

    >>> squared_losses([1.0, 2.0], [1.5, 2.0]).tolist()
    [0.25, 0.0]
    """
    true, said = aligned("squared loss", truth=truth, forecast=forecast)
    miss = true - said
    return miss * miss


def qlike_losses(realised_variance: ArrayLike, forecast_variance: ArrayLike) -> F8:
    """`x - ln x - 1` with `x = realised / forecast`, row by row; zero where they are the same.

    >>> qlike_losses([2.0, 1.0], [2.0, 2.0]).round(6).tolist()
    [0.0, 0.193147]
    """
    came, said = aligned("QLIKE", realised_variance=realised_variance, forecast_variance=forecast_variance)
    ratio = np.maximum(came, VARIANCE_FLOOR) / np.maximum(said, VARIANCE_FLOOR)
    return ratio - np.log(ratio) - 1.0


def qlike(realised_variance: ArrayLike, forecast_variance: ArrayLike) -> float:
    """The mean of `qlike_losses`."""
    return mean(qlike_losses(realised_variance, forecast_variance))


def score_point(truth: ArrayLike, forecast: ArrayLike, baseline: ArrayLike | None = None) -> PointScores:
    """All scores of a point forecast; the baseline is no change (zero) where none is given.

    >>> scores = score_point([0.02, -0.01], [0.01, -0.01])
    >>> round(scores.mae, 6), round(scores.skill_mae, 6), scores.direction_accuracy
    (0.005, 0.666667, 1.0)
    """
    naive = np.zeros(len(np.atleast_1d(np.asarray(truth)))) if baseline is None else baseline
    true, said, base = aligned("point scores", truth=truth, forecast=forecast, baseline=naive)
    miss, base_miss = said - true, base - true
    mae, mse = mean(np.abs(miss)), mean(miss * miss)
    base_mae, base_mse = mean(np.abs(base_miss)), mean(base_miss * base_miss)
    told = (true != 0.0) & (said != 0.0)
    return PointScores(
        rows=len(true),
        mae=mae,
        rmse=mse**0.5,
        bias=mean(miss),
        baseline_mae=base_mae,
        baseline_rmse=base_mse**0.5,
        skill_mae=skill(mae, base_mae),
        skill_mse=skill(mse, base_mse),
        r2_zero=skill(mse, mean(true * true)),
        direction_accuracy=mean((true[told] > 0.0) == (said[told] > 0.0)) if told.any() else None,
        direction_rows=int(told.sum()),
    )
