"""No part of a split knows what another is judged by, whatever the data looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.market import MINUTE_MS, START_MS
from tickcast.clock import DAY_MS
from tickcast.errors import TrainingError
from tickcast.training.contract import Dataset, Fold, Task
from tickcast.training.splits import chronological, combinatorial, walk_forward

WINDOWS: tuple[Literal["expanding", "sliding"], ...] = ("expanding", "sliding")


def dataset(minutes: list[int], keys: list[int], horizon_seconds: int = 300) -> Dataset:
    """Rows at some minutes, of some keys."""
    order = np.lexsort((keys, minutes))
    count = len(minutes)
    return Dataset(
        task=Task("price", horizon_seconds),
        names=("a",),
        features=np.zeros((count, 1)),
        labels=np.zeros(count),
        timestamp_ms=START_MS + np.array(minutes, dtype=np.int64)[order] * MINUTE_MS,
        key=np.array(keys, dtype=np.int16)[order],
        keys=("x:A", "x:B", "x:C"),
        close=np.ones(count),
        realised=np.ones(count),
        candle_seconds=60,
        feature_set="s",
        excluded={},
    )


def whole(minutes: int, pairs: int = 2, horizon_seconds: int = 300) -> Dataset:
    """Every minute of some pairs."""
    return dataset(sorted([*range(minutes)] * pairs), [*range(pairs)] * minutes, horizon_seconds)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Minutes with holes, several pairs that come and go, horizons up to half an hour."""
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    at = np.flatnonzero(chance.random(600 * 3) < draw(st.sampled_from([0.03, 0.1, 0.5])))
    return dataset((at // 3).tolist(), (at % 3).tolist(), draw(st.sampled_from([1, 60, 300, 1800])))


def holds(data: Dataset, fold: Fold, embargo_ms: int = 0) -> None:
    """Nothing in the earlier part is known only within, or an embargo before, the later one; all are apart."""
    times, reach = data.timestamp_ms, -(-data.task.horizon_seconds // 60) * MINUTE_MS + embargo_ms
    train, valid, test = (times[rows] for rows in fold[:3])

    assert train.max() + reach <= valid.min()
    assert valid.max() + reach <= test.min()
    assert len({*fold.train.tolist()} | {*fold.valid.tolist()} | {*fold.test.tolist()}) == sum(map(len, fold[:3]))
    assert all(bool((np.diff(rows) > 0).all()) for rows in fold[:3])


def refused(split: Callable[[], object]) -> bool:
    """Whether so little is left that the split says so."""
    try:
        split()
    except TrainingError:
        return True
    return False


@settings(max_examples=60, deadline=None)
@given(data=datasets(), embargo=st.sampled_from([0, 7 * MINUTE_MS]))
def test_a_split_by_time_keeps_what_is_known_apart(data: Dataset, embargo: int) -> None:
    if refused(lambda: chronological(data, embargo_ms=embargo)):
        return
    fold = chronological(data, embargo_ms=embargo)

    holds(data, fold, embargo)
    assert len(data) - 1 == fold.test[-1]
    assert fold.test.tolist() == [*range(fold.test[0], len(data))]


@settings(max_examples=60, deadline=None)
@given(
    data=datasets(),
    folds=st.integers(1, 5),
    window=st.sampled_from(WINDOWS),
    sized=st.sampled_from([(0, 0.0), (15, 0.0), (0, 0.04)]),
    embargo=st.sampled_from([0, 7 * MINUTE_MS]),
)
def test_a_walk_judges_by_all_that_follows_its_beginning_once(
    data: Dataset, folds: int, window: Literal["expanding", "sliding"], sized: tuple[int, float], embargo: int
) -> None:
    def walk() -> list[Fold]:
        return walk_forward(data, folds, window, test_rows=sized[0], test_days=sized[1], embargo_ms=embargo)

    if refused(walk):
        return
    found = walk()

    for fold in found:
        holds(data, fold, embargo)
    judged = np.concatenate([fold.test for fold in found])
    assert judged.tolist() == [*range(judged[0], len(data))]
    for fold in found:  # a moment is never cut in two
        assert fold.test[0] == 0 or data.timestamp_ms[fold.test[0] - 1] < data.timestamp_ms[fold.test[0]]


@settings(max_examples=40, deadline=None)
@given(data=datasets(), groups=st.integers(3, 6), choose=st.integers(1, 2), embargo=st.sampled_from([0, 7 * MINUTE_MS]))
def test_groups_to_judge_by_are_known_to_no_row_that_learns(
    data: Dataset, groups: int, choose: int, embargo: int
) -> None:
    if refused(lambda: combinatorial(data, groups, choose, embargo_ms=embargo)):
        return
    found = combinatorial(data, groups, choose, embargo_ms=embargo)
    reach = -(-data.task.horizon_seconds // 60) * MINUTE_MS

    times = data.timestamp_ms
    for fold in found:
        learns, judges = times[np.concatenate([fold.train, fold.valid])][:, None], times[fold.test][None, :]
        assert bool(((learns + reach + embargo <= judges) | (learns >= judges + reach + embargo)).all())
        assert times[fold.train].max() + reach + embargo <= times[fold.valid].min()
    judged, counts = np.unique(np.concatenate([fold.test for fold in found]), return_counts=True)
    assert len(data) == len(judged)
    assert 1 == len({*counts.tolist()})


def test_60_20_20_of_whole_minutes() -> None:
    fold = chronological(whole(100, pairs=1))

    assert ([*range(56)], [*range(60, 76)], [*range(80, 100)]) == tuple(rows.tolist() for rows in fold[:3])


def test_an_embargo_keeps_further_away() -> None:
    assert 50 == len(chronological(whole(100, pairs=1), embargo_ms=6 * MINUTE_MS).train)


def test_a_walk_of_days_and_a_window_that_slides() -> None:
    data = whole(4 * 1440, pairs=2)
    expanding = walk_forward(data, 2, test_days=1)
    sliding = walk_forward(data, 2, "sliding", test_days=1)

    assert [2880, 2880] == [len(fold.test) for fold in expanding]
    assert [0, 0] == [int(fold.train[0]) for fold in expanding]
    assert DAY_MS == data.timestamp_ms[sliding[1].train[0]] - data.timestamp_ms[sliding[0].train[0]]
    shorter = walk_forward(data, 2, "sliding", test_days=1, train_days=0.5)
    assert DAY_MS // 2 >= data.timestamp_ms[shorter[0].test[0]] - data.timestamp_ms[shorter[0].train[0]]


def test_all_pairs_are_cut_at_the_same_moment() -> None:
    for fold in walk_forward(whole(500, pairs=3), 4):
        for rows in fold[:3]:
            assert 0 == len(rows) % 3


def test_folds_tell_when_they_begin() -> None:
    assert "2 of 2, from 2024-08-09 01:10:00 UTC" == walk_forward(whole(100, pairs=1), 2)[1].name


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (lambda: chronological(whole(100), 0.9, 0.2), "leave no rows to judge by"),
        (lambda: chronological(whole(4, pairs=1)), "has no rows left to learn from; give more rows"),
        (lambda: walk_forward(whole(100), 5, test_rows=40), "5 of 40 rows leave none of 200 to learn from"),
        (lambda: walk_forward(whole(100), 5, test_days=1), "5 of 1 days leave none of 0.1 to learn from"),
        (lambda: walk_forward(whole(100), 0), "folds: was 0"),
        (lambda: combinatorial(whole(100), 3, 3), "can not judge by 3 of 3 groups"),
    ],
)
def test_what_can_not_be_cut_is_said(split: Callable[[], object], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        split()


@pytest.mark.parametrize("split", [chronological, walk_forward])
def test_a_part_to_learn_from_that_knows_one_class_only_is_refused(split: Callable[[Dataset], object]) -> None:
    data = whole(1000, pairs=1)
    late = msgspec.structs.replace(
        data, task=Task("volatility", 60), labels=(np.arange(len(data)) > 900).astype(np.float64)
    )

    with pytest.raises(TrainingError, match=r"rows to learn from, all of one class of volatility \(never above\)"):
        split(late)
