"""Real minutes, walk-forward: what forecasts of volatility and intervals of returns are worth there.

Quick here; `python -m tests.simulation.test_learning_real` walks both pairs of both periods in four folds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.conftest import SHARED_DATA
from tests.simulation.markets import PRICE, VOLATILITY
from tickcast.clock import DAY_MS
from tickcast.config import FlowSettings
from tickcast.runners.candle_files import outputs_of
from tickcast.scores.interval import IntervalScores
from tickcast.sources.files.result import ReadOptions
from tickcast.training.contract import Dataset, Fold, Task
from tickcast.training.dataset import Request, build
from tickcast.training.evaluate import Candidate, evaluate
from tickcast.training.evaluation import Evaluation, Forecasts
from tickcast.training.models.table import kind
from tickcast.training.rows import Rows, from_frames
from tickcast.training.splits import walk_forward

SPRING_2021 = "history/binance_1m_202104-05"
SPRING_2023 = "unlicensed/history/binance_1m_202303-05"
CRASH_MS = 1_621_382_400_000
"""2021-05-19 00:00 UTC."""
SPIKES = ("zscore", "har", "logistic", "lightgbm", "blend")
RETURNS = ("no-change", "ridge", "lightgbm", "blend")


class Walked(NamedTuple):
    """A walk through real minutes."""

    dataset: Dataset
    evaluation: Evaluation
    forecasts: dict[str, Forecasts]

    def precision(self, model: str) -> float:
        """PR-AUC over all test rows."""
        scores = self.evaluation.of(model)
        assert scores is not None
        assert scores.probability is not None
        assert scores.probability.pr_auc is not None
        return scores.probability.pr_auc

    def intervals(self, model: str) -> list[tuple[str, IntervalScores]]:
        """Of each test fold."""
        found = [(one.name, self.evaluation.of(model, fold=one.name)) for one in self.evaluation.folds]
        return [(name, one.interval) for name, one in found if one is not None and one.interval is not None]

    def held(self, model: str, day_ms: int) -> float:
        """The coverage of one day."""
        said = self.forecasts[model]
        times, truth = self.dataset.timestamp_ms[said.rows], self.dataset.labels[said.rows]
        day = (times > day_ms) & (times <= day_ms + DAY_MS)
        return float(np.mean((truth >= said.lower)[day] & (truth <= said.upper)[day]))

    def skill(self, model: str) -> float:
        """The share of the squared return that is foretold."""
        scores = self.evaluation.of(model)
        assert scores is not None
        assert scores.point is not None
        assert scores.point.r2_zero is not None
        return scores.point.r2_zero


@cache
def rows_of(period: str, pair: str) -> list[Rows]:
    path = next((SHARED_DATA / period).glob(f"{pair}_USDT-1m*"))
    options = ReadOptions(what="candles", exchange="binance")
    return from_frames(outputs_of([path], FlowSettings(), options))


@cache
def walked(period: str, pair: str, task: Task, models: Sequence[str], folds: int, days: float) -> Walked:
    """The last `folds` times `days` days; 0: the last 60 %."""
    dataset = build(rows_of(period, pair), Request(task=task))
    parts: list[Fold] = walk_forward(dataset, folds, test_days=days)
    candidates = [Candidate(kind(name)) for name in models]
    found, said, _ = evaluate(dataset, parts, candidates, window="expanding")
    return Walked(dataset, found, {one.model: one for one in said})


def prevalence(walk: Walked) -> float:
    return float(walk.dataset.labels[walk.forecasts["blend"].rows].mean())


@pytest.mark.parametrize(("period", "pair"), [(SPRING_2021, "BTC"), (SPRING_2023, "ETH")])
def test_spikes_are_foretold_better_than_by_every_rule(shared_data: Path, period: str, pair: str) -> None:
    found = walked(period, pair, VOLATILITY, ("zscore", "har", "logistic", "blend"), 2, 10)

    best = found.precision("blend")
    assert best > prevalence(found) + 0.3
    assert best > found.precision("zscore") + 0.08
    assert best > found.precision("logistic") - 0.003
    beyond = {
        one.baseline: one.gain for one in found.evaluation.against if one.model == "blend" and one.measure == "PR-AUC"
    }
    assert {"zscore", "har"} == set(beyond)
    for gain in beyond.values():
        assert gain.low is not None
        assert gain.low > 0


@pytest.mark.parametrize(("period", "pair"), [(SPRING_2021, "BTC"), (SPRING_2023, "ETH")])
def test_intervals_hold_what_they_promise_in_calm_and_in_storm(shared_data: Path, period: str, pair: str) -> None:
    found = walked(period, pair, PRICE, ("no-change", "ridge", "blend"), 2, 10)

    for model in ("no-change", "ridge", "blend"):
        told = found.intervals(model)
        assert len(told) == 2
        for _, scores in told:
            assert 0.88 <= scores.coverage <= 0.92
            assert scores.terciles[-1].coverage is not None
            assert 0.85 <= scores.terciles[-1].coverage <= 0.95
        if period == SPRING_2021:
            assert 0.85 <= found.held(model, CRASH_MS) <= 0.95


@pytest.mark.parametrize(("period", "pair"), [(SPRING_2021, "BTC"), (SPRING_2023, "ETH")])
def test_returns_of_minutes_are_all_but_unforeseeable_and_that_is_told(
    shared_data: Path, period: str, pair: str
) -> None:
    found = walked(period, pair, PRICE, ("no-change", "ridge"), 2, 10)

    assert 0.0 == found.skill("no-change")
    assert -0.02 < found.skill("ridge") < 0.02


def _told(period: str, pair: str) -> list[str]:
    """All that the full walk says, and what does not hold in it."""
    faults = []
    spikes = walked(period, pair, VOLATILITY, ("mean", *SPIKES), 4, 0)
    told = ", ".join(f"{name} {spikes.precision(name):.4f}" for name in SPIKES)
    print(f"{period} {pair} volatility: prevalence {prevalence(spikes):.4f}, PR-AUC {told}", flush=True)
    for one in spikes.evaluation.against:
        if one.measure == "PR-AUC" and one.model in ("lightgbm", "blend"):
            print(
                f"  {one.model} against {one.baseline} {one.gain.gain:+.4f} [{one.gain.low:+.4f}, {one.gain.high:+.4f}]"
            )
            if one.gain.low is None or one.gain.low <= 0:
                faults.append(f"{period} {pair}: {one.model} does not surely beat {one.baseline}")
    if spikes.precision("blend") < spikes.precision("logistic") - 0.003:
        faults.append(f"{period} {pair}: blend is below logistic")
    prices = walked(period, pair, PRICE, RETURNS, 4, 0)
    for model in RETURNS:
        print(f"{period} {pair} price: {model} skill {prices.skill(model):+.3%}", flush=True)
        for name, scores in prices.intervals(model):
            wild = scores.terciles[-1].coverage or 0.0
            print(f"  {name}: held {scores.coverage:.2%}, most volatile third {wild:.2%}")
            if not (0.88 <= scores.coverage <= 0.92 and 0.85 <= wild <= 0.95):
                faults.append(f"{period} {pair} {model} {name}: held {scores.coverage:.2%}, wild {wild:.2%}")
        if period == SPRING_2021:
            print(f"  on the day of the crash: held {prices.held(model, CRASH_MS):.2%}")
    return faults


if __name__ == "__main__":
    missed = [one for period in (SPRING_2021, SPRING_2023) for pair in ("BTC", "ETH") for one in _told(period, pair)]
    print("\n".join(missed) or "all of it holds")
    sys.exit(bool(missed))
