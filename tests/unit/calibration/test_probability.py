from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tickcast.calibration.probability import (
    FITTERS,
    Isotonic,
    Platt,
    Unchanged,
    choose,
    fit_isotonic,
    fit_platt,
    from_json,
    to_json,
)
from tickcast.errors import BundleError, TrainingError

F8 = NDArray[np.float64]
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=80)
GRID = np.concatenate([[0.0, 1e-300, 1.0], np.linspace(0.0, 1.0, 400)])


def coin(rows: int, bend: float, seed: int = 1) -> tuple[F8, F8]:
    """Probabilities that are bent in their log-odds, and what came of the true ones."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.02, 0.98, rows)
    margin = bend * np.log(truth / (1 - truth)) - 1.0
    return 1 / (1 + np.exp(-margin)), (rng.random(rows) < truth).astype(float)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.sampled_from(sorted(FITTERS)))
def test_whatever_the_rows_it_never_falls_is_never_sure_and_one_is_many(
    rows: list[tuple[bool, int]], kind: str
) -> None:
    outcome, said = np.array([row[0] for row in rows], float), np.array([row[1] / 20 for row in rows])
    calibrator = FITTERS[kind](said, outcome)

    meant, edge = calibrator.apply(GRID), 1 / (len(rows) + 2)
    assert (np.diff(calibrator.apply(np.sort(GRID))) >= 0.0).all()
    assert edge <= meant.min() <= meant.max() <= 1 - edge
    assert meant.tolist() == [calibrator.one(float(p)) for p in GRID]
    again = from_json(msgspec.json.decode(msgspec.json.encode(to_json(calibrator))))
    assert (calibrator, meant.tolist()) == (again, again.apply(GRID).tolist())


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_platts_line_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    from sklearn.calibration import _SigmoidCalibration

    outcome, said = np.array([row[0] for row in rows], float), np.array([(row[1] + 1) / 22 for row in rows])
    mine = fit_platt(said, outcome)
    theirs = _SigmoidCalibration().fit(np.log(said / (1 - said)), outcome)

    if mine.slope > 1e-3 and len(set(said.tolist())) > 1:
        assert (-theirs.a_, -theirs.b_) == (pytest.approx(mine.slope, abs=2e-3), pytest.approx(mine.constant, abs=2e-3))
    else:
        assert mine.slope == 0.0 or len(set(said.tolist())) == 1 or theirs.a_ > -2e-3


def test_isotonic_steps_are_scikit_learns() -> None:
    from sklearn.isotonic import IsotonicRegression

    said, outcome = coin(1000, 2.0)
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, outcome).predict(GRID)

    assert np.clip(expected, 1 / 1002, 1001 / 1002) == pytest.approx(fit_isotonic(said, outcome).apply(GRID), abs=1e-12)


def test_a_model_that_is_upside_down_becomes_the_base_rate() -> None:
    said, outcome = coin(2000, 1.5)
    platt = fit_platt(1 - said, outcome)

    assert platt.slope == 0.0
    assert platt.one(0.9) == pytest.approx(outcome.mean(), abs=1e-3)


@pytest.mark.parametrize("wobble", [0.0, 1e-16, 1e-12])
def test_a_model_that_always_says_the_same_becomes_the_base_rate(wobble: float) -> None:
    outcome = (np.arange(2001) % 9 == 0).astype(np.float64)
    for rate in np.linspace(0.01, 0.6, 60):
        said = rate + wobble * np.cos(np.arange(2001))

        assert 1 / 9 == pytest.approx(float(fit_platt(said, outcome).apply(said).mean()), rel=0.02)


@pytest.mark.parametrize("margin", [1.0, 40.0])
def test_rows_that_a_line_parts_in_full_have_a_finite_line(margin: float) -> None:
    said = 1 / (1 + np.exp(-np.tile([-margin, margin], 100)))
    platt = fit_platt(said, np.tile([0.0, 1.0], 100))

    assert math.isfinite(platt.slope)
    assert platt.apply(said[:2]).tolist() == pytest.approx([1 / 102, 101 / 102], abs=1e-3)


def test_the_calibrator_is_the_one_that_serves_unseen_rows_best() -> None:
    bent, outcome = coin(4000, 3.0)
    honest = np.random.default_rng(2).uniform(0.02, 0.98, 4000)
    came = (np.random.default_rng(3).random(4000) < honest).astype(float)
    steps = np.where(honest < 0.5, 0.1, 0.9)
    stepped = (np.random.default_rng(4).random(4000) < steps).astype(float)

    assert isinstance(choose(bent, outcome).calibrator, Platt)
    assert isinstance(choose(honest, stepped).calibrator, Isotonic)
    assert choose(honest, came).losses["none"] == pytest.approx(min(choose(honest, came).losses.values()), abs=1e-3)
    assert choose(bent, outcome, gap=10) == choose(bent, outcome, gap=10)


def test_rows_that_can_not_tell_leave_the_model_as_it_is_and_say_so() -> None:
    said, outcome = coin(500, 1.0)

    for few in (choose(said[:99], outcome[:99]), choose(said, np.arange(500) < 9), choose(said, np.arange(500) > 8)):
        assert isinstance(few.calibrator, Unchanged)
        assert "too few to calibrate by" in few.note


def test_what_is_no_probability_or_no_calibrator_is_refused() -> None:
    with pytest.raises(TrainingError, match="outcomes of 0 and 1"):
        choose([0.5, 1.5], [0, 1])
    with pytest.raises(TrainingError, match="outcomes of 0 and 1"):
        choose([0.5, np.nan], [0, 1])
    with pytest.raises(BundleError, match="calibrator"):
        from_json({"type": "magic"})
