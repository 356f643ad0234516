"""Judging: every model on the same test rows, fold by fold, beside the naive ones, and what the difference is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.errors import TrainingError
from tickcast.scores import compare, interval, point, probability
from tickcast.training.contract import F8, Dataset, Fold, Kind
from tickcast.training.evaluation import Against, Evaluation, Forecasts, ModelScores, Span
from tickcast.training.judge import LEVEL, Judged, joined, judge
from tickcast.training.labels import horizon_ms
from tickcast.training.manifest import content_hash
from tickcast.training.variance import variance_forecasts

VOLATILITY = ("log_range_60", "log_rv_60", "log_rv_30", "log_rv_15")
"""The volatility known at a forecast, by which terciles are cut: the first of these that is there."""
BASE_RATE = "mean"
IMPORTANT = 20
Progress = Callable[[int, int, str], None]


class Candidate(NamedTuple):
    """A kind of model with its parameters, and how many were tried to find these."""

    kind: Kind
    params: Mapping[str, Any] = {}
    trials: int = 0


def evaluate(
    dataset: Dataset,
    folds: Sequence[Fold],
    candidates: Sequence[Candidate],
    *,
    window: str,
    seed: int = 0,
    level: float = LEVEL,
    progress: Progress = lambda done, of, what: None,
) -> tuple[Evaluation, list[Forecasts], dict[str, Judged]]:
    """Judge all candidates; gives what is said of them, their forecasts, and each as it learned the last fold."""
    if not folds or not candidates:
        raise TrainingError("evaluation", "has no folds or no models", "ask for at least one of each")
    parts: dict[str, list[Forecasts]] = {one.kind.name: [] for one in candidates}
    last: dict[str, Judged] = {}
    for number, fold in enumerate(folds):
        for place, one in enumerate(candidates):
            progress(number * len(candidates) + place, len(folds) * len(candidates), f"{one.kind.name}, {fold.name}")
            last[one.kind.name] = judge(
                dataset, fold, one.kind, params=one.params, seed=seed, number=number, level=level
            )
            parts[one.kind.name].append(last[one.kind.name].forecasts)
    progress(len(folds) * len(candidates), len(folds) * len(candidates), "scores")
    forecasts = [joined(part) for part in parts.values()]
    variances = _variances(dataset, folds)
    scores = [
        _scores(dataset, said, one.kind.baseline, rows, names, variances.get(one.kind.name), level)
        for one, said in zip(candidates, forecasts, strict=True)
        for names, rows in _groups(dataset, said, folds)
    ]
    told = _evaluation(dataset, folds, candidates, last, window=window, seed=seed, level=level)
    found = Evaluation(**told, scores=tuple(scores), against=tuple(_against(dataset, candidates, forecasts, seed)))
    return found, forecasts, last


def _evaluation(
    dataset: Dataset, folds: Sequence[Fold], candidates: Sequence[Candidate], last: Mapping[str, Judged], **more: Any
) -> dict[str, Any]:
    """What an evaluation tells of its rows, folds and models."""
    times = dataset.timestamp_ms
    spans = tuple(
        Span(f.name, len(f.train), len(f.valid), len(f.test), int(times[f.test[0]]), int(times[f.test[-1]]))
        for f in folds
    )
    return {
        "task": dataset.task,
        "candle_seconds": dataset.candle_seconds,
        "keys": dataset.keys,
        "from_ms": int(times[0]),
        "to_ms": int(times[-1]),
        "rows": len(dataset),
        "excluded": dict(dataset.excluded),
        "dropped": dict(dataset.dropped),
        "dataset_hash": content_hash(dataset),
        "folds": spans,
        "trials": {one.kind.name: one.trials for one in candidates},
        "params": {one.kind.name: dict(one.params) for one in candidates},
        "importance": {name: _shares(judged.fitted.importance()) for name, judged in last.items()},
        **more,
    }


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    """The most important features as shares of all importance."""
    total = sum(importance.values())
    if total <= 0:
        return {}
    ranked = sorted(importance.items(), key=lambda item: (-item[1], item[0]))[:IMPORTANT]
    return {name: value / total for name, value in ranked if value > 0}


def _groups(
    dataset: Dataset, said: Forecasts, folds: Sequence[Fold]
) -> list[tuple[tuple[str, str], NDArray[np.bool_]]]:
    """All test rows, those of each fold, those of each pair, and those of each pair in each fold."""
    keys = dataset.key[said.rows]
    whole = np.ones(len(said.rows), dtype=bool)
    by_fold = [("", whole)]
    if len(folds) > 1:
        by_fold += [(fold.name, said.fold == number) for number, fold in enumerate(folds)]
    by_key = [("", whole)]
    if len(dataset.keys) > 1:
        by_key += [(name, keys == place) for place, name in enumerate(dataset.keys)]
    return [((f, k), a & b) for f, a in by_fold for k, b in by_key if (a & b).any()]


def _scores(
    dataset: Dataset,
    said: Forecasts,
    baseline: bool,
    rows: NDArray[np.bool_],
    names: tuple[str, str],
    variance: F8 | None,
    level: float,
) -> ModelScores:
    """All scores that the task has, of some of the test rows."""
    at = said.rows[rows]
    truth, forecast, count = dataset.labels[at], said.forecast[rows], int(rows.sum())
    found = ModelScores(said.model, baseline, *names, count)
    if dataset.task.sort == "classification":
        chances = probability.score_probability(truth, forecast, threshold=said.threshold)
        found = msgspec.structs.replace(found, probability=chances)
        if variance is not None:
            found = msgspec.structs.replace(found, qlike=point.qlike(dataset.realised[at] ** 2, variance[rows]))
        return found
    column = next((name for name in VOLATILITY if name in dataset.names), "")
    bands = interval.score_interval(
        truth,
        said.lower[rows],
        said.upper[rows],
        level=level,
        volatility=dataset.column(column)[at] if column else None,
        rolling_rows=min(500, max(count // 4, 1)),
    )
    return msgspec.structs.replace(found, point=point.score_point(truth, forecast, np.zeros(count)), interval=bands)


def _variances(dataset: Dataset, folds: Sequence[Fold]) -> dict[str, F8]:
    """Variance forecasts of the test rows of all folds, for QLIKE."""
    if dataset.task.name != "volatility":
        return {}
    parts = [variance_forecasts(dataset.take(fold.train), dataset.take(fold.test)) for fold in folds]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def losses(dataset: Dataset, said: Forecasts) -> F8:
    """Row by row: squared error of returns, log loss of probabilities."""
    truth = dataset.labels[said.rows]
    if dataset.task.sort == "regression":
        return point.squared_losses(truth, said.forecast)
    return probability.log_losses(truth, said.forecast)


def by_time(times: NDArray[np.int64], values: ArrayLike) -> F8:
    """One mean a moment: pairs judged at the same time are no independent witnesses.

    >>> by_time(np.array([1, 1, 2]), [0.0, 1.0, 5.0]).tolist()
    [0.5, 5.0]
    """
    _, place = np.unique(times, return_inverse=True)
    sums = np.bincount(place, np.asarray(values, dtype=np.float64))
    return np.asarray(sums / np.bincount(place))


def _against(
    dataset: Dataset, candidates: Sequence[Candidate], forecasts: Sequence[Forecasts], seed: int
) -> list[Against]:
    """Each model against each baseline, all pairs together and each on its own."""
    horizon = horizon_ms(dataset.task, dataset.candle_seconds) // (dataset.candle_seconds * 1000)
    naive = [said for one, said in zip(candidates, forecasts, strict=True) if one.kind.baseline]
    found = []
    for one, said in zip(candidates, forecasts, strict=True):
        for base in naive:
            if base.model == said.model:
                continue
            for place, key in enumerate(("", *(dataset.keys if len(dataset.keys) > 1 else ()))):
                rows = (dataset.key[said.rows] == place - 1) if key else np.ones(len(said.rows), dtype=bool)
                if rows.any():
                    # naive models are ranked beside the base rate alone: that is what theirs is worth by
                    ranked = not one.kind.baseline or base.model == BASE_RATE
                    found += _one_against(dataset, said, base, key, rows, (horizon, seed, ranked))
    return found


def _one_against(
    dataset: Dataset,
    said: Forecasts,
    base: Forecasts,
    key: str,
    rows: NDArray[np.bool_],
    how: tuple[int, int, bool],
) -> list[Against]:
    """The losses' difference, and that of PR-AUC where it is worth its time: for models, pair by pair."""
    horizon, seed, ranked = how
    times = dataset.timestamp_ms[said.rows[rows]]
    ours, theirs = (by_time(times, losses(dataset, one)[rows]) for one in (said, base))
    gain = compare.bootstrap_gain(ours, theirs, seed=seed, horizon=horizon)
    test = compare.diebold_mariano(ours, theirs, horizon=horizon)
    measure = "squared error" if dataset.task.sort == "regression" else "log loss"
    found = [Against(said.model, base.model, measure, key, gain, test)]
    if ranked and dataset.task.sort == "classification" and (key or len(dataset.keys) == 1):
        truth = dataset.labels[said.rows[rows]]
        more = compare.bootstrap_pr_auc(truth, said.forecast[rows], base.forecast[rows], seed=seed, horizon=horizon)
        found.append(Against(said.model, base.model, "PR-AUC", key, more, None))
    return found
