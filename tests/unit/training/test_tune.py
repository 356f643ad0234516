"""The search: resumed as if never ended, on validation rows alone, seeded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.training.models.test_kinds import dataset
from tickcast.errors import TrainingError
from tickcast.training.contract import Task
from tickcast.training.models.table import kind
from tickcast.training.tune import Found, tune

TASK = Task("volatility", 60)


def search(name: str, trials: int, study: Path | None = None, seed: int = 3) -> Found:
    data = dataset(TASK, rows=600)
    return tune(kind(name), data.take(slice(0, 400)), data.take(slice(400, 600)), trials=trials, seed=seed, study=study)


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_a_search_that_was_ended_goes_on_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    search(name, 3, tmp_path / "study")

    assert search(name, 5) == search(name, 5, tmp_path / "study")


class _Stopped(Exception):
    """As Ctrl-C in the midst of a trial."""


def interrupted(name: str, at: int, study: Path) -> None:
    made = kind(name)

    class Stops(type(made)):  # type: ignore[misc]
        calls = 0

        def space(self, trial: Any) -> dict[str, Any]:
            Stops.calls += 1
            if at == Stops.calls:
                raise _Stopped
            params: dict[str, Any] = super().space(trial)
            return params

    data = dataset(TASK, rows=600)
    with pytest.raises(_Stopped):
        tune(Stops(), data.take(slice(0, 400)), data.take(slice(400, 600)), trials=at, seed=3, study=study)


def test_a_trial_that_was_given_up_half_way_counts_for_nothing(tmp_path: Path) -> None:
    interrupted("logistic", 3, tmp_path / "study")

    assert search("logistic", 13) == search("logistic", 13, tmp_path / "study")


def test_a_line_that_a_crash_has_torn_is_tried_again(tmp_path: Path) -> None:
    whole = search("logistic", 4, tmp_path / "study")
    raw = (tmp_path / "study").read_bytes()
    (tmp_path / "study").write_bytes(raw[:-20])

    again = search("logistic", 4, tmp_path / "study")

    assert whole == again
    assert search("logistic", 5) == search("logistic", 5, tmp_path / "study")


@pytest.mark.parametrize("raw", [b"spoilt\n", b"1\n", b"{}\n", b"\xff\x00\n"])
def test_a_file_that_can_not_be_read_begins_anew(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "study").write_bytes(raw)

    assert search("logistic", 3) == search("logistic", 3, tmp_path / "study")


def test_a_large_file_of_other_searches_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search("logistic", 3, tmp_path / "study")
    monkeypatch.setattr("tickcast.training.study.BYTES_MAX", 10)
    search("logistic", 2, tmp_path / "study", seed=4)
    before = (tmp_path / "study").stat().st_size

    search("logistic", 2, tmp_path / "study", seed=5)

    assert (tmp_path / "study").stat().st_size < before * 1.5


def test_two_searches_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    data = dataset(TASK, rows=600)
    halves = data.take(slice(0, 400)), data.take(slice(400, 600))
    others: list[Found] = []

    def meanwhile(done: int, of: int, best: float) -> None:
        if done == 2:
            others.append(search("logistic", 4, tmp_path / "study"))

    one = tune(kind("logistic"), *halves, trials=4, seed=3, study=tmp_path / "study", progress=meanwhile)

    assert [search("logistic", 4)] * 2 == [one, *others]


def test_more_trials_never_give_a_worse_loss() -> None:
    assert search("logistic", 8).loss <= search("logistic", 2).loss


def test_another_seed_or_other_rows_begin_a_study_of_their_own(tmp_path: Path) -> None:
    search("logistic", 4, tmp_path / "study")

    other = search("logistic", 2, tmp_path / "study", seed=4)

    assert search("logistic", 2, seed=4) == other


def test_the_values_lie_in_the_space_of_the_design() -> None:
    params = search("lightgbm", 6).params

    assert 20 <= params["num_leaves"] <= 150
    assert 0.01 <= params["learning_rate"] <= 0.3
    assert 1 <= params["n_estimators"] <= 1000


def test_without_validation_rows_it_says_so() -> None:
    data = dataset(TASK, rows=200)

    with pytest.raises(TrainingError, match="has no validation rows"):
        tune(kind("logistic"), data, data.take(np.empty(0, dtype=int)), trials=1, seed=1)


def test_progress_is_told_after_each_trial() -> None:
    data = dataset(TASK, rows=300)
    told: list[tuple[int, int]] = []

    tune(
        kind("logistic"),
        data.take(slice(0, 200)),
        data.take(slice(200, 300)),
        trials=3,
        seed=1,
        progress=lambda done, of, best: told.append((done, of)),
    )

    assert [(1, 3), (2, 3), (3, 3)] == told
