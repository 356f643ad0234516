"""Within a venue's limits however long an outage lasts, and never in a hot loop."""

from __future__ import annotations

import heapq
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.clock import ManualClock
from tickcast.sources.sockets.dial import BASE_S, LEAST_S, MAX_S, SLICE_S, Backoff, DialBudget

TINY_S = 1e-6


def within_limit(dials_s: list[float], connects: int, span_s: float) -> bool:
    """No window of the span holds more dials than allowed."""
    return all(later - sooner >= span_s - TINY_S for sooner, later in zip(dials_s, dials_s[connects:], strict=False))


@settings(max_examples=100, deadline=None)
@given(
    connects=st.integers(1, 20),
    span_s=st.floats(0.1, 600.0),
    steps_s=st.lists(st.floats(0.0, 100.0), max_size=200),
)
def test_no_span_ever_holds_more_dials_than_the_venue_allows(
    connects: int, span_s: float, steps_s: list[float]
) -> None:
    clock = ManualClock()
    dials = DialBudget(connects, span_s, clock)
    taken_s = []
    for step_s in steps_s:
        if dials.take_s() == 0.0:
            taken_s.append(clock.monotonic_s())
        clock.sleep(step_s)

    assert within_limit(taken_s, connects, span_s)


@settings(max_examples=100, deadline=None)
@given(connects=st.integers(1, 5), span_s=st.floats(0.1, 50.0), wanted=st.integers(1, 30))
def test_who_waits_as_told_dials_as_soon_as_it_may(connects: int, span_s: float, wanted: int) -> None:
    clock = ManualClock()
    dials = DialBudget(connects, span_s, clock)
    taken_s: list[float] = []
    asked = 0
    while len(taken_s) < wanted:
        wait_s = dials.take_s()
        asked += 1
        if wait_s == 0.0:
            taken_s.append(clock.monotonic_s())
        clock.sleep(wait_s)

    assert asked <= 3 * wanted
    assert taken_s[-1] <= (wanted - 1) // connects * span_s + 0.002 * wanted
    assert within_limit(taken_s, connects, span_s)


def test_a_ban_keeps_everybody_away_until_it_is_over() -> None:
    clock = ManualClock()
    dials = DialBudget(100, 1.0, clock)
    dials.hold(90.0)
    dials.hold(10.0)  # a shorter one does not shorten it

    assert SLICE_S == dials.take_s()
    clock.sleep(SLICE_S)
    assert 30.0 == pytest.approx(dials.take_s())
    clock.sleep(30.0)
    assert 0.0 == dials.take_s()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), retry_after_s=st.sampled_from([0.0, 0.0, 3.0, 259_200.0]), long=st.booleans())
def test_a_wait_is_never_nothing_never_beyond_its_ceiling_and_honours_the_venues_wish(
    seed: int, retry_after_s: float, long: bool
) -> None:
    backoff = Backoff(random.Random(seed))
    for attempt in range(2000):
        wait_s = backoff.next_s(retry_after_s, long) - retry_after_s
        ceiling_s = MAX_S if long else max(LEAST_S, min(MAX_S, BASE_S * 2.0 ** min(attempt, 1000)))

        assert (MAX_S / 2 if long else LEAST_S) - TINY_S <= wait_s <= ceiling_s + TINY_S


def test_after_better_days_the_first_wait_is_short_again() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(50):
        backoff.next_s()
    backoff.reset()

    assert backoff.next_s() <= BASE_S


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), connections=st.integers(1, 8), connects=st.integers(1, 10))
def test_twelve_hours_of_outage_are_met_within_limits_and_without_haste(
    seed: int, connections: int, connects: int
) -> None:
    """Every connection fails at once, whenever it dials, as when the network is gone."""
    clock, span_s, end_s = ManualClock(), 60.0, 12 * 3600.0
    dials = DialBudget(connects, span_s, clock)
    backoffs = [Backoff(random.Random(seed + number)) for number in range(connections)]
    due = [(0.0, number) for number in range(connections)]
    dialled: list[list[float]] = [[] for _ in range(connections)]
    asked = 0
    while due[0][0] < end_s:
        at_s, number = heapq.heappop(due)
        clock.sleep(at_s - clock.monotonic_s())
        asked += 1
        wait_s = dials.take_s()
        if wait_s == 0.0:
            dialled[number].append(clock.monotonic_s())
            wait_s = backoffs[number].next_s()
        heapq.heappush(due, (clock.monotonic_s() + wait_s, number))

    together_s = sorted(at_s for one in dialled for at_s in one)
    assert within_limit(together_s, connects, span_s)
    assert all(later - sooner >= LEAST_S - TINY_S for one in dialled for sooner, later in pairwise(one))
    assert max(len(one) for one in dialled) <= end_s / (MAX_S / 2) * 1.25 + 20
    assert asked <= 10 * len(together_s) * connections + 100


def test_a_limit_that_allows_nothing_is_a_fault() -> None:
    with pytest.raises(ValueError, match="allow none"):
        DialBudget(0, 1.0, ManualClock())
