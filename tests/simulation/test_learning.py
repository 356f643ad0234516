"""What learning may find and what it may not, on markets whose nature is known.

Quick here; `python -m tests.simulation.test_learning` asks more seeds and more kinds, and prints what each said.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.simulation import markets
from tests.simulation.markets import PRICE, VOLATILITY, Judged
from tickcast.registry.gate import Verdict
from tickcast.training.evaluation import ModelScores
from tickcast.training.models.table import kinds_of

WALK_MINUTES = 8000
"""So many that the test part spans more than a day: a refusal is for want of skill, not of rows."""
SEEDS = range(20)
SLOW_SEEDS = range(5)
"""Of those, for the kinds that take longer."""
MOST = 0.6
"""The share of what can be foretold that a model is to find."""


def unearned(verdict: Verdict) -> None:
    """The gate refused, and says in words that there was nothing beyond luck."""
    checks = {check.name: check for check in verdict.checks}
    assert not verdict.passed
    assert checks["outcomes"].passed
    assert checks["days"].passed
    assert not (checks["gain over naive"].passed and checks["skill"].passed)
    assert "not more than luck" in verdict.sentence or "too little to be worth a change" in verdict.sentence
    assert all(check.sentence in verdict.sentence for check in verdict.checks if not check.passed)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_can_be_foretold_nothing_is_promoted_and_the_gate_says_why(seed: int) -> None:
    names = ["ridge", "lightgbm", "blend"] if seed in SLOW_SEEDS else ["ridge"]

    for verdict in markets.verdicts_of(markets.dataset_of(markets.walk(seed, WALK_MINUTES), PRICE), names).values():
        unearned(verdict)


def found_of(seed: int, minutes: int, names: list[str], phi: float) -> tuple[Judged, float, dict[str, float]]:
    """In a market that repeats itself: what was judged, the best skill there is, and that of each model."""
    market = markets.echo(seed, minutes, phi)
    dataset = markets.dataset_of(market, PRICE)
    judged = markets.judged(dataset, names)
    rows = judged.forecasts[names[0]].rows
    truth = dataset.labels[rows]
    best = markets.skill(truth, markets.known_at(market, dataset, rows))
    return judged, best, {name: markets.skill(truth, judged.forecasts[name].forecast) for name in names}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_signal_that_is_there_is_found_and_promoted(seed: int) -> None:
    judged, best, found = found_of(seed, 30_000, ["ridge", "blend"], 0.4)

    assert best > 0.03
    assert {"ridge": True, "blend": True} == {name: verdict.passed for name, verdict in judged.verdicts.items()}
    assert dict.fromkeys(found, "all checks passed") == {n: v.sentence for n, v in judged.verdicts.items()}
    for skill in found.values():
        assert MOST * best < skill < 1.1 * best


def chances(judged: Judged, model: str) -> tuple[float, float]:
    """Log loss and PR-AUC."""
    scores = judged.evaluation.of(model)
    assert isinstance(scores, ModelScores)
    assert scores.probability is not None
    assert scores.probability.pr_auc is not None
    return scores.probability.log_loss, scores.probability.pr_auc


@pytest.mark.parametrize("seed", [1, 2])
def test_turns_of_volatility_are_foretold_better_than_by_the_base_rate_and_it_is_said_by_how_much(seed: int) -> None:
    dataset = markets.dataset_of(markets.regimes(seed, 20_000), VOLATILITY)

    judged = markets.judged(dataset, ["lightgbm"], ["mean", "har"])

    base_loss, base_precision = chances(judged, "mean")
    for name in ("lightgbm", "har"):
        loss, precision = chances(judged, name)
        by_loss, by_precision = (judged.gain(name, "mean", measure) for measure in ("log loss", "PR-AUC"))
        assert by_loss.gain == pytest.approx(base_loss - loss)
        assert by_precision.gain == pytest.approx(precision - base_precision)
        assert by_loss.low is not None
        assert by_loss.low > 0.02
        assert by_precision.low is not None
        assert by_precision.low > 0.05
    assert judged.verdicts["lightgbm"].passed


def _walks() -> int:
    """More kinds, more rows; how many were promoted."""
    names = [one.name for one in kinds_of("price") if not one.baseline]
    promoted = 0
    for minutes in (WALK_MINUTES, 40_000):
        for seed in SEEDS:
            dataset = markets.dataset_of(markets.walk(seed, minutes), PRICE)
            for name, verdict in markets.verdicts_of(dataset, names).items():
                promoted += verdict.passed
                print(f"walk {minutes:,} seed {seed} {name}: {verdict.sentence}", flush=True)
    return promoted


def _signals() -> None:
    for phi in (0.4, 0.3, -0.2):
        shares = []
        for seed in range(10):
            judged, best, found = found_of(seed, 60_000, ["ridge", "lightgbm", "blend"], phi)
            shares.append([found[name] / best for name in found])
            told = ", ".join(
                f"{n} {s:+.2%} {'promoted' if judged.verdicts[n].passed else ''}" for n, s in found.items()
            )
            print(f"signal {phi:+} seed {seed}: attainable {best:+.2%}; {told}", flush=True)
        told = ", ".join(f"{name} {share:.0%}" for name, share in zip(found, np.mean(shares, axis=0), strict=True))
        print(f"signal {phi:+}: share of what is attainable: {told}", flush=True)


def _regimes() -> None:
    for seed in range(10):
        dataset = markets.dataset_of(markets.regimes(seed, 40_000), VOLATILITY)
        judged = markets.judged(dataset, ["logistic", "lightgbm", "blend"], ["mean", "har"])
        for name in ("zscore", "har", "logistic", "lightgbm", "blend"):
            gains = [(measure, judged.gain(name, "mean", measure)) for measure in ("log loss", "PR-AUC")]
            told = ", ".join(f"{measure} {one.gain:+.4f} [{one.low:+.4f}, {one.high:+.4f}]" for measure, one in gains)
            print(f"regimes seed {seed} {name} against the base rate: {told}", flush=True)


if __name__ == "__main__":
    wrongly = _walks()
    _signals()
    _regimes()
    print(f"promoted where nothing could be foretold: {wrongly}")
    sys.exit(wrongly > 0)
