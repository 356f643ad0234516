"""One model on one fold, and all of them side by side."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.unit.training.models.test_kinds import dataset
from tickcast.calibration.whole import Banded, Corrected, from_json
from tickcast.errors import BundleError, TrainingError
from tickcast.training.contract import Dataset, Task
from tickcast.training.evaluate import Candidate, by_time, evaluate
from tickcast.training.judge import forecasts_of, judge
from tickcast.training.models.table import kind
from tickcast.training.splits import chronological, walk_forward

PRICE, VOLATILITY = Task("price", 300), Task("volatility", 60)
SEED = 4


def market(task: Task, rows: int = 3000) -> Dataset:
    """Returns whose size swings slowly, in a column that says so."""
    made = dataset(task, rows)
    calm = np.exp(np.sin(np.arange(rows) / 200)) * 1e-3
    features = made.features.copy()
    features[:, 3] = np.log(calm + 1e-5)
    if task.sort == "classification":
        return msgspec.structs.replace(made, features=features)
    labels = calm * np.random.default_rng(1).normal(size=rows)
    return msgspec.structs.replace(made, features=features, labels=labels)


def test_an_interval_holds_as_many_outcomes_as_it_promises() -> None:
    data = market(PRICE)

    said = judge(data, chronological(data), kind("no-change"), params={}, seed=SEED).forecasts

    truth = data.labels[said.rows]
    assert 0.87 < float(((said.lower <= truth) & (truth <= said.upper)).mean()) < 0.93
    assert np.corrcoef(said.upper - said.lower, np.abs(truth))[0, 1] > 0.3


def test_what_comes_after_a_row_changes_nothing_that_was_said_of_it() -> None:
    data = market(PRICE)
    fold = chronological(data)
    changed = data.labels.copy()
    changed[-300:] *= 50

    said = judge(data, fold, kind("ridge"), params={}, seed=SEED).forecasts
    other = judge(msgspec.structs.replace(data, labels=changed), fold, kind("ridge"), params={}, seed=SEED).forecasts

    known = len(said.rows) - 300
    assert said.upper[:known].tolist() == other.upper[:known].tolist()
    assert said.upper[-200:].tolist() != other.upper[-200:].tolist()


@pytest.mark.parametrize("task", [PRICE, VOLATILITY], ids=lambda task: task.name)
def test_a_calibration_read_back_says_the_same(task: Task) -> None:
    data = market(task)
    made = judge(data, chronological(data), kind("mean"), params={}, seed=SEED)
    rows = data.take(made.forecasts.rows)

    again = from_json(msgspec.json.decode(msgspec.json.encode(made.calibration.to_json())), data.names)

    for mine, theirs in zip(
        forecasts_of(made.calibration, rows, made.forecasts.raw),
        forecasts_of(again, rows, made.forecasts.raw),
        strict=True,
    ):
        assert mine.tolist() == pytest.approx(theirs.tolist(), rel=0, abs=0, nan_ok=True)
    assert isinstance(again, Banded if task is PRICE else Corrected)


@pytest.mark.parametrize("broken", [[], {"scale": 1}, {"calibrator": {"type": "odd"}, "threshold": 0.5}])
def test_a_calibration_that_is_none_is_refused(broken: object) -> None:
    with pytest.raises(BundleError):
        from_json(broken, ())


def test_every_model_is_judged_on_the_same_rows_beside_every_naive_one() -> None:
    data = market(VOLATILITY, 2000)
    names = ["no-change", "mean", "har", "logistic"]

    found, forecasts, last = evaluate(
        data, walk_forward(data, 2), [Candidate(kind(name)) for name in names], window="expanding", seed=SEED
    )

    assert names == [one.model for one in forecasts]
    assert len({one.rows.tobytes() for one in forecasts}) == 1
    assert {(one.model, one.baseline) for one in found.against if one.measure == "log loss"} == {
        (model, base) for model in names for base in names[:3] if model != base
    }
    assert {(one.model, one.fold) for one in found.scores} == {
        (name, fold) for name in names for fold in ("", *(span.name for span in found.folds))
    }
    assert set(names) == set(last)
    assert found == msgspec.json.decode(msgspec.json.encode(found), type=type(found))


def test_the_same_rows_and_seed_give_the_same_evaluation() -> None:
    data = market(PRICE, 1500)

    def once() -> bytes:
        models = [Candidate(kind(name)) for name in ("no-change", "ridge")]
        return msgspec.json.encode(evaluate(data, walk_forward(data, 2), models, window="expanding", seed=SEED)[0])

    assert once() == once()


def test_pairs_at_one_moment_are_one_witness() -> None:
    assert [2.0, 5.0] == by_time(np.array([10, 10, 20]), [1.0, 3.0, 5.0]).tolist()


def test_nothing_to_judge_is_said() -> None:
    with pytest.raises(TrainingError, match="has no folds or no models"):
        evaluate(market(PRICE, 500), [], [], window="expanding")
