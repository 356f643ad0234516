"""A venue's clock beside ours: bounds that hold, whatever the way there and back costs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.clock import ManualClock, PacedClock
from tickcast.sources.live.clocks import VenueClock

NOW_NS = 1_700_000_000_123_000_000


def ask(
    clock: VenueClock, offset_ms: float, at_s: float, out_ms: float, back_ms: float, *, whole: bool = False
) -> None:
    """One request, as it goes when the venue is so far ahead."""
    sent_ns = NOW_NS + round(at_s * 1e9)
    venue_ms = sent_ns / 1e6 + out_ms + offset_ms
    told_ms = int(venue_ms) // 1000 * 1000 if whole else int(venue_ms)
    clock.sample(told_ms, sent_ns, sent_ns + round((out_ms + back_ms) * 1e6), at_s)


Way = tuple[float, float, float, bool]
ways: st.SearchStrategy[list[Way]] = st.lists(
    st.tuples(st.floats(0.1, 60.0), st.floats(0.0, 500.0), st.floats(0.0, 500.0), st.booleans()),
    min_size=1,
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(offset_ms=st.floats(-1e6, 1e6), asked=ways)
def test_the_truth_lies_within_the_error_and_proof_never_runs_ahead(offset_ms: float, asked: list[Way]) -> None:
    clock, at_s = VenueClock(), 0.0
    for wait_s, out_ms, back_ms, whole in asked:
        at_s += wait_s
        ask(clock, offset_ms, at_s, out_ms, back_ms, whole=whole)

    assert clock.offset_ms is not None
    assert clock.error_ms is not None
    assert abs(clock.offset_ms - offset_ms) <= clock.error_ms + 0.01
    now_ns = NOW_NS + round(at_s * 1e9)
    reached_ms = clock.reached_ms(now_ns)
    assert reached_ms is not None
    assert reached_ms <= now_ns / 1e6 + offset_ms + 0.01


def test_nothing_is_known_before_the_first_answer() -> None:
    clock = VenueClock()

    assert (None, None, None) == (clock.offset_ms, clock.error_ms, clock.reached_ms(NOW_NS))
    assert NOW_NS // 1_000_000 == clock.venue_now_ms(NOW_NS)


def test_the_quickest_answer_says_most() -> None:
    clock = VenueClock()
    ask(clock, 250, 0, 400, 10)
    ask(clock, 250, 30, 3, 2)
    ask(clock, 250, 60, 10, 400)

    assert clock.offset_ms == pytest.approx(250, abs=6)
    assert clock.error_ms == pytest.approx(5, abs=5)


def test_a_venue_that_tells_whole_seconds_is_narrowed_down_all_the_same() -> None:
    clock = VenueClock()
    for nth in range(16):
        ask(clock, -1270, 7.31 * nth, 5, 5, whole=True)

    assert clock.offset_ms == pytest.approx(-1270, abs=120)


def test_messages_that_carry_their_time_prove_more_than_a_slow_answer() -> None:
    clock = VenueClock()
    ask(clock, 0, 0, 100, 100)
    before_ms = clock.reached_ms(NOW_NS)
    clock.heard(NOW_NS // 1_000_000 - 3, NOW_NS, 1.0)
    assert before_ms is not None

    assert before_ms < NOW_NS // 1_000_000 - 50
    assert NOW_NS // 1_000_000 - 3 == clock.reached_ms(NOW_NS)


def test_where_a_venue_shows_two_clocks_the_earlier_one_proves() -> None:
    """Its REST is five seconds ahead of its messages, whose time is the trades'."""
    clock = VenueClock()
    ask(clock, 5000, 0, 5, 5)
    clock.heard(NOW_NS // 1_000_000 - 3, NOW_NS, 1.0)

    assert NOW_NS // 1_000_000 - 3 == clock.reached_ms(NOW_NS)


def test_a_wrong_time_in_messages_is_forgotten() -> None:
    clock = VenueClock()
    for second in range(200):
        wrong_ms = 5000 if second < 10 else 0
        clock.heard((NOW_NS + second * 1_000_000_000) // 1_000_000 + wrong_ms, NOW_NS + second * 1_000_000_000, second)

    assert NOW_NS // 1_000_000 == clock.reached_ms(NOW_NS)


def test_a_message_from_the_future_proves_nothing_beyond_what_was_measured() -> None:
    clock = VenueClock()
    ask(clock, 0, 0, 10, 10)
    clock.heard(NOW_NS // 1_000_000 + 3_600_000, NOW_NS, 1.0)
    reached_ms = clock.reached_ms(NOW_NS)
    assert reached_ms is not None

    assert reached_ms <= NOW_NS // 1_000_000 + 12


def test_one_answer_that_contradicts_all_others_is_doubted_until_another_agrees_with_either() -> None:
    clock = VenueClock()
    for second in range(4):
        ask(clock, 0, second, 5, 5)
    ask(clock, 3_600_000, 5, 5, 5)
    doubted = clock.offset_ms
    ask(clock, 0, 6, 5, 5)
    trusted = clock.offset_ms

    assert doubted is None
    assert trusted == pytest.approx(0, abs=10)


def test_a_venue_whose_clock_was_set_is_believed_when_it_says_so_twice() -> None:
    clock = VenueClock()
    for second in range(4):
        ask(clock, 0, second, 5, 5)
    ask(clock, 90_000, 5, 5, 5)
    ask(clock, 90_000, 6, 5, 5)

    assert clock.offset_ms == pytest.approx(90_000, abs=10)


def test_a_leap_of_our_own_clock_moves_the_bounds_with_it() -> None:
    """
    ours     12:00:00  12:00:01 | set: 13:00:02          the venue is where it was, so it is an hour behind us now
    """
    clock = VenueClock()
    ask(clock, 40, 0, 5, 5)
    assert not clock.tick(NOW_NS, 0.0)
    assert not clock.tick(NOW_NS + 1_000_000_000, 1.0)
    assert clock.tick(NOW_NS + 3_602_000_000_000, 2.0)

    assert clock.offset_ms == pytest.approx(40 - 3_600_000, abs=10)
    assert clock.reached_ms(NOW_NS + 3_602_000_000_000) == pytest.approx(NOW_NS / 1e6 + 2040, abs=15)


def test_a_request_during_which_our_clock_was_set_back_says_nothing() -> None:
    clock = VenueClock()
    clock.sample(1_700_000_000_001, NOW_NS, NOW_NS - 1, 0.0)

    assert clock.offset_ms is None


def paced(speed: float) -> tuple[ManualClock, PacedClock]:
    machine = ManualClock(NOW_NS)
    market = PacedClock(machine)
    market.pace(speed, NOW_NS)
    return machine, market


@pytest.mark.parametrize("speed", [0.01, 1.0, 60.0, 3600.0])
def test_a_market_that_runs_at_another_speed_is_no_leaping_clock(speed: float) -> None:
    """Its pace is told, not guessed: looked at within a millisecond or after a second, it was never set."""
    machine, market = paced(speed)
    chance, clock = random.Random(1), VenueClock()
    late_ms = 0.001 * speed * 1000
    told = []
    for _ in range(200):
        machine.sleep(chance.choice([0.0005, 0.004, 0.05, 1.0]))
        before_s = machine.monotonic_s()
        machine.sleep(chance.uniform(0.0, 0.001))  # between its two looks
        told.append(clock.tick(market.now_ns(), before_s, market.speed))
    now_ns = market.now_ns()
    clock.sample(now_ns // 1_000_000 + 40, now_ns, now_ns, machine.monotonic_s())

    assert [False] * 200 == told
    assert clock.offset_ms == pytest.approx(40, abs=10 + late_ms)


def test_a_clock_that_is_paced_from_now_on_was_not_set_either() -> None:
    machine = ManualClock(NOW_NS)
    market, clock = PacedClock(machine), VenueClock()
    clock.tick(market.now_ns(), machine.monotonic_s(), market.speed)
    market.pace(60.0, NOW_NS)
    machine.sleep(1.0)

    assert not clock.tick(market.now_ns(), machine.monotonic_s(), market.speed)


def test_a_faster_market_that_is_set_is_seen_all_the_same() -> None:
    machine, market = paced(60.0)
    clock = VenueClock()
    clock.tick(market.now_ns(), machine.monotonic_s(), market.speed)
    market.pace(60.0, NOW_NS + 3_600_000_000_000)
    machine.sleep(1.0)

    assert clock.tick(market.now_ns(), machine.monotonic_s(), market.speed)
