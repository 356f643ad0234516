from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tickcast.errors import DataError
from tickcast.scores.interval import by_tercile, covered, pinball_losses, rolling_coverage, score_interval


def test_bounds_that_hold_what_they_promise_score_so() -> None:
    rng = np.random.default_rng(1)
    truth, price = rng.normal(size=50_000), np.full(50_000, 50.0)
    scores = score_interval(truth, np.full(50_000, -1.645), np.full(50_000, 1.645), level=0.9, price=price)

    assert 0.895 < scores.coverage < 0.905
    assert pytest.approx((3.29, 3.29 / 50)) == (scores.width, scores.width_relative)
    assert scores.rolling_min is not None
    assert scores.rolling_min < 0.9 < (scores.rolling_max or 0.0)
    assert scores.winkler == pytest.approx(2 * scores.pinball * 2 / 0.1)


@pytest.mark.parametrize("off", [0.7, 1.4])
def test_the_right_bounds_have_the_best_winkler_score(off: float) -> None:
    truth, bound = np.random.default_rng(1).normal(size=20_000), np.full(20_000, 1.645)

    right = score_interval(truth, -bound, bound, level=0.9).winkler
    assert right < score_interval(truth, -bound * off, bound * off, level=0.9).winkler


def test_pinball_loss_is_scikit_learns() -> None:
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(1)
    truth, said = rng.normal(size=100), rng.normal(size=100)

    assert mean_pinball_loss(truth, said, alpha=0.95) == pytest.approx(pinball_losses(truth, said, 0.95).mean())


def test_coverage_rolls_over_the_last_rows() -> None:
    inside = np.random.default_rng(1).random(300) < 0.9

    expected = [inside[end - 50 : end].mean() for end in range(50, 301)]
    assert expected == pytest.approx(rolling_coverage(inside, 50).tolist())
    assert [] == rolling_coverage(inside, 301).tolist()


def test_what_only_holds_in_a_calm_market_is_seen_in_the_terciles() -> None:
    volatility = np.tile([1.0, 2.0, 3.0], 100)
    thirds = by_tercile(volatility < 3, np.ones(300), volatility)

    assert [(100, 1.0, 1.0), (100, 2.0, 1.0), (100, 3.0, 0.0)] == [
        (third.rows, third.volatility_max, third.coverage) for third in thirds
    ]


def test_rows_whose_volatility_was_not_known_are_in_no_tercile() -> None:
    thirds = by_tercile(np.ones(4), np.ones(4), [1.0, np.nan, 2.0, 3.0])

    assert [1, 1, 1] == [third.rows for third in thirds]
    assert () == by_tercile(np.ones(2), np.ones(2), [np.nan, np.nan])


def test_a_market_of_one_volatility_has_empty_terciles_that_say_none() -> None:
    thirds = by_tercile(np.ones(6), np.ones(6), np.ones(6))

    assert [(6, 1.0), (0, None), (0, None)] == [(third.rows, third.coverage) for third in thirds]


def test_few_rows_have_no_rolling_coverage_and_json_holds_all() -> None:
    scores = score_interval([0.5], [0.0], [1.0], level=0.9)

    assert (None, None, ()) == (scores.rolling_min, scores.rolling_max, scores.terciles)
    assert scores == msgspec.json.decode(msgspec.json.encode(scores), type=type(scores))


def test_bounds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(DataError, match="row 1"):
        covered([0.0, 0.0], [-1.0, 1.0], [1.0, -1.0])
    with pytest.raises(DataError, match="high is inf"):
        covered([0.0], [-1.0], [np.inf])
