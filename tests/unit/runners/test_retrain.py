"""Learning again as a command: what is due, what comes of it, and that it may be killed at any moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.unit.registry.making import content, parts
from tests.unit.runners.learning import ROWS, command, ran, stored
from tickcast.cli.main import main
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.errors import BusyError, TrainingError
from tickcast.registry.shelf import Shelf
from tickcast.runners.retrain import CHALLENGERS, KEPT, NOTE, SCRATCH, WORK, alone, check, models_for, tidy
from tickcast.training.models.table import DEFAULT

pytestmark = pytest.mark.long
TOLD = 6
"""Optuna's number for the outcome of a trial."""
HOURS = ("--hours", "12", "--trials", "4")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    return stored(tmp_path_factory.mktemp("rows") / "data", shared_data)


@pytest.fixture(scope="module")
def undisturbed(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A directory that was retrained once, and what was said."""
    root = tmp_path_factory.mktemp("undisturbed") / "data"
    copytree(rows, root)
    return root, ran(root, *HOURS)


@pytest.fixture
def root(rows: Path, tmp_path: Path) -> Path:
    copytree(rows, tmp_path / "data")
    return tmp_path / "data"


def files_of(root: Path) -> set[str]:
    """All that lies about in the models' folder, beside bundles and numbers."""
    models = root / "models"
    found = {str(path.relative_to(models)) for path in models.rglob("*") if path.is_file()}
    return {name for name in found if "/v" not in name}


def test_what_it_trains_is_a_challenger_and_says_how_long_it_will_do(undisturbed: tuple[Path, Any]) -> None:
    root, said = undisturbed
    shelf = Shelf(root / "models")

    assert ["price"] == [one["task"] for one in said]
    assert (said[0]["version"],) == shelf.aliases("price").challengers
    assert "" == shelf.aliases("price").champion
    assert NOTE == shelf.manifest("price", said[0]["version"]).note
    assert 0 < said[0]["wait_s"] <= 12 * 3600
    assert 1 == len(shelf.versions("price"))


def test_nothing_due_is_one_sentence_and_no_failure(
    undisturbed: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = undisturbed
    code = main(["retrain", "--data-dir", str(root), "--tasks", "price", "--hours", "12"])
    said = capsys.readouterr()

    assert (0, "") == (code, said.err)
    assert said.out.startswith("price is not due: its data end ")
    assert 1 == said.out.count("\n")


def test_its_window_slides_and_ends_at_a_full_hour(undisturbed: tuple[Path, Any]) -> None:
    root, said = undisturbed
    made = Shelf(root / "models").manifest("price", said[0]["version"]).content

    assert made.to_ms % 3_600_000 in range(3_600_000 - 6 * 60_000, 3_600_000)  # the last ones' future is not known yet
    assert made.rows < ROWS


def trials_of(root: Path) -> int:
    """How many sets of parameters an unfinished search has the outcome of."""
    study = root / "models" / WORK / "studies" / "price-ridge.journal"
    return sum(json.loads(line)["op_code"] == TOLD for line in study.read_text().splitlines())


KILLS = {
    "in the search": "from tickcast.training import tune as at; name, left = 'loss_of', 2",
    "in a half written bundle": "from tickcast.registry import disk as at; name, left = 'sync_folder', 0",
    "before the trail knows of it": "from tickcast.registry.shelf import Shelf as at; name = 'record'",
    "before it is a challenger": "from tickcast.registry.shelf import Shelf as at; name = 'challenge'",
}
KILLED = """
import os, signal, sys
left = 0
{where}
true = getattr(at, name)
def die(*words, **more):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return true(*words, **more)
setattr(at, name, die)
from tickcast.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("where", KILLS)
def test_killed_anywhere_and_started_again_it_ends_with_the_same_bundle(
    where: str, root: Path, undisturbed: tuple[Path, Any]
) -> None:
    calm, said = undisturbed
    words = command(root, *HOURS)[3:]
    died = subprocess.run([sys.executable, "-c", KILLED.format(where=KILLS[where]), *words], timeout=300, check=False)
    if where == "in the search":  # the third one had begun: neither is it counted, nor are the first two tried again
        assert 2 == trials_of(root)
    again = ran(root, *HOURS)

    shelf = Shelf(root / "models")
    assert -signal.SIGKILL == died.returncode
    assert [said[0]["hash"]] == [shelf.manifest("price", one).hash for one in shelf.versions("price")]
    assert tuple(shelf.versions("price")) == shelf.aliases("price").challengers
    assert again[0]["hash"] in ("", said[0]["hash"])
    assert files_of(calm) == files_of(root)


def test_two_at_once_are_one_and_a_sentence(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with alone(root / "models"):
        code = main(["retrain", "--data-dir", str(root), "--hours", "12"])
        said = capsys.readouterr()

    assert 2 == code
    assert "is being retrained by another process, so nothing was trained" in said.err
    assert 1 == said.err.count("\n")


def test_what_a_killed_one_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / WORK / SCRATCH / "mlflow" / "half"
    left.mkdir(parents=True)

    with alone(tmp_path) as work:
        assert [] == list((work / SCRATCH).iterdir())
        with pytest.raises(BusyError), alone(tmp_path):
            pass
    assert not (tmp_path / WORK / SCRATCH).exists()


def test_a_task_that_fails_does_not_keep_the_next_from_its_turn(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "models" / "volatility"
    folder.mkdir(parents=True)
    (folder / "aliases.json").write_text("{")
    words = ["--tasks", "volatility,price", "--models", "ridge", "--no-tracking", "--trials", "1"]
    code = main(["retrain", "--data-dir", str(root), "--hours", "12", *words, "--json"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["outcomes"]

    assert 2 == code
    assert "aliases.json: can not be read" in said[0]["error"]
    assert said[1]["version"].endswith("-ridge")
    assert [] == Shelf(root / "models").versions("volatility")


def test_the_gate_alone_promotes(root: Path) -> None:
    said = ran(root, *HOURS, "--promote")

    shelf = Shelf(root / "models")
    assert said[0]["promoted"] == (shelf.aliases("price").champion == said[0]["version"])
    assert not said[0]["promoted"]
    assert "not more than luck" in said[0]["sentence"] or "too few" in said[0]["sentence"]


def shelf_of(path: Path, count: int) -> Iterator[str]:
    shelf = Shelf(path, clock=ManualClock(), who="test")
    for number in range(count):
        yield shelf.add(content(seed=number), parts(), note=NOTE).version


def test_bundles_that_nobody_needs_do_not_pile_up(tmp_path: Path) -> None:
    versions = list(shelf_of(tmp_path, KEPT + CHALLENGERS + 2))
    shelf = Shelf(tmp_path, who="test")
    mine = shelf.add(content(seed=99), parts(), note="by hand").version
    shelf.challenge("price", tuple(versions[:CHALLENGERS]), "test")

    assert 2 == len(tidy(shelf, "price"))
    assert [*versions[:CHALLENGERS], *versions[-KEPT:], mine] == shelf.versions("price")
    assert [] == tidy(shelf, "price")


def test_models_that_are_not_known_are_refused_before_anything_starts() -> None:
    with pytest.raises(TrainingError, match="did you mean ridge"):
        check(Settings(retrain_models=("rigde",)))
    assert ["logistic"] == models_for(("ridge", "logistic"), "volatility")
    assert DEFAULT["volatility"].split(",") == models_for(("ridge",), "volatility")
    assert {"lightgbm", "forest"} <= set(models_for(("all",), "price"))
