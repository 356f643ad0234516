from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tickcast.calibration.adaptive import Adaptive, thinned
from tickcast.calibration.conformal import rank_quantile
from tickcast.errors import DataError, SnapshotError

F8 = NDArray[np.float64]
UNCUT = Adaptive(gamma=0.02, window=50, alpha_min=-math.inf, alpha_max=math.inf)


def one_by_one(rule: Adaptive, at_ms: list[int], key: list[int], scores: F8, horizon_ms: int, seeds: F8) -> list[float]:
    """As live: what is due is taken in, then the forecast is made."""
    states = {k: rule.new(seeds) for k in set(key)}
    waiting: dict[int, deque[tuple[int, float, float]]] = {k: deque() for k in states}
    out = []
    for now, k, score in zip(at_ms, key, scores.tolist(), strict=True):
        while waiting[k] and waiting[k][0][0] <= now:
            _, known, issued = waiting[k].popleft()
            rule.mature(states[k], known, issued)
        out.append(rule.threshold(states[k]))
        waiting[k].append((now + horizon_ms, score, out[-1]))
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=120),
    st.integers(1, 9),
    st.integers(1, 12),
)
def test_all_at_once_is_one_by_one_to_the_last_bit(rows: list[tuple[int, int, int]], horizon: int, window: int) -> None:
    at_ms, key = np.cumsum([row[0] for row in rows]), np.array([row[1] for row in rows])
    order = np.lexsort((key, at_ms))
    at_ms, key = at_ms[order], key[order]
    scores, seeds = np.array([row[2] / 7 for row in rows]), np.array([0.5, 1.0, 0.25])
    rule = Adaptive(gamma=0.05, window=window)

    expected = one_by_one(rule, at_ms.tolist(), key.tolist(), scores, horizon, seeds)
    assert expected == rule.run(at_ms, key, scores, horizon, seeds).tolist()


def test_days_of_several_keys_with_a_gap_are_one_by_one_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    minutes = np.concatenate([np.arange(2500), np.arange(4000, 5500)])
    at_ms, key = np.repeat(minutes * 60_000, 3), np.tile(np.arange(3), len(minutes))
    scores, seeds, rule = rng.exponential(size=len(key)), thinned(rng.exponential(size=5000)), Adaptive()

    expected = one_by_one(rule, at_ms.tolist(), key.tolist(), scores, 300_000, seeds)
    assert expected == rule.run(at_ms, key, scores, 300_000, seeds).tolist()


def test_the_threshold_is_the_quantile_of_the_last_scores() -> None:
    rule, scores = Adaptive(window=100, gamma=0.0), np.random.default_rng(1).exponential(size=350)
    state = rule.new()

    for place, score in enumerate(scores):
        expected = rank_quantile(scores[max(0, place - 100) : place], 0.9)
        if place >= 9:
            assert expected == rule.threshold(state)
        rule.mature(state, score, 1.0)
    assert scores[-100:].tolist() == state.scores.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["above", "below", "turns", "noise", "grows"]), st.integers(50, 900))
