"""Parts of a dataset to learn from, to choose by and to judge by: cut by time, all pairs at the same moments.

    train ............|purge|embargo| valid ...|purge|embargo| test ...
                  a label reaches this far ^

A row's label is known a horizon after its time. So a row learns only for what begins when its label is known, or
later (purge), and on request for what begins later still (embargo).
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tickcast.clock import DAY_MS, utc_text
from tickcast.errors import TrainingError
from tickcast.training.contract import Dataset, Fold
from tickcast.training.labels import horizon_ms

Places = NDArray[np.int64]
VALID_SHARE = 0.2
FIRST_SHARE = 0.4
"""The share of the rows before the first test part of a walk."""


def chronological(dataset: Dataset, train: float = 0.6, valid: float = 0.2, *, embargo_ms: int = 0) -> Fold:
    """Cut once: the first rows to learn from, the next to choose by, the rest to judge by."""
    if not (0.0 < train < 1.0 and 0.0 < valid < 1.0 and train + valid < 1.0):
        raise TrainingError("split", f"{train:g} and {valid:g} leave no rows to judge by", "give shares below 1 in sum")
    begin_ms, test_ms = _times_at(dataset, [train, train + valid])
    times = dataset.timestamp_ms
    reach = horizon_ms(dataset.task, dataset.candle_seconds) + embargo_ms
    return _checked(
        Fold(
            np.flatnonzero(times + reach <= begin_ms),
            np.flatnonzero((times >= begin_ms) & (times + reach <= test_ms)),
            np.flatnonzero(times >= test_ms),
            f"from {utc_text(test_ms)}",
        ),
        dataset,
    )


def walk_forward(
    dataset: Dataset,
    folds: int = 5,
    window: Literal["expanding", "sliding"] = "expanding",
    *,
    test_rows: int = 0,
    test_days: float = 0.0,
    train_days: float = 0.0,
    valid_share: float = VALID_SHARE,
    embargo_ms: int = 0,
) -> list[Fold]:
    """Learn, judge what follows, go on: the test parts follow each other up to the end of the data.

    Each test part has `test_rows` rows (of all pairs together), or `test_days`, or an equal share of the last 60 %.
    A sliding window learns from `train_days` before each test part, or from as much time as the first fold has.
    """
    edges = _edges(dataset, folds, test_rows, test_days)
    begins_ms = int(dataset.timestamp_ms[0])
    span_ms = int(train_days * DAY_MS) or edges[0] - begins_ms
    found = []
    for number, (from_ms, to_ms) in enumerate(pairwise(edges), start=1):
        start_ms = max(begins_ms, from_ms - span_ms) if window == "sliding" else begins_ms
        train, valid = _before(dataset, start_ms, from_ms, valid_share, embargo_ms)
        test = np.flatnonzero((dataset.timestamp_ms >= from_ms) & (dataset.timestamp_ms < to_ms))
        found.append(_checked(Fold(train, valid, test, f"{number} of {folds}, from {utc_text(from_ms)}"), dataset))
    return found


def combinatorial(
    dataset: Dataset, groups: int = 6, choose: int = 2, *, valid_share: float = VALID_SHARE, embargo_ms: int = 0
) -> list[Fold]:
    """Every choice of some of the groups of time to judge by; the rest, purged on both sides of each, learns.

    For choosing between models only: it learns from what came later, as nobody can.
    """
    if not 1 <= choose < groups:
        raise TrainingError("split", f"can not judge by {choose} of {groups} groups", "choose fewer than there are")
    times, reach = dataset.timestamp_ms, horizon_ms(dataset.task, dataset.candle_seconds)
    edges = [int(times[0]), *_times_at(dataset, [one / groups for one in range(1, groups)]), int(times[-1]) + 1]
    found = []
    for chosen in combinations(range(groups), choose):
        test, free = np.zeros(len(times), dtype=np.bool_), np.ones(len(times), dtype=np.bool_)
        for group in chosen:
            test |= (times >= edges[group]) & (times < edges[group + 1])
            # a row before must be known when the group begins; one after must begin when the group's last is known
            last_ms = times[times.searchsorted(edges[group + 1]) - 1]
            free &= (times + reach + embargo_ms <= edges[group]) | (times >= last_ms + reach + embargo_ms)
        train, valid = _tail(times, np.flatnonzero(free), valid_share, reach + embargo_ms)
        name = f"groups {', '.join(str(one + 1) for one in chosen)} of {groups}"
        found.append(_checked(Fold(train, valid, np.flatnonzero(test), name), dataset))
    return found


def _before(
    dataset: Dataset, start_ms: int, until_ms: int, valid_share: float, embargo_ms: int
) -> tuple[Places, Places]:
    """Rows to learn from and to choose by in [start, until), the labels of both known by then."""
    times = dataset.timestamp_ms
    reach = horizon_ms(dataset.task, dataset.candle_seconds) + embargo_ms
    return _tail(times, np.flatnonzero((times >= start_ms) & (times + reach <= until_ms)), valid_share, reach)


def _tail(times: NDArray[np.int64], rows: Places, share: float, reach_ms: int) -> tuple[Places, Places]:
    """The last share of some rows apart from those before it, whose labels are known when it begins."""
    if not len(rows):
        return rows, rows
    edge_ms = int(times[rows[min(int(len(rows) * (1.0 - share)), len(rows) - 1)]])
    return rows[times[rows] + reach_ms <= edge_ms], rows[times[rows] >= edge_ms]


def _edges(dataset: Dataset, folds: int, test_rows: int, test_days: float) -> list[int]:
    """When each test part begins, and the end of the last."""
    times, count = dataset.timestamp_ms, len(dataset)
    if folds < 1:
        raise TrainingError("folds", f"was {folds}", "give 1 or more")
    end_ms = int(times[-1]) + 1
    if test_days:
        edges = [end_ms - round((folds - one) * test_days * DAY_MS) for one in range(folds)]
    elif test_rows:
        if folds * test_rows >= count:
            raise TrainingError(
                "folds", f"{folds} of {test_rows:,} rows leave none of {count:,} to learn from", "ask for fewer"
            )
        edges = [int(times[count - (folds - one) * test_rows]) for one in range(folds)]
    else:
        edges = _times_at(dataset, [FIRST_SHARE + (1.0 - FIRST_SHARE) * one / folds for one in range(folds)])
    if edges[0] <= times[0]:
        days = (end_ms - int(times[0])) / DAY_MS
        raise TrainingError(
            "folds", f"{folds} of {test_days:g} days leave none of {days:.1f} to learn from", "ask for fewer"
        )
    return [*edges, end_ms]


def _times_at(dataset: Dataset, shares: list[float]) -> list[int]:
    """The times of the rows at some shares of all: a moment is never cut in two, whatever pairs stand in it."""
    return [int(dataset.timestamp_ms[min(int(len(dataset) * share), len(dataset) - 1)]) for share in shares]


def _checked(fold: Fold, dataset: Dataset) -> Fold:
    for what, rows in (("learn from", fold.train), ("choose by", fold.valid), ("judge by", fold.test)):
        if not len(rows):
            raise TrainingError(
                f"fold {fold.name}",
                f"has no rows left to {what}",
                "give more rows, or ask for fewer folds or a shorter embargo",
            )
    learned = dataset.labels[fold.train]
    if dataset.task.sort == "classification" and (learned == learned[0]).all():
        raise TrainingError(
            f"fold {fold.name}",
            f"has {len(learned):,} rows to learn from, all of one class of {dataset.task.name} "
            f"({'above' if learned[0] else 'never above'}), so there is nothing to tell apart",
            "give a longer or livelier time",
        )
    return fold
