"""Scores of a probability that was forecast, always beside how often the thing happens at all."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.scores.rows import F8, mean, outcomes, skill

LOG_FLOOR = 1e-15
"""Probabilities nearer than this to 0 or 1 count as this in the log loss, so that one row can not be infinite."""


class ReliabilityBin(msgspec.Struct, frozen=True):
    """Rows with about the same probability: what was said, and what came."""

    rows: int
    probability: float
    share: float


class Reliability(msgspec.Struct, frozen=True):
    """The reliability curve over bins of about as many rows each."""

    bins: tuple[ReliabilityBin, ...]
    error: float
    """Expected calibration error: the mean of |probability - share| over bins, weighted by their rows."""


class AtThreshold(msgspec.Struct, frozen=True):
    """An alarm where `probability >= threshold`. None: no alarm was given, or there was nothing to find."""

    threshold: float
    alarms: int
    precision: float | None
    recall: float | None
    f1: float


class ProbabilityScores(msgspec.Struct, frozen=True):
    """All scores of probabilities. None: can not be told, as for rows of one class only."""

    rows: int
    prevalence: float
    """The share of ones. A coin scores a PR-AUC of this."""
    pr_auc: float | None
    roc_auc: float | None
    brier: float
    brier_skill: float | None
    """Against saying the base rate in every row."""
    log_loss: float
    base_rate: float
    at: AtThreshold
    reliability: Reliability


def brier_losses(outcome: ArrayLike, probability: ArrayLike) -> F8:
    """`(probability - outcome)²`, row by row.

    >>> brier_losses([1, 0], [0.5, 0.0]).tolist()
    [0.25, 0.0]
    """
    truth, said = outcomes("Brier score", outcome, probability)
    miss = said - truth
    return miss * miss


def log_losses(outcome: ArrayLike, probability: ArrayLike) -> F8:
    """`-ln` of the probability given to what came, row by row.

    >>> log_losses([1, 0], [0.5, 0.0]).round(6).tolist()
    [0.693147, 0.0]
    """
    truth, said = outcomes("log loss", outcome, probability)
    given = np.where(truth == 1.0, said, 1.0 - said)
    losses: F8 = -np.log(np.clip(given, LOG_FLOOR, 1.0 - LOG_FLOOR))
    return losses


def _ladder(truth: F8, said: F8) -> tuple[F8, F8, F8]:
    """For each distinct probability from the highest: itself, alarms at or above it, and how many of these were right.

    Rows with the same probability are one step: no order among them may count for or against the forecast.
    """
    order = np.argsort(-said, kind="stable")
    sorted_said = said[order]
    last = np.append(np.flatnonzero(np.diff(sorted_said)), len(said) - 1)
    return sorted_said[last], (last + 1).astype(np.float64), np.cumsum(truth[order])[last]


def average_precision(outcome: ArrayLike, probability: ArrayLike) -> float | None:
    """PR-AUC as the sum of precision x gain in recall over distinct probabilities; None where nothing happened.

    >>> average_precision([0, 1, 1], [0.1, 0.9, 0.4]), average_precision([0, 0], [0.1, 0.2])
    (1.0, None)
    """
    truth, said = outcomes("PR-AUC", outcome, probability)
    _, alarms, hits = _ladder(truth, said)
    if hits[-1] == 0.0:
        return None
    return float(np.sum(np.diff(hits, prepend=0.0) * (hits / alarms)) / hits[-1])


def roc_auc(outcome: ArrayLike, probability: ArrayLike) -> float | None:
    """How often a one has a higher probability than a zero, ties as a half; None where only one class is there.

    >>> roc_auc([0, 1, 1], [0.1, 0.9, 0.1])
    0.75
    """
    truth, said = outcomes("ROC-AUC", outcome, probability)
    _, alarms, hits = _ladder(truth, said)
    ones, zeros = hits[-1], alarms[-1] - hits[-1]
    if ones == 0.0 or zeros == 0.0:
        return None
    misses = np.diff(alarms - hits, prepend=0.0)
    above = np.append(0.0, hits[:-1])
    return float(np.sum(misses * (above + hits) / 2.0) / (ones * zeros))


def at_threshold(outcome: ArrayLike, probability: ArrayLike, threshold: float) -> AtThreshold:
    """Precision, recall and F1 of alarms at a threshold; F1 is 0 where no alarm was right.

    >>> at_threshold([0, 1, 1], [0.6, 0.9, 0.4], 0.5).f1
    0.5
    """
    truth, said = outcomes("threshold", outcome, probability)
    alarm = said >= threshold
    alarms, ones, hits = int(alarm.sum()), float(truth.sum()), float(truth[alarm].sum())
    return AtThreshold(
        threshold=float(threshold),
        alarms=alarms,
        precision=hits / alarms if alarms else None,
        recall=hits / ones if ones else None,
        f1=2.0 * hits / (alarms + ones) if hits else 0.0,
    )


def best_threshold(outcome: ArrayLike, probability: ArrayLike) -> float:
    """The probability with the highest F1 on these (validation) rows; of equals the highest, with the fewest alarms.

    Where nothing happened, the answer is 1.0 and what was not seen is not cried.

    >>> best_threshold([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.3])
    0.4
    """
    truth, said = outcomes("best threshold", outcome, probability)
    steps, alarms, hits = _ladder(truth, said)
    if hits[-1] == 0.0:
        return 1.0
    return float(steps[np.argmax(2.0 * hits / (alarms + hits[-1]))])


def reliability(outcome: ArrayLike, probability: ArrayLike, bins: int = 10) -> Reliability:
    """What was said beside what came, in bins between quantiles; equal probabilities never part.

    >>> round(reliability([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.7], bins=2).error, 6)
    0.15
    """
    truth, said = outcomes("reliability", outcome, probability)
    cuts = np.unique(np.quantile(said, np.arange(1, bins) / bins, method="inverted_cdf"))
    place: NDArray[np.int64] = np.searchsorted(cuts, said, side="left")
    rows = np.bincount(place, minlength=len(cuts) + 1)
    there = rows > 0
    many = rows[there].astype(np.float64)
    given = np.bincount(place, said, minlength=len(rows))[there] / many
    share = np.bincount(place, truth, minlength=len(rows))[there] / many
    made = tuple(ReliabilityBin(int(n), float(p), float(s)) for n, p, s in zip(many, given, share, strict=True))
    return Reliability(made, float(np.sum(many * np.abs(given - share)) / len(said)))


def score_probability(
    outcome: ArrayLike, probability: ArrayLike, *, threshold: float = 0.5, base_rate: float | None = None
) -> ProbabilityScores:
    """All scores of probabilities; the threshold must come from other rows, and so may the base rate.

    Without a base rate the Brier skill is against the prevalence of these rows, which is the harder one.

    >>> scores = score_probability([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2])
    >>> scores.prevalence, scores.pr_auc, round(scores.brier_skill, 6)
    (0.5, 1.0, 0.58)
    """
    truth, said = outcomes("probability scores", outcome, probability)
    prevalence = mean(truth)
    base = prevalence if base_rate is None else base_rate
    brier = mean(brier_losses(truth, said))
    return ProbabilityScores(
        rows=len(truth),
        prevalence=prevalence,
        pr_auc=average_precision(truth, said),
        roc_auc=roc_auc(truth, said),
        brier=brier,
        brier_skill=skill(brier, mean((base - truth) ** 2)),
        log_loss=mean(log_losses(truth, said)),
        base_rate=base,
        at=at_threshold(truth, said, threshold),
        reliability=reliability(truth, said),
    )
