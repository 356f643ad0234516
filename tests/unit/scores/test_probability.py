from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tickcast.errors import DataError
from tickcast.scores.probability import (
    at_threshold,
    average_precision,
    best_threshold,
    log_losses,
    reliability,
    roc_auc,
    score_probability,
)

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_areas_and_losses_are_scikit_learns_ties_included(rows: list[tuple[bool, int]]) -> None:
    outcome, said = np.array([row[0] for row in rows], float), np.array([row[1] / 12 for row in rows])
    ones = outcome.sum()

    if ones:
        assert metrics.average_precision_score(outcome, said) == pytest.approx(average_precision(outcome, said), 1e-12)
    else:
        assert average_precision(outcome, said) is None
    if 0 < ones < len(outcome):
        assert metrics.roc_auc_score(outcome, said) == pytest.approx(roc_auc(outcome, said), 1e-12)
    else:
        assert roc_auc(outcome, said) is None
    unsure = (1.0 + said) / 3.0
    assert metrics.log_loss(outcome, unsure, labels=[0, 1]) == pytest.approx(log_losses(outcome, unsure).mean(), 1e-12)
    assert metrics.brier_score_loss(outcome, said) == pytest.approx(score_probability(outcome, said).brier, 1e-12)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(0, 13))
def test_alarms_are_counted_as_scikit_learn_counts_them(rows: list[tuple[bool, int]], cut: int) -> None:
    outcome, said = np.array([row[0] for row in rows], float), np.array([row[1] / 12 for row in rows])
    found = at_threshold(outcome, said, cut / 12)

    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        outcome, said >= cut / 12, average="binary", zero_division=0
    )
    assert pytest.approx((precision, recall, f1)) == (found.precision or 0.0, found.recall or 0.0, found.f1)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_no_threshold_has_a_better_f1_than_the_best_and_of_equals_it_is_the_highest(
    rows: list[tuple[bool, int]],
) -> None:
    outcome, said = np.array([row[0] for row in rows], float), np.array([row[1] / 12 for row in rows])
    tried = {cut: at_threshold(outcome, said, cut).f1 for cut in set(said.tolist())}
    best = best_threshold(outcome, said)

    if outcome.any():
        assert max(tried.values()) == tried[best]
        assert max(cut for cut, f1 in tried.items() if f1 == tried[best]) == best
    else:
        assert best == 1.0


def test_a_coin_scores_the_prevalence_and_a_certain_forecast_all() -> None:
    outcome = np.tile([1.0, 0.0, 0.0, 0.0], 50)

    coin, sure = score_probability(outcome, np.full(200, 0.25)), score_probability(outcome, outcome)
    assert (0.25, 0.25, 0.5, 0.0) == (coin.prevalence, coin.pr_auc, coin.roc_auc, coin.brier_skill)
    assert (1.0, 1.0, 1.0, 1.0) == (sure.pr_auc, sure.roc_auc, sure.brier_skill, sure.at.f1)


def test_a_base_rate_of_other_rows_is_the_easier_one_to_beat() -> None:
    outcome, said = np.tile([1.0, 0.0, 0.0, 0.0], 50), np.full(200, 0.3)

    own, other = score_probability(outcome, said), score_probability(outcome, said, base_rate=0.6)
    assert own.brier_skill is not None
    assert other.brier_skill is not None
    assert own.brier_skill < 0 < other.brier_skill


def test_rows_of_one_class_have_stated_scores() -> None:
    scores = score_probability([0, 0, 0], [0.1, 0.2, 0.3])

    assert (None, None, None, 0.0) == (scores.pr_auc, scores.roc_auc, scores.brier_skill, scores.prevalence)
    assert (None, None, 0.0) == (scores.at.precision, scores.at.recall, scores.at.f1)
    assert b"NaN" not in msgspec.json.encode(scores)


def test_bins_hold_about_as_many_rows_and_equal_probabilities_never_part() -> None:
    said = np.concatenate([np.full(40, 0.1), np.linspace(0.2, 0.9, 60)])
    curve = reliability((said > 0.5).astype(float), said, bins=10)

    assert 100 == sum(one.rows for one in curve.bins)
    assert (40, 0.1, 0.0) == (curve.bins[0].rows, round(curve.bins[0].probability, 12), curve.bins[0].share)
    assert all(8 <= one.rows <= 12 for one in curve.bins[1:])


def test_a_calibrated_forecast_has_a_small_error_and_one_that_shouts_a_large_one() -> None:
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.05, 0.95, 20_000)
    outcome = (rng.random(20_000) < chance).astype(float)

    assert reliability(outcome, chance).error < 0.02
    assert reliability(outcome, np.where(chance > 0.5, 0.99, 0.01)).error > 0.2


@pytest.mark.parametrize(("outcome", "said"), [([2.0], [0.5]), ([1.0], [1.5]), ([0.0], [-0.1])])
def test_what_is_no_outcome_or_no_probability_is_refused(outcome: list[float], said: list[float]) -> None:
    with pytest.raises(DataError, match="in row 0"):
        score_probability(outcome, said)
