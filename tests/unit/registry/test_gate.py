"""The gate lets skill through, and no noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tickcast.errors import ConfigError
from tickcast.registry.evidence import Paired
from tickcast.registry.gate import Check, GateRules, Verdict, judge

RULES = GateRules()
MINUTE_MS = 60_000


def verdict(paired: Paired, **changes: Any) -> Verdict:
    asked: dict[str, Any] = {"rules": RULES, "horizon_ms": 300_000, "step_ms": MINUTE_MS} | changes
    return judge(paired, **asked)


def check(found: Verdict, name: str) -> Check:
    return next(one for one in found.checks if one.name == name)


def failed(found: Verdict) -> list[str]:
    return [one.name for one in found.checks if not one.passed]


def returns(seed: int, rows: int) -> tuple[np.random.Generator, Any]:
    """Overlapping sums of five steps, as returns over a horizon of five candles are; volatility comes in clusters."""
    random = np.random.default_rng(seed)
    steps = random.standard_t(4, rows + 4) * np.exp(0.5 * np.sin(np.arange(rows + 4) / 700.0))
    return random, np.convolve(steps, np.ones(5), "valid")


def paired(truth: Any, forecast: Any, **more: Any) -> Paired:
    rows = len(truth)
    return Paired(np.arange(rows, dtype=np.int64) * MINUTE_MS, (truth - forecast) ** 2, truth**2, **more)


@pytest.mark.parametrize("size", [0.01, 0.05, 0.2])
def test_pure_noise_promotes_nothing(size: float) -> None:
    """Forecasts that have to do with nothing, small and large, slow as the fits of a model are."""
    passed = []
    for seed in range(20):
        random, truth = returns(seed, 6000)
        slow = np.convolve(random.normal(size=6029), np.ones(30) / np.sqrt(30), "valid")
        found = verdict(paired(truth, size * truth.std() * slow))
        passed += [seed] * found.passed

    assert [] == passed


def test_a_planted_signal_is_promoted() -> None:
    for seed in range(5):
        random, noise = returns(seed, 6000)
        signal = random.normal(size=6000) * 0.2 * noise.std()
        found = verdict(paired(noise + signal, signal))

        assert found.passed, found.sentence
        assert "all checks passed" == found.sentence
        assert 0.01 < (check(found, "skill").value or 0.0) < 0.08


def skilled(rows: int = 4000, **more: Any) -> Paired:
    random, noise = returns(1, rows)
    signal = random.normal(size=rows) * 0.4 * noise.std()
    return paired(noise + signal, signal, **more)


def test_who_beats_the_naive_one_but_not_the_champion_is_refused() -> None:
    good = skilled()
    better = good.but(champion=good.challenger * 0.99)
    worse = good.but(champion=good.naive)

    assert ["gain over champion"] == failed(verdict(better))
    assert "not more than luck" in verdict(better).sentence
    assert [] == failed(verdict(worse))


def test_the_same_forecasts_as_the_champions_are_no_gain() -> None:
    good = skilled()

    assert ["gain over champion"] == failed(verdict(good.but(champion=good.challenger)))


def test_too_few_outcomes_or_days_are_told_apart() -> None:
    assert ["outcomes", "days"] == failed(verdict(skilled(400)))[:2]
    assert ["days"] == failed(verdict(skilled(1400)))
    assert not verdict(Paired(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))).passed


def test_a_champion_is_left_alone_after_a_change() -> None:
    assert ["cool-down"] == failed(verdict(skilled(), hours_since_change=1.0))
    assert [] == failed(verdict(skilled(), hours_since_change=25.0))


@pytest.mark.parametrize(
    ("mine", "champions", "names"),
    [
        (0.90, 0.90, []),
        (0.90, None, []),
        (0.80, None, ["coverage"]),
        (0.97, None, ["coverage"]),
        (0.875, 0.90, ["coverage beside champion"]),
        (0.88, 0.875, []),
    ],
)
def test_intervals_must_hold_what_they_promise(mine: float, champions: float | None, names: list[str]) -> None:
    rows = np.arange(4000)
    covered = (rows % 1000 < mine * 1000).astype(np.float64)
    theirs = None if champions is None else (rows % 1000 < champions * 1000).astype(np.float64)
    good = skilled()
    asked = good.but(champion=good.naive, covered=covered, champion_covered=theirs)

    assert names == failed(verdict(asked))


def test_budgets_of_time_and_of_missing_inputs_are_kept() -> None:
    slow = np.r_[np.full(4000, 100.0), np.full(100, 9000.0)]

    assert ["latency p99 ms"] == failed(verdict(skilled(latency_us=slow)))
    assert [] == failed(verdict(skilled(latency_us=slow[:4000])))
    assert ["missing"] == failed(verdict(skilled(missing=0.2)))


def test_of_many_candidates_one_must_be_surer() -> None:
    """A gain that is just enough for one is not enough for one of fifty."""
    random, noise = returns(3, 6000)
    signal = random.normal(size=6000) * noise.std()
    near = next(
        size
        for size in np.arange(0.02, 0.2, 0.002)
        if (check(verdict(paired(noise + size * signal, size * signal)), "gain over naive").value or -1.0) > 0.0
    )
    just = paired(noise + near * signal, near * signal)
    alone, crowd = (check(verdict(just, candidates=many), "gain over naive") for many in (1, 50))

    assert (True, False) == (alone.passed, crowd.passed)
    assert "99.99%" in crowd.sentence
    assert "one of 50 candidates" in crowd.sentence


def test_pairs_that_move_together_do_not_count_twice() -> None:
    """Ten copies of the same rows are no more evidence than one."""
    one = skilled(2000)
    ten = Paired(np.repeat(one.timestamp_ms, 10), np.repeat(one.challenger, 10), np.repeat(one.naive, 10))
    bounds = [check(verdict(rows), "gain over naive").value for rows in (one, ten)]

    assert bounds[0] == pytest.approx(bounds[1], rel=1e-12)


def test_a_sure_gain_that_is_next_to_nothing_is_no_reason_to_change() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=4000)

    found = verdict(paired(truth, 0.0004 * truth))

    assert ["skill"] == failed(found)
    assert "too little to be worth a change" in found.sentence


def test_the_verdict_is_the_same_each_time() -> None:
    assert verdict(skilled()) == verdict(skilled())


@pytest.mark.parametrize("rule", ["min_outcomes", "min_days", "cooldown_hours", "skill_min"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_rule_that_asks_for_less_than_nothing_is_refused(rule: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rule):
        GateRules(**{rule: value})  # type: ignore[arg-type]
