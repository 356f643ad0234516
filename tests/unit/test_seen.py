"""The set of seen ids agrees with a set of ids, as far back as it remembers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.seen import DUPLICATE, HI, KEEP, LO, NEW, OLD, OVERLAPPING, known, missing, new_seen, see
from tickcast.sequences import RESTART_MS, beginnings, in_order


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=60))
def test_ranges_are_new_doubled_or_overlapping_as_a_set_of_ids_says(ranges: list[tuple[int, int]]) -> None:
    ids, used, model = new_seen(), 0, set[int]()
    for first, more in ranges:
        covered = set(range(first, first + more + 1))
        expected = NEW if not covered & model else DUPLICATE if covered <= model else OVERLAPPING

        verdict, used = see(ids, used, first, first + more, 0, 0)

        assert expected == verdict
        if verdict == NEW:
            model |= covered
        rows = ids[:used]
        assert model == {k for row in rows for k in range(row[LO], row[HI] + 1)}
        assert all(rows[k, HI] + 1 < rows[k + 1, LO] for k in range(used - 1))  # joined wherever they touch
        assert missing(ids, used) == (max(model) - min(model) + 1 - len(model) if model else 0)


def test_each_interval_keeps_the_times_of_its_ends() -> None:
    """
    ids    1    2         5    6
    times  10   20        50   60      then 3 and 4 come and all is one
    """
    ids, used = new_seen(), 0
    for number in (2, 1, 6, 5):
        _, used = see(ids, used, number, number, number * 10, 0)

    assert ids[:used].tolist() == [[1, 2, 10, 20], [5, 6, 50, 60]]

    _, used = see(ids, used, 3, 4, 30, 0)

    assert ids[:used].tolist() == [[1, 6, 10, 60]]


def test_beyond_its_limit_the_oldest_become_one() -> None:
    ids, used = new_seen(), 0
    for number in range(0, 2 * KEEP + 20, 2):
        _, used = see(ids, used, number, number, number, 0)

    assert used == KEEP
    assert ids[0].tolist() == [0, 20, 0, 20]
    assert see(ids, used, 7, 7, 7, 0)[0] == DUPLICATE
    assert see(ids, used, 25, 25, 25, 0)[0] == NEW


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=400))
def test_ids_that_stand_alone_are_remembered_alike_however_often_one_asks(numbers: list[int]) -> None:
    """The array is tidied late; what it answers, and what a snapshot keeps, must not show when."""
    lazy, eager = new_seen(), new_seen()
    lazy_used = eager_used = 0
    for number in numbers:
        one, lazy_used = see(lazy, lazy_used, -1, number, number, 0)
        kept = known(eager, eager_used)
        eager[: len(kept)], eager_used = kept, len(kept)
        other, eager_used = see(eager, eager_used, -1, number, number, 0)

        assert one == other
        assert known(lazy, lazy_used).tolist() == known(eager, eager_used).tolist()


def test_ids_that_stand_alone_are_never_joined() -> None:
    ids, used = new_seen(), 0
    for number in range(1000):
        verdict, used = see(ids, used, -1, number, number, 0)
        assert verdict == NEW

    kept = known(ids, used)

    assert (len(kept), kept[0, :2].tolist()) == (KEEP, [0, 936])
    assert see(ids, used, -1, 990, 990, 0)[0] == DUPLICATE


def test_ids_that_begin_anew_are_new_and_those_before_are_forgotten_but_for_their_time() -> None:
    """
    ids    4999998 ─ 5000000        1   2
    time   1000      3000           90000 90001
    """
    ids, used = new_seen(), 0
    for number in (4_999_998, 4_999_999, 5_000_000):
        _, used = see(ids, used, number, number, 1000 * (number - 4_999_997), 0)

    verdict, used = see(ids, used, 1, 1, 90_000, 3000)
    assert (NEW, [[OLD, OLD, 3000, 3000], [1, 1, 90_000, 90_000]]) == (verdict, ids[:used].tolist())

    verdict, used = see(ids, used, 5_000_001, 5_000_001, 3000, 90_000)
    assert (OVERLAPPING, 0) == (verdict, missing(ids, used))
    assert (NEW, 2) == see(ids, used, 2, 2, 90_001, 90_000)
    assert (DUPLICATE, 2) == see(ids, used, 1, 1, 90_000, 90_001)


def test_an_old_id_begins_nothing_before_the_latest_time_that_came() -> None:
    ids, used = new_seen(), 0
    _, used = see(ids, used, 5, 5, 1000, 0)

    assert (DUPLICATE, 1) == see(ids, used, 5, 5, 90_000, 90_000)
    assert (NEW, 2) == see(ids, used, 5, 5, 90_001, 90_000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 4 * RESTART_MS)), max_size=40))
def test_rows_of_several_sequences_stand_in_the_order_in_which_none_is_a_double(steps: list[tuple[int, int]]) -> None:
    """Ids go up by one, or begin anew after a pause; pages tell them in any order."""
    number, time, rows = 50, 1_000_000, []
    for back, pause in steps:
        number = max(1, number - back) if pause > RESTART_MS else number + 1
        time += pause if pause > RESTART_MS else 1
        rows.append((number, time))
    ids, times = (np.array([row[k] for row in rows], dtype=np.int64) for k in (0, 1))
    mixed = np.random.default_rng(len(rows)).permutation(len(rows))

    order = in_order(ids[mixed], times[mixed])

    assert rows == list(zip(ids[mixed][order].tolist(), times[mixed][order].tolist(), strict=True))
    anew = [at for at in range(1, len(rows)) if rows[at][0] <= rows[at - 1][0]]
    assert anew == beginnings(ids, times)
