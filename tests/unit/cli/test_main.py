"""The command line as a stranger meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.cli.main import COMMANDS, main

HEAVY = {"numpy", "numba", "duckdb", "pyarrow", "talib", "rich", "lightgbm", "mlflow", "sklearn", "optuna", "msgspec"}
MODULES_MAX = 25
"""Modules beyond bare Python's own that `tickcast --help` may import."""


def imported_by(code: str) -> set[str]:
    """Names of the modules that some code imports in a fresh interpreter."""
    script = f"import sys; before = set(sys.modules)\ntry:\n    {code}\nexcept SystemExit: pass\n"
    script += "print('\\n'.join(set(sys.modules) - before), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stderr.split())


def test_help_imports_next_to_nothing() -> None:
    bare = imported_by("import argparse, importlib, gettext, shutil")
    ours = imported_by("from tickcast.cli.main import main; main(['--help'])")

    assert set() == {name for name in ours if name.partition(".")[0] in HEAVY}
    assert len(ours - bare) <= MODULES_MAX, sorted(ours - bare)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_a_command_imports_no_engine(name: str) -> None:
    ours = imported_by(f"from tickcast.cli.main import main; main(['{name}', '--help'])")

    assert set() == {name for name in ours if name.partition(".")[0] in HEAVY - {"msgspec"}}


def test_what_is_wrong_is_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main(["sql", "SELECT 1", "--data-dir", str(tmp_path)])

    assert 2 == code
    said = capsys.readouterr().err.strip()
    assert said.startswith("tickcast sql: ")
    assert "\n" not in said


def test_a_setting_with_a_slip_is_met_with_the_right_spelling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.toml").write_text("candle_second = [60]")

    code = main(["sql", "SELECT 1", "--config", str(tmp_path / "t.toml")])

    assert 2 == code
    assert "did you mean candle_seconds" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "7", "60,x", "-5", ""])
def test_impossible_candle_lengths_are_refused_before_anything_starts(
    seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", str(tmp_path), "--candle-seconds", seconds])

    assert 2 == code
    assert "candle_seconds" in capsys.readouterr().err or seconds == ""