def test_no_market_can_make_it_miss_more_or_less_than_it_promised(seed: int, way: str, count: int) -> None:
    rng, state, misses = np.random.default_rng(seed), UNCUT.new(), 0
    for place in range(count):
        issued = UNCUT.threshold(state)
        near = 1.0 if math.isinf(issued) else max(issued, 0.0)
        above = {"above": True, "below": False, "turns": place // 40 % 2 == 0}.get(way, rng.random() < 0.5)
        score = 1.01**place if way == "grows" else (near + 0.5 if above else near / 2)
        misses += score > issued
        UNCUT.mature(state, score, issued)

    bound = (0.9 + UNCUT.gamma) / (UNCUT.gamma * count)
    assert abs(misses / count - 0.1) <= bound


def test_outcomes_that_come_late_widen_the_bound_by_as_many_steps() -> None:
    count, late = 3000, 5
    scores = np.random.default_rng(1).exponential(size=count) * np.exp(np.arange(count) / 100)
    issued = UNCUT.run(np.arange(count), np.zeros(count, int), scores, late)

    assert abs((scores > issued).mean() - 0.1) <= (0.9 + (late + 1) * UNCUT.gamma) / (UNCUT.gamma * count)


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_coverage_comes_back_after_the_variance_jumps_tenfold(factor: float) -> None:
    rng = np.random.default_rng(1)
    calibration, calm = np.abs(rng.normal(size=3000)), np.abs(rng.normal(size=4000))
    wild = np.abs(rng.normal(size=6000)) * math.sqrt(factor)
    scores = np.concatenate([calm, wild])
    issued = Adaptive().run(np.arange(10_000), np.zeros(10_000, int), scores, 5, thinned(calibration))
    held = scores <= issued
    fixed = scores <= rank_quantile(calibration, 0.9)

    assert held[:4000].mean() == pytest.approx(0.9, abs=0.01)
    assert held[4500:].mean() == pytest.approx(0.9, abs=0.015)
    assert abs(fixed[4500:].mean() - 0.9) > 0.09


def test_an_outcome_changes_nothing_before_it_is_known() -> None:
    scores = np.random.default_rng(1).exponential(size=400)
    later = scores.copy()
    later[200] = 1000.0
    rule, at_ms, key = Adaptive(gamma=0.05), np.arange(400) * 60_000, np.zeros(400, int)

    first, other = (rule.run(at_ms, key, given, 300_000, np.ones(200)) for given in (scores, later))
    assert first[:205].tolist() == other[:205].tolist()
    assert first[205] < other[205]


def test_an_outcome_matures_by_time_and_not_by_place() -> None:
    rule, at_ms = Adaptive(gamma=0.05), np.array([0, 60_000, 600_000, 660_000])
    issued = rule.run(at_ms, np.zeros(4, int), np.full(4, 9.0), 300_000, np.ones(200))

    assert (1.0, 1.0) == (issued[0], issued[1])
    state = rule.new(np.ones(200))
    for _ in range(2):
        rule.mature(state, 9.0, 1.0)
    assert rule.threshold(state) == issued[2]


def test_a_miss_is_one_of_the_threshold_that_was_issued() -> None:
    rule = Adaptive()
    state, other = rule.new(np.ones(200)), rule.new(np.ones(200))

    rule.mature(state, 2.0, 3.0)
    rule.mature(other, 2.0, 1.5)
    assert pytest.approx((0.1005, 0.0955)) == (state.alpha, other.alpha)


def test_keys_know_nothing_of_each_other() -> None:
    rng = np.random.default_rng(1)
    scores = rng.exponential(size=600)
    both = Adaptive().run(np.repeat(np.arange(300), 2), np.tile([0, 1], 300), scores, 5, np.ones(50))

    assert (
        Adaptive().run(np.arange(300), np.zeros(300, int), scores[::2], 5, np.ones(50)).tolist() == both[::2].tolist()
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(1, 60))
def test_a_restored_state_goes_on_as_if_nothing_had_been(before: int, window: int) -> None:
    rule, rng = Adaptive(window=window, gamma=0.05), np.random.default_rng(before)
    state = rule.new(rng.exponential(size=20))
    for score in rng.exponential(size=before):
        rule.mature(state, score, rule.threshold(state))

    restored = rule.restore(rule.snapshot(state))
    assert rule.snapshot(state) == rule.snapshot(restored)
    for score in rng.exponential(size=80):
        assert rule.threshold(state) == rule.threshold(restored)
        for one in (state, restored):
            rule.mature(one, score, rule.threshold(one))
    assert rule.snapshot(state) == rule.snapshot(restored)


def test_a_snapshot_of_a_longer_window_keeps_the_last_scores() -> None:
    state = Adaptive(window=50).new(np.arange(50.0))

    assert [47.0, 48.0, 49.0] == Adaptive(window=3).restore(Adaptive().snapshot(state)).scores.tolist()
    with pytest.raises(SnapshotError):
        Adaptive().restore(b"nothing")


def test_alpha_stays_within_its_cut_and_the_interval_finite() -> None:
    rule = Adaptive(window=100)
    state = rule.new(np.ones(10))

    for place in range(500):
        rule.mature(state, float(place), rule.threshold(state))
    assert (0.005, 499.0) == (state.alpha, rule.threshold(state))
    for _ in range(1000):
        rule.mature(state, 0.0, 1.0)
    assert state.alpha == 0.5


def test_a_state_that_knows_nothing_has_no_threshold() -> None:
    assert Adaptive().threshold(Adaptive().new()) == math.inf


def test_thinned_scores_are_spread_alike_whatever_of_them_is_left() -> None:
    scores = np.random.default_rng(1).exponential(size=31_000)
    kept = thinned(scores)

    assert (2000, True) == (len(kept), set(kept.tolist()) <= set(scores.tolist()))
    for gone in (0, 500, 1000, 1900):
        assert np.quantile(kept[gone:], 0.9) == pytest.approx(np.quantile(scores, 0.9), rel=0.05)
    assert sorted(scores[:100].tolist()) == sorted(thinned(scores[:100]).tolist())
    assert kept.tolist() == thinned(scores[::-1]).tolist()


@pytest.mark.parametrize("score", [math.nan, math.inf, -1.0])
def test_a_score_that_is_none_is_refused_and_changes_nothing(score: float) -> None:
    rule = Adaptive()
    state = rule.new(np.ones(5))
    before = rule.snapshot(state)

    with pytest.raises(DataError, match="close forecasts whose outcome never came"):
        rule.mature(state, score, 1.0)
    with pytest.raises(DataError, match="score 1 is"):
        rule.run(np.arange(2), np.zeros(2, int), [1.0, score], 1)
    with pytest.raises(DataError, match="score 0 is"):
        rule.new([score])
    assert before == rule.snapshot(state)


def test_rows_out_of_order_and_rules_that_can_not_be_are_refused() -> None:
    with pytest.raises(DataError, match="order of time"):
        Adaptive().run(np.array([1, 0]), np.zeros(2, int), [1.0, 1.0], 1)
    with pytest.raises(DataError, match="level"):
        Adaptive(level=1.0)
    assert [] == Adaptive().run(np.empty(0, int), np.empty(0, int), [], 1).tolist()
