from __future__ import annotations

import warnings
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.conformity_scores import ResidualNormalisedScore
from mapie.regression import SplitConformalRegressor
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from tickcast.calibration.conformal import Conformal, rank, rank_quantile, signed_scores
from tickcast.errors import BundleError, TrainingError

F8 = NDArray[np.float64]


class Column(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A model for MAPIE: it says what stands in one column."""

    def __init__(self, place: int = 0) -> None:
        self.place = place

    def fit(self, x: F8, y: F8) -> Column:
        self.fitted_ = True
        return self

    def predict(self, x: F8) -> Any:
        return np.asarray(x)[:, self.place]


def mapie_bounds(kind: str, level: float, rows: F8, truth: F8, ahead: F8) -> F8:
    score: Any = "absolute" if kind == "absolute" else ResidualNormalisedScore(Column(1).fit(rows, truth), prefit=True)
    if kind == "two sides":
        score = ResidualNormalisedScore(Column(1).fit(rows, truth), prefit=True, sym=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor = SplitConformalRegressor(
            Column(0).fit(rows, truth), confidence_level=level, conformity_score=score, prefit=True
        )
        made: F8 = regressor.conformalize(rows, truth).predict_interval(ahead)[1][:, :, 0]
    return made


@pytest.mark.parametrize("kind", ["absolute", "normalised", "two sides"])
@pytest.mark.parametrize(("count", "level"), [(99, 0.9), (200, 0.9), (998, 0.9), (999, 0.95), (1234, 0.8)])
def test_the_bounds_are_mapies(kind: str, count: int, level: float) -> None:
    rng = np.random.default_rng(count)
    rows = np.column_stack([rng.normal(size=count), rng.uniform(0.5, 2.0, count)])
    truth = rows[:, 0] + rows[:, 1] * (rng.exponential(size=count) - 0.7)
    ahead = np.column_stack([rng.normal(size=50), rng.uniform(0.5, 2.0, 50)])

    scales, next_scales = (np.ones(count), np.ones(50)) if kind == "absolute" else (rows[:, 1], ahead[:, 1])
    scores = signed_scores(truth, rows[:, 0], scales)
    conformal = Conformal.fit(scores, level=level, symmetric=kind != "two sides")
    low, high = conformal.bounds(ahead[:, 0], next_scales)
    assert mapie_bounds(kind, level, rows, truth, ahead) == pytest.approx(np.column_stack([low, high]), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.9]))
def test_no_smaller_score_is_as_high_as_enough_of_the_others(scores: list[int], level: float) -> None:
    quantile = rank_quantile(np.array(scores, float), level)

    needed = level * (len(scores) + 1) - 1e-9
    assert quantile == np.inf or sum(score <= quantile for score in scores) >= needed
    assert sum(score < quantile for score in scores) < needed


def test_the_rank_is_exact_where_the_product_of_floats_is_not() -> None:
    cases = [(rows, percent) for rows in (9, 19, 99, 199, 999, 1999) for percent in range(1, 100)]

    expected = [-(-(rows + 1) * percent // 100) for rows, percent in cases]
    assert expected == [rank(rows, percent / 100) for rows, percent in cases]


def test_the_coverage_on_average_is_what_was_promised() -> None:
    rng = np.random.default_rng(1)
    held = [
        abs(rng.normal()) <= Conformal.fit(rng.normal(size=19), level=0.9, symmetric=True).high for _ in range(4000)
    ]

    assert 0.885 < np.mean(held) < 0.915


def test_each_side_of_two_misses_as_often() -> None:
    rng = np.random.default_rng(1)
    conformal = Conformal.fit(rng.exponential(size=5000), symmetric=False)
    later = rng.exponential(size=20_000)

    assert (later < conformal.low).mean() == pytest.approx(0.05, abs=0.01)
    assert (later > conformal.high).mean() == pytest.approx(0.05, abs=0.01)


def test_json_keeps_every_bit() -> None:
    conformal = Conformal.fit(np.random.default_rng(1).normal(size=500))

    assert conformal == Conformal.from_json(msgspec.json.decode(msgspec.json.encode(conformal.to_json())))
    with pytest.raises(BundleError):
        Conformal.from_json({"level": 0.9})


def test_too_few_scores_for_the_level_and_scores_that_are_none_are_refused() -> None:
    assert Conformal.fit(np.arange(9.0), level=0.9).high == 8.0
    with pytest.raises(TrainingError, match="calibrate on about 9 rows"):
        Conformal.fit(np.arange(8.0), level=0.9)
    with pytest.raises(TrainingError, match="score 1 is nan"):
        Conformal.fit([1.0, np.nan])
