from __future__ import annotations

import msgspec
import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap, optimal_block_length
from numpy.typing import NDArray
from statsmodels.api import OLS  # type: ignore[import-untyped]

from tickcast.errors import DataError
from tickcast.scores.compare import (
    Blocks,
    block_length,
    bootstrap_gain,
    bootstrap_pr_auc,
    diebold_mariano,
    long_run_variance,
    newey_west_lags,
)
from tickcast.scores.probability import average_precision
from tickcast.scores.resample import resampled_counts, resampled_means, resampled_precision_gains

F8 = NDArray[np.float64]


def alike(rows: int, memory: float, seed: int) -> F8:
    """Numbers of which each has to do with the last."""
    noise = np.random.default_rng(seed).normal(size=rows)
    out = np.zeros(rows)
    for row in range(1, rows):
        out[row] = memory * out[row - 1] + noise[row]
    return out


@pytest.mark.parametrize(("lags", "horizon"), [(0, 1), (7, 5), (30, 12)])
def test_the_statistic_is_that_of_a_regression_on_a_constant_with_newey_west_errors(lags: int, horizon: int) -> None:
    gains, rows = 0.1 + alike(400, 0.6, 1), 400
    base = np.full(rows, 5.0)

    oracle = OLS(gains, np.ones(rows)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    found = diebold_mariano(base - gains, base, horizon=horizon, lags=lags)
    correction = np.sqrt((rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows)
    assert oracle.tvalues[0] * correction == pytest.approx(found.statistic, rel=1e-10)
    assert found.p_better is not None
    side = min(found.p_better, 1.0 - found.p_better)
    assert pytest.approx((gains.mean(), 2 * side)) == (found.gain, found.p_value)


def test_luck_is_called_skill_no_more_often_than_promised_though_rows_overlap() -> None:
    hits, horizon = 0, 5
    for seed in range(400):
        noise = np.random.default_rng(seed).normal(size=504)
        gains = np.convolve(noise, np.ones(horizon), "valid")
        found = diebold_mariano(np.zeros(500), gains, horizon=horizon)
        hits += found.p_better is not None and found.p_better < 0.05

    assert 0.02 <= hits / 400 <= 0.09


def test_both_sides_of_the_test_mirror_each_other() -> None:
    mine, base = 1.0 + np.abs(alike(200, 0.3, 1)), 1.1 + np.abs(alike(200, 0.3, 2))
    there, back = diebold_mariano(mine, base), diebold_mariano(base, mine)

    assert (there.gain, there.p_value) == (-back.gain, back.p_value)
    assert (there.p_better or 0.0) + (back.p_better or 0.0) == pytest.approx(1.0)


def test_the_variance_of_neighbours_is_never_below_zero() -> None:
    assert 0.0 <= long_run_variance(np.tile([1.0, -1.0], 50), 1) < 0.05
    assert (newey_west_lags(400), newey_west_lags(400, 60)) == (5, 59)


@pytest.mark.parametrize("blocks", ["stationary", "circular"])
@pytest.mark.parametrize(("rows", "memory"), [(100, 0.0), (400, 0.5), (3000, 0.9), (3000, 0.99)])
def test_blocks_are_as_long_as_the_rule_of_arch_makes_them(blocks: Blocks, rows: int, memory: float) -> None:
    values = alike(rows, memory, 3)

    expected = float(optimal_block_length(values)[blocks].iloc[0])
    assert max(expected, 1.0) == pytest.approx(block_length(values, blocks=blocks), rel=1e-9)
    assert block_length(values, horizon=70, blocks=blocks) >= 70


@pytest.mark.parametrize(
    ("blocks", "theirs"), [("stationary", StationaryBootstrap), ("circular", CircularBlockBootstrap)]
)
def test_the_bounds_are_those_of_arch(blocks: Blocks, theirs: type[CircularBlockBootstrap]) -> None:
    gains, base = 0.2 + alike(600, 0.7, 5), np.full(600, 20.0)

    low, high = theirs(12, gains, seed=1).conf_int(np.mean, reps=4000, method="percentile", size=0.9).ravel()
    found = bootstrap_gain(base - gains, base, seed=1, block=12, blocks=blocks, resamples=4000, level=0.9)
    assert pytest.approx((low, high), abs=0.03) == (found.low, found.high)
    assert pytest.approx((gains.mean(), 4000, 12.0)) == (found.gain, found.resamples, found.block)


@pytest.mark.parametrize("varying", [True, False])
def test_each_resample_is_whole_and_its_mean_is_that_of_the_rows_drawn(varying: bool) -> None:
    values = alike(77, 0.4, 1)
    draws = {"seed": 9, "block": 6.0, "varying": varying, "resamples": 50}

    counts = resampled_counts(77, **draws)  # type: ignore[arg-type]
    assert {77} == set(counts.sum(axis=1).tolist())
    assert (counts @ values / 77).tolist() == pytest.approx(resampled_means(values, **draws).tolist(), rel=1e-12)  # type: ignore[arg-type]
    assert 0.97 < counts.mean(axis=0).sum() / 77 < 1.03


def test_every_row_is_as_likely_as_any_other() -> None:
    for varying in (True, False):
        often = resampled_counts(50, seed=4, block=8, varying=varying, resamples=20_000).mean(axis=0)
        assert 0.93 < often.min() < often.max() < 1.07


def test_a_resampled_gain_in_pr_auc_is_that_of_the_rows_drawn() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random(80) < 0.3).astype(float)
    said, base = np.round(rng.random(80) * 0.5 + truth * 0.3, 1), np.round(rng.random(80), 1)
    draws = {"seed": 3, "block": 5.0, "varying": True, "resamples": 40}

    expected = []
    for counts in resampled_counts(80, **draws):  # type: ignore[arg-type]
        rows = np.repeat(np.arange(80), counts)
        expected.append(
            (average_precision(truth[rows], said[rows]) or 0) - (average_precision(truth[rows], base[rows]) or 0)
        )
    found = resampled_precision_gains(truth, said, base, **draws)  # type: ignore[arg-type]
    assert expected == pytest.approx(found.tolist(), rel=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    base = np.abs(alike(100, 0.2, 1))

    first, again, other = (bootstrap_gain(base * 0.9, base, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_a_better_model_is_told_from_a_lucky_one() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.2).astype(float)
    noise, better = rng.random(3000), np.clip(rng.random(3000) * 0.7 + 0.2 * truth, 0, 1)

    found, luck = (bootstrap_pr_auc(truth, said, noise, seed=1) for said in (better, rng.random(3000)))
    assert (found.low or 0.0) > 0.0
    assert (luck.low or 0.0) < 0.0 < (luck.high or 0.0)


def test_identical_losses_are_answered_and_not_computed() -> None:
    losses = np.abs(alike(50, 0.1, 1))
    test, gain = diebold_mariano(losses, losses), bootstrap_gain(losses, losses, seed=1)

    assert (0.0, 1.0, 0.5) == (test.statistic, test.p_value, test.p_better)
    assert (0.0, 0.0, 0.0) == (gain.gain, gain.low, gain.high)
    assert test.note == gain.note == "both lose the same in every row"


def test_few_rows_and_a_steady_gain_are_told() -> None:
    few, steady = diebold_mariano(np.arange(29.0), np.zeros(29)), diebold_mariano(np.full(50, 0.1), np.full(50, 0.3))
    long = bootstrap_gain(np.arange(40.0), np.zeros(40), seed=1, horizon=20)

    assert (None, None, "29 rows are too few, 30 are needed") == (few.p_value, few.statistic, few.note)
    assert (None, None, "40 rows are too few, 60 are needed") == (long.low, long.high, long.note)
    assert steady.statistic is None
    assert "the gain is the same in every row" in steady.note
    assert b"NaN" not in msgspec.json.encode([few, steady, long])


def test_ones_that_are_too_rare_are_told() -> None:
    noise, other = np.random.default_rng(1).random((2, 3000))
    ones = np.arange(3000)

    none, nine, ten = (bootstrap_pr_auc(ones < many, noise, other, seed=1, block=50) for many in (0, 9, 10))
    assert (None, "nothing happened in these rows, so none was found") == (none.gain, none.note)
    assert (None, None, "9 ones are too few, 10 are needed") == (nine.low, nine.high, nine.note)
    assert (ten.low or 0.0) < (ten.high or 0.0)
    assert ten.resamples < 1000


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(DataError, match="1000 or more"):
        bootstrap_gain(np.ones(50), np.zeros(50), seed=1, resamples=10)
