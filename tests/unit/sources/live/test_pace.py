"""A pair's usual pace, and when it is suspiciously silent."""

from __future__ import annotations

import random

from tickcast.sources.live.pace import LEAST_S, MOST_S, UNKNOWN_S, Pace


def paced(every_s: float, count: int = 500, *, seed: int = 1) -> tuple[Pace, float]:
    chance, pace, now_s = random.Random(seed), Pace(), 0.0
    for _ in range(count):
        pace.heard(now_s)
        now_s += chance.expovariate(1.0 / every_s)
    return pace, now_s


def test_a_busy_pair_is_suspected_after_five_seconds_and_no_sooner() -> None:
    pace, now_s = paced(0.05)
    pace.heard(now_s)

    assert LEAST_S == pace.limit_s
    assert (False, True) == (pace.silent(now_s + 4.9), pace.silent(now_s + 5.1))


def test_a_slow_pair_is_given_the_time_that_it_usually_takes() -> None:
    pace, now_s = paced(10.0)
    pace.heard(now_s)

    assert 60.0 < pace.limit_s < MOST_S
    assert not pace.silent(now_s + 60.0)


def test_chance_alone_rarely_makes_a_pair_suspect() -> None:
    chance, pace, now_s, suspected = random.Random(7), Pace(), 0.0, 0
    for _ in range(20_000):
        gap_s = chance.expovariate(1.0 / 3.0)
        suspected += pace.silent(now_s + gap_s)
        now_s += gap_s
        pace.heard(now_s)

    assert suspected <= 20


def test_a_pair_of_unknown_pace_is_looked_at_after_a_minute() -> None:
    pace = Pace()
    pace.begin(0.0)
    pace.heard(0.1)

    assert (UNKNOWN_S, False, True) == (pace.limit_s, pace.silent(60.0), pace.silent(60.2))


def test_a_pause_that_was_no_pause_of_the_pairs_is_not_learned() -> None:
    pace, now_s = paced(0.05)
    pace.begin(now_s + 200.0)
    pace.heard(now_s + 200.1)

    assert LEAST_S == pace.limit_s


def test_what_was_slow_long_ago_is_forgotten() -> None:
    pace = Pace()
    for second in (0, 100, 101, 102, 103, 104, 105, 106, 107, 108):
        pace.heard(float(second))
    assert 150.0 < pace.limit_s
    for second in range(109, 8000):
        pace.heard(float(second))

    assert LEAST_S == pace.limit_s


def test_whoever_was_only_quiet_is_looked_at_ever_less_often() -> None:
    pace, now_s = paced(0.05)
    pace.heard(now_s)

    assert (True, False) == (pace.silent(now_s + 19.0, 2.0), pace.silent(now_s + 19.0, 4.0))
    assert pace.silent(now_s + MOST_S + 1.0, 1e9)
