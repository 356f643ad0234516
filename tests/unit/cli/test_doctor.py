"""The doctor names what is wrong with a machine or a data directory, and what to do."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import pytest

from tickcast.cli import doctor
from tickcast.cli.finding import Finding
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.journal.files import plain_path, sealed_path
from tickcast.journal.journal import Journal
from tickcast.journal.lock import DataDirLock
from tickcast.journal.sealing import seal_day
from tickcast.runners.datadir import STORE_FILE, hold_flow
from tickcast.runners.demo import MARKET_FILE
from tickcast.sources.contract import Message
from tickcast.store.duckdb import DuckStore

NOW_NS = 1_762_795_433_000_000_000
DAY = "20251110"


def case(root: Path, now_ns: int = NOW_NS) -> doctor.Case:
    return doctor.Case(Settings(data_dir=root), ManualClock(now_ns))


def found(check: doctor.Check, root: Path, now_ns: int = NOW_NS) -> list[tuple[str, str]]:
    return [(one.state, one.found) for one in check(case(root, now_ns))]


@pytest.fixture
def journaled(tmp_path: Path) -> Path:
    """A data directory with one day of three messages."""
    with Journal(tmp_path, fsync_ms=0, clock=ManualClock(NOW_NS), keep_days=0) as journal:
        journal.append([Message(NOW_NS + at, "binance", b'{"e":"trade"}') for at in range(3)])
    return tmp_path


def test_a_new_machine_without_data_is_well(tmp_path: Path) -> None:
    findings = doctor.examine(case(tmp_path / "none"))

    assert [one for one in findings if one.state == "fail"] == []
    assert [one.check for one in findings if one.state == "ok"][:2] == ["python", "libraries"]


def test_whole_day_files_are_well(journaled: Path) -> None:
    assert found(doctor.journal, journaled) == [("ok", "1 day files are whole")]


def test_a_torn_line_is_a_warning_that_needs_nothing(journaled: Path) -> None:
    day = plain_path(journaled / "raw" / "binance", DAY)
    day.write_bytes(day.read_bytes() + b'{"r":17')

    ((state, text),) = found(doctor.journal, journaled)

    assert (state, text) == ("warn", f"{day} ends with 7 torn bytes, as after a crash")


def test_a_sealed_day_that_differs_from_its_checksum_fails(journaled: Path) -> None:
    folder = journaled / "raw" / "binance"
    seal_day(folder, DAY)
    assert found(doctor.journal, journaled) == [("ok", "1 day files are whole")]
    sealed = sealed_path(folder, DAY)
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"x")

    ((state, text),) = found(doctor.journal, journaled)

    assert state == "fail"
    assert "differs from its checksum" in text


def test_a_clock_behind_the_journal_fails(journaled: Path) -> None:
    assert found(doctor.clock, journaled)[0][0] == "ok"
    assert found(doctor.clock, journaled, NOW_NS - 60_000_000_000) == [
        ("fail", "is 60 s behind the newest journal line (2025-11-10 17:23:53 UTC)")
    ]
    assert found(doctor.clock, journaled, 0) == [("fail", "says 1970-01-01 00:00:00 UTC")]


def test_a_simulated_market_may_run_ahead_of_the_clock(journaled: Path) -> None:
    """`tickcast demo --speed 60` leaves receive times that are still to come."""
    (journaled / MARKET_FILE).write_text("{}", encoding="utf-8")

    told = "2025-11-10 17:22:53 UTC; the simulated market ran ahead of it"
    assert found(doctor.clock, journaled, NOW_NS - 60_000_000_000) == [("ok", told)]


def test_the_data_directory_says_who_works_on_it(tmp_path: Path) -> None:
    assert found(doctor.data_directory, tmp_path) == [("ok", f"{tmp_path}, free")]
    with DataDirLock(tmp_path):
        assert found(doctor.data_directory, tmp_path) == [("ok", f"{tmp_path}, in use by process {os.getpid()}")]


def test_a_file_in_the_place_of_the_data_directory_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    assert found(doctor.data_directory, tmp_path / "file") == [("fail", f"{tmp_path / 'file'} is a file")]


def test_settings_other_than_those_of_the_directory_are_a_warning(tmp_path: Path) -> None:
    hold_flow(tmp_path, Settings(candle_seconds=(1, 60)).flow)

    states = found(doctor.data_directory, tmp_path)

    assert states[1] == (
        "warn",
        "was made with other settings (candles of 1,60 seconds) than are configured now",
    )


def test_a_store_is_opened_and_a_strange_file_in_its_place_fails(tmp_path: Path) -> None:
    assert found(doctor.store, tmp_path) == [("ok", "there is none yet")]
    DuckStore(tmp_path / STORE_FILE).close()
    assert found(doctor.store, tmp_path) == [("ok", "0 candles, 0 feature rows, tables of this version")]
    (tmp_path / STORE_FILE).write_bytes(b"no database" * 1000)

    ((state, _),) = found(doctor.store, tmp_path)

    assert state == "fail"


def test_a_full_disk_fails_and_a_nearly_full_one_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((100 << 20, "fail"), (1 << 30, "warn"), (10 << 30, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: argparse.Namespace(free=free))
        assert found(doctor.disk, tmp_path / "not" / "yet")[0][0] == state


def test_a_library_that_is_missing_or_too_old_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    asked = ["duckdb>=999", "no-such-library>=1", 'kafka>=1; extra == "kafka"']
    monkeypatch.setattr(metadata, "requires", lambda _: asked)

    failed = [text for state, text in found(doctor.libraries, tmp_path) if state == "fail"]

    assert failed == ["no-such-library is not installed", f"duckdb {metadata.version('duckdb')} is older than 999"]


def test_a_check_that_breaks_is_a_finding_and_the_others_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_check(_: doctor.Case) -> object:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "CHECKS", [broken_check, doctor.disk])

    findings = doctor.examine(case(tmp_path))

    assert findings[0] == Finding(
        "broken check", "fail", "could not be checked (RuntimeError: no such thing)", "report this"
    )
    assert findings[1].check == "disk"


def test_the_command_exits_with_1_when_a_setting_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tickcast.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json", "--offline"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["healthy"] is True
    (tmp_path / "tickcast.toml").write_text('candle_seconds = "7"\n', encoding="utf-8")

    assert main(["doctor", "--json", "--offline"]) == 1

    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["healthy"], answer["failed"]) == (False, 1)
    assert answer["checks"][0] == {
        "check": "configuration",
        "state": "fail",
        "found": "candle_seconds: was 7",
        "remedy": "give whole seconds that divide a day, for example 1,60,300",
    }
