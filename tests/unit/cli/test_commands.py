"""Commands as scripts meet them: exit codes, one JSON object at the end, one sentence where something is wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.runners.kit import FLOW, carry, market
from tickcast.cli import main as module
from tickcast.cli.common import print_json
from tickcast.cli.main import main
from tickcast.errors import StoreError
from tickcast.runners.datadir import STORE_FILE


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ran")
    carry(root, market(3))
    return root


def last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said, which must be one line and no traceback."""
    said = capsys.readouterr().err.strip()
    assert "\n" not in said, said
    assert "Traceback" not in said
    return said


SECONDS = ["--candle-seconds", ",".join(map(str, FLOW.candle_seconds))]


def test_replay_tells_digest_and_counts_and_the_flags_of_its_flow_matter(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["replay", str(ran), *SECONDS, "--json", "--out", str(tmp_path / "out")])
    one = last_line(capsys)
    assert 0 == main(["replay", str(ran), "--candle-seconds", "60", "--indicators", "ADX:14", "--json"])
    other = last_line(capsys)

    assert {"candles", "technical_indicators", "ticks_features", "features", "fetched"} == one["counts"].keys()
    assert 32 == len(one["digest"])
    assert one["digest"] != other["digest"]
    assert one["counts"]["ticks_features"] == other["counts"]["ticks_features"]


def test_replay_tells_people_the_same(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["replay", str(ran), *SECONDS, "--json"])
    digest = last_line(capsys)["digest"]
    assert 0 == main(["replay", str(ran), *SECONDS])

    assert f"digest {digest}" in capsys.readouterr().out


def test_verify_answers_0_where_all_is_the_same_and_1_where_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carry(tmp_path, market(3))
    assert 0 == main(["verify", "--data-dir", str(tmp_path)])
    assert "bit for bit" in capsys.readouterr().out
    with duckdb.connect(str(tmp_path / STORE_FILE)) as connection:
        connection.execute("UPDATE candles SET close = close + 1")

    assert 1 == main(["verify", "--data-dir", str(tmp_path), "--json"])
    assert last_line(capsys)["holds"] is False


def test_sql_answers_rows(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["sql", "SELECT 1 AS one, NULL AS nothing", "--data-dir", str(ran), "--json"])
    assert {"columns": ["one", "nothing"], "rows": [[1, None]], "truncated": False} == last_line(capsys)
    assert 0 == main(["sql", "SELECT * FROM range(5)", "--limit", "2", "--data-dir", str(ran)])
    assert "only the first 2 rows" in capsys.readouterr().out
    assert 0 == main(["sql", "--data-dir", str(ran)])
    assert "latest_candles" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "nothing.gz"],
        ["replay", "empty"],
        ["replay", "data", "--candle-seconds", "7"],
        ["replay", "data", "--indicators", "NOPE:3"],
        ["replay", "data", "--pairs", "XXX"],
        ["replay", "data", "--out", "file"],
        ["replay", "data", "--exchange", "binnance"],
        ["replay", "data", "--config", "nothing.toml"],
        ["sql", "SELECT", "--data-dir", "data"],
        ["sql", "SELECT 1", "--data-dir", "empty"],
        ["sql", "SELECT 1", "--data-dir", "file"],
        ["sql", "SELECT 1", "--limit", "0", "--data-dir", "data"],
        ["sql", "SELECT 1", "--limit", "-5", "--data-dir", "data"],
        ["verify", "--data-dir", "empty"],
        ["verify", "--data-dir", "file"],
        ["demo", "--port", "99999"],
        ["demo", "--data-dir", "file", "--seconds", "0"],
        ["demo", "--data-dir", "", "--seconds", "0"],
        ["demo", "--pairs", "nope!", "--seconds", "0"],
        ["export", "--data-dir", "empty", "--table", "candles", "--out", "x.csv"],
        ["import", "nothing.csv"],
        ["import", "empty", "--out", "x"],
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_one_sentence(
    words: list[str], ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "data").symlink_to(ran)

    code = main(words)

    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
    assert 2 == code, said
    assert 1 == len(said), said
    assert said[0].startswith(f"tickcast {words[0]}: ")
    assert said[0].endswith(".")
    assert ";" in said[0]  # what and where; what to do


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (OSError(28, "No space left on device", "/data/x"), 2, "/data/x: No space left on device, so the work"),
        (OSError("odd"), 2, "the system: odd"),
        (KeyboardInterrupt(), 130, "stopped at your word"),
    ],
)
def test_what_no_layer_has_a_word_for_is_one_sentence_all_the_same(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise error

    import tickcast.cli.verify

    monkeypatch.setattr(tickcast.cli.verify, "run", fail)

    assert code == module.main(["verify"])
    assert told in sentence(capsys)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("said_by_a_library", [None, RuntimeError("Query interrupted"), StoreError("x", "y", "z")])
def test_sigterm_and_ctrl_c_end_a_command_alike_whatever_the_library_says_that_they_interrupt(
    said_by_a_library: Exception | None, number: int, code: int,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Also while kernels compile, when no runner has taken the signal for itself yet."""
    let_go: list[str] = []

    def wait(args: object) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise said_by_a_library or KeyboardInterrupt from None
        finally:
            let_go.append("the lock")
        return 0

    import tickcast.cli.verify

    monkeypatch.setattr(tickcast.cli.verify, "run", wait)
    before = signal.getsignal(number)

    assert code == module.main(["verify"])
    assert before == signal.getsignal(number)
    assert ["the lock"] == let_go
    assert "stopped at your word" in sentence(capsys)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_meets_a_compilers_exec_ends_us_in_our_way(number: int, code: int, tmp_path: Path) -> None:
    """Python itself would end by the signal then."""
    script = f"""if True:
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import tickcast.cli.verify
        from tickcast.cli.main import main
        tickcast.cli.verify.run = lambda args: exec("signal.raise_signal({int(number)})", {{"signal": signal}})
        sys.exit(main(["verify"]))
    """
    (tmp_path / "planted.py").write_text(script)
    ran = subprocess.run(
        [sys.executable, "-m", "planted"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert code == ran.returncode
    assert ["tickcast verify: stopped at your word; what was journaled is kept."] == ran.stderr.splitlines()


def test_a_reader_that_goes_away_is_no_error(ran: Path) -> None:
    """`tickcast sql ... | head -1`"""
    command = f"{sys.executable} -m tickcast sql 'SELECT * FROM range(100000)' --limit 100000 --data-dir {ran}"
    ran_it = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True, timeout=60
    )

    assert (0, "") == (ran_it.returncode, ran_it.stderr)
    assert "range" == ran_it.stdout.strip()


def test_json_is_one_line_and_nulls_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": "x\ny"})

    assert {"a": None, "b": "x\ny"} == last_line(capsys)


def test_an_exchange_whose_port_is_taken_is_refused_before_its_history_is_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = main(["exchange", "--port", str(taken.getsockname()[1])])
    said = capsys.readouterr().err

    assert 2 == code
    assert "can not be listened on" in said
    assert "making the market's history" not in said


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--host", "no.such.host.invalid"]])
def test_an_exchange_that_can_be_nowhere_says_so(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["exchange", *flags])
    assert "can not be listened on" in capsys.readouterr().err
