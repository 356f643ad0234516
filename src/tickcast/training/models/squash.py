"""From a score to a probability: the logistic function, and its fit to one score."""

from __future__ import annotations

import math

import numpy as np

from tickcast.kernels import kernel
from tickcast.training.contract import F8


@kernel
def squash_one(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel
def squash_all(margins: F8, out: F8) -> None:
    """That of each."""
    for i in range(len(margins)):
        out[i] = squash_one(margins[i])


def squash(margins: F8) -> F8:
    """Probabilities of margins.

    >>> squash(np.array([0.0, -800.0])).tolist()
    [0.5, 0.0]
    """
    out = np.empty(len(margins))
    squash_all(margins, out)
    return out


def margin_of(rate: float) -> float:
    """The margin whose probability is `rate`, kept finite."""
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    return math.log(rate / (1 - rate))


def fit_score(score: F8, labels: F8) -> tuple[float, float]:
    """Slope and intercept of the logistic curve through one score (evened inside for a well-posed fit).

    >>> slope, intercept = fit_score(np.array([-1.0, 0.0, 1.0, 2.0] * 50), np.array([0.0, 1.0, 0.0, 1.0] * 50))
    >>> slope > 0
    True
    """
    from sklearn.linear_model import LogisticRegression

    centre, scale = float(score.mean()), float(score.std()) or 1.0
    model = LogisticRegression(C=1e4, max_iter=500).fit(((score - centre) / scale)[:, None], labels)
    slope = float(model.coef_[0, 0]) / scale
    return slope, float(model.intercept_[0]) - slope * centre
