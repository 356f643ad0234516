from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from tickcast.errors import DataError
from tickcast.scores.point import absolute_losses, qlike, qlike_losses, score_point, squared_losses


def test_a_forecast_is_judged_beside_its_baseline_on_the_same_rows() -> None:
    scores = score_point([0.02, -0.01, 0.0, 0.03], [0.01, 0.01, 0.0, 0.02], [0.0, 0.0, 0.0, 0.06])

    assert pytest.approx((0.01, 0.0150, 0.0)) == (scores.mae, 100 * scores.rmse**2, scores.bias)
    assert pytest.approx((0.015, 1 / 3)) == (scores.baseline_mae, scores.skill_mae)
    assert pytest.approx((1 - 6 / 14, 1 - 6 / 14)) == (scores.skill_mse, scores.r2_zero)
    assert (3, 2 / 3) == (scores.direction_rows, scores.direction_accuracy)


def test_the_baseline_is_no_change_where_none_is_given() -> None:
    scores = score_point([0.02, -0.02], [0.0, 0.0])

    assert (0.0, 0.0, 0.0) == (scores.skill_mae, scores.skill_mse, scores.r2_zero)
    assert (None, 0) == (scores.direction_accuracy, scores.direction_rows)


def test_a_baseline_without_loss_leaves_nothing_to_save_and_json_says_null() -> None:
    scores = score_point([0.0, 0.0], [0.1, -0.1])

    told = json.loads(msgspec.json.encode(scores))
    assert (None, None, None) == (told["skill_mae"], told["skill_mse"], told["r2_zero"])


def test_losses_row_by_row_have_the_mean_of_the_whole() -> None:
    truth, said = np.array([1.0, -2.0, 3.0]), np.array([0.5, -1.0, 3.5])
    scores = score_point(truth, said)

    assert absolute_losses(truth, said).mean() == scores.mae
    assert squared_losses(truth, said).mean() == pytest.approx(scores.rmse**2)


def test_qlike_is_least_at_the_truth_and_finite_where_the_market_stood_still() -> None:
    rng = np.random.default_rng(1)
    variance = 1e-6 * rng.chisquare(3, 2000) / 3
    losses = [qlike(variance, np.full(2000, 1e-6 * factor)) for factor in (0.5, variance.mean() / 1e-6, 2.0)]

    assert losses[1] == min(losses)
    assert np.isfinite(qlike_losses([0.0, 1e-6], [1e-6, 0.0])).all()


@pytest.mark.parametrize(
    ("truth", "said", "why"),
    [
        ([1.0, 2.0], [1.0], "differ in their rows"),
        ([], [], "no row to score"),
        ([1.0, np.nan], [1.0, 1.0], "truth is nan in row 1"),
        ([1.0, 1.0], [np.inf, 1.0], "forecast is inf in row 0"),
    ],
)
def test_rows_that_can_not_be_scored_are_refused(truth: list[float], said: list[float], why: str) -> None:
    with pytest.raises(DataError, match=why):
        score_point(truth, said)
