"""`tickcast models`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.registry.making import content, forecasts, parts
from tickcast.cli.main import main
from tickcast.registry import audit, evidence
from tickcast.registry.shelf import Aliases, Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Three versions for prices: next to nothing, a little, all there is."""
    monkeypatch.chdir(tmp_path)
    made = Shelf(tmp_path / "tickcast-data" / "models")
    for seed, skill in enumerate((-0.5, 0.5, 1.0)):
        made.add(content(seed=seed), parts(evaluation=evidence.write(forecasts(skill))))
    return made


def models(*words: str) -> int:
    return main(["models", *words])


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = models(*words, "--json")
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_shelf_without_models_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == models("list", "--data-dir", str(tmp_path))
    assert "no models under" in capsys.readouterr().out


def test_list_names_all_and_what_is_damaged(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.set_aliases("price", Aliases("v1-ridge", ("v3-ridge",)))
    (shelf.path("price", "v2-ridge") / "manifest.json").write_bytes(b"{}")
    code, found = told(capsys, "list")

    assert 0 == code
    assert [("v1-ridge", "champion"), ("v2-ridge", ""), ("v3-ridge", "challenger")] == [
        (row["version"], row["alias"]) for row in found["models"]
    ]
    assert ["v2-ridge"] == [row["version"] for row in found["models"] if "fault" in row]
    assert 0 == models("list", "--task", "price")
    assert "damaged" in capsys.readouterr().out
    assert 0 == models()
    assert "v3-ridge" in capsys.readouterr().out
    assert 0 == models("list", "--task", "volatility")
    assert "no models" in capsys.readouterr().out


def test_show_verifies_what_it_shows(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == models("show", "price", "v2")
    assert "price/v2-ridge: all files are as they were written" in capsys.readouterr().out
    assert "v2-ridge" == told(capsys, "show", "price", "v2")[1]["version"]

    (shelf.path("price", "v2-ridge") / "linear.json").write_bytes(b"{}")
    assert 2 == models("show", "price", "v2")
    assert "other bytes than its manifest tells" in capsys.readouterr().err


def test_compare_says_which_is_better(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == models("compare", "price", "v2", "v3")
    assert "v3-ridge is better by more than luck" in capsys.readouterr().out
    assert 0 == models("compare", "price", "v3", "v2")
    assert "v3-ridge is better by more than luck" in capsys.readouterr().out
    assert 3000 == told(capsys, "compare", "price", "v2", "v3")[1]["rows"]


def test_promote_shows_the_gates_answers_and_changes_what_serves(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == models("promote", "price", "v1")
    refused = capsys.readouterr().out
    assert "not promoted: gain over the naive" in " ".join(refused.split())
    assert "" == shelf.aliases("price").champion

    code, found = told(capsys, "promote", "price", "v3")
    assert (0, True, False, "v3-ridge") == (code, found["promoted"], found["forced"], shelf.aliases("price").champion)
    assert {"outcomes", "days", "gain over naive", "skill", "coverage"} <= {
        check["name"] for check in found["verdict"]["checks"]
    }
    assert 2 == models("promote", "price", "v3")
    assert "is the champion already" in capsys.readouterr().err


def test_force_needs_a_reason(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == models("promote", "price", "v1", "--force")
    assert "without a reason" in capsys.readouterr().err
    assert "" == shelf.aliases("price").champion
    assert 0 == models("promote", "price", "v1", "--force", "--reason", "a drill")
    assert "by force" in capsys.readouterr().out
    entry = audit.read(shelf.root).entries[-1]
    assert ("forced", "a drill") == (entry.action, entry.reason)
    assert "" != entry.who


def test_the_rules_can_be_set(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = told(capsys, "promote", "price", "v3", "--min-outcomes", "5000", "--min-days", "9")

    assert 1 == code
    assert ["outcomes", "days"] == [check["name"] for check in found["verdict"]["checks"] if not check["passed"]]
    assert 2 == models("promote", "price", "v3", "--level", "2")


def test_rollback_puts_the_last_champion_back(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("v1", "v3"):
        models("promote", "price", version, "--force", "--reason", "a drill")
    capsys.readouterr()

    assert 0 == models("rollback", "price", "--reason", "it is worse")
    assert "v1-ridge is champion of price again, in place of v3-ridge" in capsys.readouterr().out
    assert 2 == models("rollback", "price", "--reason", "and on")
    assert "no champion before this one" in capsys.readouterr().err


def test_challengers_are_named_and_taken_away(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    models("promote", "price", "v1", "--force", "--reason", "a drill")
    capsys.readouterr()

    assert (0, ["v2-ridge", "v3-ridge"]) == (
        (answer := told(capsys, "challenge", "price", "v2", "newest"))[0],
        answer[1]["challengers"],
    )
    assert 2 == models("promote", "price", "challenger")
    assert "names no version on the shelf" in capsys.readouterr().err
    assert 0 == models("challenge", "price")
    assert "beside it nobody" in capsys.readouterr().out


def test_the_trail_is_shown_and_verified(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == models("audit")
    assert "3 lines, the chain is whole" in capsys.readouterr().out
    path = shelf.root / audit.AUDIT_FILE
    path.write_bytes(path.read_bytes().replace(b"v2-ridge", b"v7-ridge"))
    assert 2 == models("audit")
    said = capsys.readouterr()
    assert "NOT as written" in said.out
    assert "line 2 was changed since it was written" in said.err


def test_bundles_from_elsewhere_come_onto_the_shelf_and_into_mlflow_once(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Shelf(tmp_path / "elsewhere")
    came = elsewhere.add(content(seed=77), parts())
    path = str(elsewhere.path("price", came.version))
    first, second = told(capsys, "register", path), told(capsys, "register", path)

    assert [(0, "v4-ridge", False), (0, "v4-ridge", True)] == [
        (code, found["registered"][0]["version"], found["registered"][0]["known"]) for code, found in (first, second)
    ]
    assert 4 == len(told(capsys, "register")[1]["registered"])
    assert 0 == models("promote", "price", "v3")
    assert "" == capsys.readouterr().err


def test_a_server_that_is_down_is_told_and_the_bundle_is_on_the_shelf_all_the_same(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    elsewhere = Shelf(tmp_path / "elsewhere")
    path = str(elsewhere.path("price", elsewhere.add(content(seed=78), parts()).version))

    assert 2 == models("register", path, "--mlflow-uri", "http://127.0.0.1:9")
    assert "was not logged to MLflow" in capsys.readouterr().err
    assert "v4-ridge" == shelf.newest("price")
