"""A dataset: rows with what was known at their time and what came of it, kept as Parquet beside a manifest.

rows of each key ─→ labels ─→ what can not be learned from is left out, and counted ─→ inputs chosen ─→ Dataset
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.clock import DAY_MS, utc_text
from tickcast.errors import TrainingError
from tickcast.events import FEATURES
from tickcast.features.volatility import horizon_candles
from tickcast.training import labels
from tickcast.training.contract import F8, I8, Dataset, Task
from tickcast.training.inputs import Inputs, choose, first_infinity, too_sparse
from tickcast.training.rows import Rows

REMEDIES = {
    "gap_in_horizon": "fill the gaps with `tickcast backfill`, or import the missing candles",
    "partial": "fetch what was not seen with `tickcast backfill`, or import whole candles",
    "known_late": "collect for longer without interruption, or import whole candles",
    "missing_features": "import or collect more history before these rows, their features look back up to seven days",
    "no_threshold": "import or collect more history, the threshold of volatility looks back seven days",
    "other_feature_set": "replay the journal with the present settings, so that all rows are of one feature set",
    "older": "raise training_days",
}
"""What helps where too few rows are left, by the reason that took most of them."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset is to be made of.

    >>> Request(task=Task("price", 300)).rows_min
    1000
    """

    task: Task
    training_days: float = 0.0
    """How far back from the newest row; 0: all."""
    feature_set: str = ""
    """The only one that is accepted; empty: that of the newest rows."""
    required: tuple[str, ...] = ()
    """Features that must be there; a row without one of them is left out."""
    leave_out: tuple[str, ...] = ()
    """Features not to learn from."""
    threshold_seconds: int = 0
    """The horizon that the rows' spike threshold is for (`volatility_seconds`); 0: the task's."""
    late_ms: int | None = None
    """How long after its time a row may have been known; None: one candle."""
    rows_min: int = 1000


class _Part(NamedTuple):
    """The rows of one key that are left, and where they stand in its feature rows."""

    rows: Rows
    at: NDArray[np.int64]
    labels: labels.Labels


def build(parts: Sequence[Rows], request: Request) -> Dataset:
    """Make a dataset of the rows of some keys; the order in which they are given means nothing."""
    parts = sorted(parts, key=lambda one: one.key)
    seconds = _one_length(parts)
    feature_set, names = _one_set(parts, request)
    _check_threshold(request, names, seconds)
    counts = dict.fromkeys(labels.REASONS, 0)
    newest_ms = max(int(one.features["timestamp_ms"][-1]) for one in parts)
    since_ms = newest_ms - int(request.training_days * DAY_MS) if request.training_days else 0
    left = [_label(one, request, feature_set, since_ms, counts) for one in parts]
    seen = sum(len(one.features["timestamp_ms"]) for one in parts)
    _check_rows(sum(len(one.at) for one in left), seen, counts, request)
    columns = {name: np.concatenate([one.rows.features[name][one.at] for one in left]) for name in names}
    _check_finite(columns, left, request)
    inputs = choose(columns, leave_out=request.leave_out, required=request.required)
    sparse = too_sparse(columns, inputs, request.required)
    counts["missing_features"] += int(sparse.sum())
    _check_rows(int((~sparse).sum()), seen, counts, request)
    dataset = _joined(left, columns, inputs, ~sparse, request.task, seconds, feature_set, counts)
    _check_classes(dataset)
    return dataset


def _one_length(parts: Sequence[Rows]) -> int:
    lengths = sorted({one.candle_seconds for one in parts})
    if len(lengths) != 1:
        told = " and ".join(map(str, lengths)) or "no"
        raise TrainingError(
            "candle_seconds", f"the rows are of {told} seconds, and a model learns from one length only", "ask for one"
        )
    if len({one.key for one in parts}) != len(parts):
        raise TrainingError("training data", "holds the same pair twice", "give each pair's rows once")
    return lengths[0]


def _one_set(parts: Sequence[Rows], request: Request) -> tuple[str, list[str]]:
    """The feature set of the newest rows, which must be that of all keys, and its names."""
    newest = {one.key: str(one.features["feature_set"][-1]) for one in parts}
    wanted = request.feature_set or next(iter(newest.values()))
    other = [f"{key} has {found}" for key, found in newest.items() if found != wanted]
    if other:
        raise TrainingError(
            "feature set",
            f"{wanted} is wanted and {', '.join(other)}, and a model learns from one set only",
            "make these rows again with the same indicators and version, by `tickcast replay` or `tickcast import`",
        )
    names = [name for name in parts[0].features if name not in FEATURES.columns]
    for one in parts[1:]:
        odd = set(names) ^ (one.features.keys() - FEATURES.columns.keys())
        if odd:
            raise TrainingError(
                one.key,
                f"has other features than {parts[0].key} ({', '.join(sorted(odd)[:5])}) under the same set's name",
                "make the rows of both again with the same version",
            )
    return wanted, names


def _check_threshold(request: Request, names: Sequence[str], seconds: int) -> None:
    """A label of volatility needs a threshold, and one that is of its own horizon."""
    if request.task.name != "volatility":
        return
    if labels.THRESHOLD not in names:
        raise TrainingError(
            f"feature {labels.THRESHOLD}",
            "is not in the rows, so nothing says what a spike is",
            "make the rows again with this version, by `tickcast replay` or `tickcast import`",
        )
    told = request.threshold_seconds or request.task.horizon_seconds
    if horizon_candles(told, seconds) != horizon_candles(request.task.horizon_seconds, seconds):
        raise TrainingError(
            "horizon",
            f"is {request.task.horizon_seconds} s and the rows' spike threshold is for {told} s",
            f"ask for a horizon of {told} s, or set volatility_seconds and make the rows again",
        )


def _label(rows: Rows, request: Request, feature_set: str, since_ms: int, counts: dict[str, int]) -> _Part:
    """Leave out what can not be learned from, each row under the first reason that holds."""
    features = rows.features
    times, known = features["timestamp_ms"], features["known_at_ms"]
    late_ms = rows.candle_seconds * 1000 if request.late_ms is None else request.late_ms
    left = np.ones(len(times), dtype=np.bool_)
    for reason, bad in (
        ("older", times < since_ms),
        ("other_feature_set", features["feature_set"] != feature_set),
        ("known_late", known - times > late_ms),
    ):
        counts[reason] += int((left & bad).sum())
        left &= ~bad
    at = np.flatnonzero(left)
    thresholds = features[labels.THRESHOLD][at] if labels.THRESHOLD in features else np.full(len(at), np.nan)
    found = labels.label(request.task, rows.candle_seconds, rows.candles, times[at], thresholds)
    for code, name in labels.NAMES.items():
        counts[name] += int((found.reasons == code).sum())
    good = found.reasons == labels.OK
    return _Part(rows, at[good], labels.Labels(*(column[good] for column in found)))


def _joined(
    left: Sequence[_Part],
    columns: Mapping[str, F8],
    inputs: Inputs,
    kept: NDArray[np.bool_],
    task: Task,
    seconds: int,
    feature_set: str,
    counts: Mapping[str, int],
) -> Dataset:
    """The rows of all keys in one order, by time and then by key."""
    times, places = _times(left), np.repeat(np.arange(len(left), dtype=np.int16), [len(one.at) for one in left])
    order = np.lexsort((places, times))
    order = order[kept[order]]
    features = np.empty((len(order), len(inputs.names)))
    for place, name in enumerate(inputs.names):
        features[:, place] = columns[name][order]
    values, realised, close = (
        np.concatenate([getattr(one.labels, name) for one in left])[order] for name in ("values", "realised", "close")
    )
    return Dataset(
        task=task,
        names=inputs.names,
        features=features,
        labels=values,
        timestamp_ms=times[order],
        key=places[order],
        keys=tuple(one.rows.key for one in left),
        close=close,
        realised=realised,
        candle_seconds=seconds,
        feature_set=feature_set,
        excluded={reason: count for reason, count in counts.items() if count},
        dropped=inputs.dropped,
    )


def _times(left: Sequence[_Part]) -> I8:
    times: I8 = np.concatenate([one.rows.features["timestamp_ms"][one.at] for one in left])
    return times


def exclusions(counts: Mapping[str, int]) -> list[str]:
    """Why rows were left out, in words, most of them first.

    >>> exclusions({"no_label_yet": 5})
    ['5 so near to the end of the data that their future is not known']
    """
    ordered = sorted((-count, reason) for reason, count in counts.items() if count)
    return [f"{-count:,} {labels.REASONS[reason]}" for count, reason in ordered]


def _check_rows(left: int, seen: int, counts: Mapping[str, int], request: Request) -> None:
    if left >= max(request.rows_min, 1):
        return
    worst = max(counts, key=lambda reason: counts[reason])
    why = f", since it leaves out rows: {', '.join(exclusions(counts))}" if any(counts.values()) else ""
    raise TrainingError(
        "training data",
        f"gives {left:,} rows of {seen:,} where at least {max(request.rows_min, 1):,} are needed{why}",
        REMEDIES.get(worst, "import or collect more") if counts[worst] else "import or collect more",
    )


def _check_finite(columns: Mapping[str, F8], left: Sequence[_Part], request: Request) -> None:
    names = [name for name in columns if name not in request.leave_out]
    found = first_infinity(names, columns)
    if found is None:
        return
    name, row = found
    part = np.repeat(np.arange(len(left)), [len(one.at) for one in left])[row]
    time_ms = int(_times(left)[row])
    raise TrainingError(
        f"feature {name}, row {row} of {left[part].rows.key} at {utc_text(time_ms)}",
        f"is {columns[name][row]}, and nothing can be learned from infinity",
        f"correct that candle, or leave the feature {name} out",
    )


def _check_classes(dataset: Dataset) -> None:
    """Labels that are all the same teach nothing."""
    first = dataset.labels[0]
    if (dataset.labels != first).any():
        return
    if dataset.task.sort == "classification":
        what = f"all {len(dataset):,} rows are of one class ({'above' if first else 'never above'})"
    else:
        what = f"all {len(dataset):,} rows have the same return ({first:g})"
    raise TrainingError(
        f"labels of {dataset.task.name}", f"{what}, so there is nothing to tell apart", "give a longer or livelier time"
    )
