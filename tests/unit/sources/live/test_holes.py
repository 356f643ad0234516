"""Open holes: what fills them, what is left, and when they are given up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.live.storms import Trade, part_of
from tickcast.sources.live.holes import CONFIRM_S, FORGOTTEN, HOLES_MAX, TRIES_MAX, Hole, Holes


def ids(holes: Holes) -> set[int]:
    return {number for hole in holes for number in range(hole.first_id, hole.last_id + 1)}


@settings(max_examples=200, deadline=None)
@given(gone=st.sets(st.integers(0, 120)), came=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 6))))
def test_what_came_is_missing_no_more_and_nothing_else_changes(gone: set[int], came: list[tuple[int, int]]) -> None:
    holes, missing = Holes(), set(gone)
    for number in sorted(gone):
        holes.add(Hole(number, number, number, number))
    for first, more in came:
        filled = holes.seen(first, first + more, first)
        new = missing & set(range(first, first + more + 1))
        missing -= new

        assert len(new) == filled.trades
    if len(gone) <= HOLES_MAX:
        assert missing == ids(holes)
    assert missing <= ids(holes)


def test_beyond_its_bound_the_oldest_are_taken_as_one() -> None:
    holes = Holes()
    for number in range(0, 10 * (HOLES_MAX + 2), 10):
        holes.add(Hole(number, number, number, number))
    oldest = next(iter(holes))

    assert (HOLES_MAX, 0, 20) == (len(holes), oldest.first_id, oldest.last_id)


def test_a_hole_is_asked_for_ever_less_often_and_given_up_after_a_day() -> None:
    holes, now_s, asked = Holes(), 0.0, 0
    holes.add(Hole(5, 6, 1000, 2000))
    while len(holes) and asked <= TRIES_MAX + 1:
        hole = holes.due(now_s)
        if hole is None:
            now_s += 1.0
            continue
        asked += 1
        given_up = holes.retry(0, 60_000, now_s)

    assert [(5, 6)] == [(hole.first_id, hole.last_id) for hole in given_up]
    assert 86_400 < now_s


def test_two_looks_at_a_hole_in_one_moment_are_one() -> None:
    holes = Holes()
    holes.add(Hole(5, 6, 1000, 2000))
    answer = part_of([Trade(4, 4, 1000), Trade(7, 7, 2000)], (0, 60_000), end=True)
    looks = [holes.judge(answer, None, 0, now_s).lost for now_s in (0.0, 1.0, 2.0, CONFIRM_S)]

    assert [0, 0, 0, 1] == [len(lost) for lost in looks]


def test_both_sides_may_be_shown_by_two_answers_of_one_walk() -> None:
    holes = Holes()
    holes.add(Hole(5, 6, 1000, 2000))
    before = part_of([Trade(4, 4, 1000)], (0, 1500), end=False)
    after = part_of([Trade(7, 7, 2000)], (1500, 60_000), end=False)
    lost = [holes.judge(after, before, 0, now_s).lost for now_s in (0.0, CONFIRM_S)]
    alone = Holes()
    alone.add(Hole(5, 6, 1000, 2000))
    alone.judge(after, None, 0, 0.0)

    assert [0, 1] == [len(one) for one in lost]
    assert 0 == next(iter(alone)).empty


def test_a_hole_older_than_all_that_the_venue_keeps_is_given_up_after_some_more_looks() -> None:
    """
    known  4 ╌╌╌╌╌╌╌ 9          kept  8 9 10: even 4, which we know, is there no more; 5 to 7 are not coming back
    """
    holes = Holes()
    holes.add(Hole(5, 7, 1000, 1100))
    kept = part_of([Trade(number, number, 1000 + 10 * number) for number in (8, 9, 10)], (0, 2000), end=True)
    looks = [holes.judge(kept, None, 0, look * CONFIRM_S).lost for look in range(FORGOTTEN)]

    assert [[]] * (FORGOTTEN - 1) == looks[:-1]
    assert [(5, 7)] == [(hole.first_id, hole.last_id) for hole in looks[-1]]


def test_a_hole_in_a_time_of_which_the_venue_knows_nothing_is_given_up_when_it_can_not_be_a_lag_any_more() -> None:
    holes, now_s, looks = Holes(), 0.0, 0
    holes.add(Hole(5, 7, 1000, 1100))
    lost: list[Hole] = []
    while not lost:
        hole = next(iter(holes))
        now_s, looks = max(now_s, hole.due_s), looks + 1
        lost = holes.judge(part_of([], (0, 2000), end=True), None, 0, now_s).lost
        holes.retry(0, 2000, now_s)

    assert (10, True) == (looks, now_s > 600)


def test_an_answer_that_shows_what_was_before_a_hole_or_does_not_reach_so_far_tells_nothing_of_it() -> None:
    holes = Holes()
    holes.add(Hole(5, 7, 1000, 1100))
    late = part_of([Trade(9, 9, 1090)], (1050, 2000), end=True)
    older = part_of([Trade(4, 4, 1000)], (0, 1050), end=False)
    looks = [holes.judge(late, before, 0, look * CONFIRM_S).lost for before in (None, older) for look in range(9)]

    assert ([[]] * 18, 1) == (looks, len(holes))


def test_a_hole_of_time_closes_when_all_of_it_was_told() -> None:
    holes = Holes()
    holes.add(Hole(-1, -1, 1000, 2000))
    half = holes.judge(part_of([Trade(4, 4, 1200)], (0, 1500), end=False), None, 0, 0.0)
    rest = holes.judge(part_of([Trade(9, 9, 1700)], (1500, 60_000), end=False), None, 0, 0.0)

    assert (1, 0, 1, 1, 0) == (half.trades, half.closed, rest.trades, rest.closed, len(holes))


def test_what_the_venue_keeps_no_more_is_given_up_at_once() -> None:
    holes = Holes()
    holes.add(Hole(5, 6, 1000, 2000))
    holes.add(Hole(8, 9, 90_000, 91_000))

    assert [5] == [hole.first_id for hole in holes.forget(0, 60_000)]
    assert [8] == [hole.first_id for hole in holes]
