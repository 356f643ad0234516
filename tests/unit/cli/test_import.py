"""Files go through the same stages as live data, into tables or into the store; what is refused is said and kept."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.unit.sources.files.files import MINUTE_MS, START_MS, candle_file, candle_lines, trade_file
from tickcast.cli.main import main
from tickcast.journal.lock import DataDirLock
from tickcast.runners.datadir import STORE_FILE, flow_of
from tickcast.runners.verify import verify
from tickcast.store.duckdb import DuckStore

MARKET = ["--exchange", "binance", "--pair", "BTCUSDT"]


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `tickcast import ... --json` and take its last line."""

    def run(*words: object) -> dict[str, Any]:
        assert main(["import", *map(str, words), "--json"]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return answer

    return run


def rows(path: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return listed


def test_candles_become_indicators_and_features_in_a_file_a_table(tmp_path: Path, said: Any) -> None:
    answer = said(candle_file(tmp_path, candle_lines(30)), *MARKET, "--out", "out")

    assert answer["counts"] == {
        "candles": 30,
        "technical_indicators": 30,
        "ticks_features": 0,
        "features": 30,
        "fetched": 0,
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "candles.parquet", "features.parquet", "fetched.parquet", "technical_indicators.parquet",
        "ticks_features.parquet",
    ]  # fmt: skip
    candles = rows(tmp_path / "out" / "candles.parquet")
    assert [row["close"] for row in candles] == [101.0 + at for at in range(30)]
    assert {row["quality"] for row in candles} == {"complete"}
    assert [row["timestamp_ms"] for row in rows(tmp_path / "out" / "features.parquet")] == [
        row["window_end_ms"] for row in candles
    ]


def test_the_digest_does_not_depend_on_the_order_of_rows_or_files(tmp_path: Path, said: Any) -> None:
    lines = candle_lines(40)
    whole = said(candle_file(tmp_path, lines, "a.csv"), *MARKET, "--out", "a")
    turned = said(candle_file(tmp_path, lines[::-1], "b.csv"), *MARKET, "--out", "b")
    parts = [candle_file(tmp_path, lines[at : at + 10], f"{at}.csv") for at in (20, 0, 30, 10)]
    parted = said(*parts, *MARKET, "--out", "c")

    assert whole["digest"] == turned["digest"] == parted["digest"]


def test_trades_become_candles_and_ticks(shared_data: Path, tmp_path: Path, said: Any) -> None:
    """Each whole minute equals what its trades say: open, high, low, close and how many there were."""
    path = shared_data / "history/binance_futures_ticks_20200222/tardis_trades.csv"
    said(path, "--out", "out")
    minutes: dict[int, list[tuple[int, float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            time_ms = int(row["timestamp"]) // 1000
            minutes[time_ms - time_ms % MINUTE_MS].append((int(row["id"]), float(row["price"])))

    candles = {row["window_start_ms"]: row for row in rows(tmp_path / "out" / "candles.parquet")}

    assert len(candles) == len(minutes) - 1  # the last minute was still open when the file ended
    for start_ms, row in candles.items():
        prices = [price for _, price in sorted(minutes[start_ms])]
        made = (row["open"], row["high"], row["low"], row["close"], row["trade_count"])
        assert made == (prices[0], max(prices), min(prices), prices[-1], len(prices))
    assert len(rows(tmp_path / "out" / "ticks_features.parquet")) == 9_999


def test_refused_rows_are_shown_and_all_of_them_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [f"{START_MS + at * MINUTE_MS},100,98,99,101,5" for at in range(30, 42)]
    path = candle_file(tmp_path, [*candle_lines(30), *bad])

    assert main(["import", str(path), *MARKET, "--out", "out"]) == 0

    shown = capsys.readouterr().out
    assert "rejected rows.csv, line 32: high 98 is below low 99" in shown
    assert "rejected 2 more of rows.csv" in shown
    kept = (tmp_path / "out" / "import-rejects.csv").read_text(encoding="utf-8").splitlines()
    assert len(kept) == 13
    assert main(["import", str(path), *MARKET, "--out", "out"]) == 0
    assert len((tmp_path / "out" / "import-rejects.csv").read_text(encoding="utf-8").splitlines()) == 13


def test_an_import_into_the_store_can_be_asked_for_and_done_twice(tmp_path: Path, said: Any) -> None:
    path = candle_file(tmp_path, candle_lines(30))
    for _ in range(2):
        answer = said(path, *MARKET, "--data-dir", "data")

    assert answer["counts"]["candles"] == 30
    with DuckStore(tmp_path / "data" / STORE_FILE, read_only=True) as store:
        assert store.query("SELECT pair, count(*), max(close) FROM candles GROUP BY pair").rows == [
            ("BTCUSDT", 30, 130.0)
        ]
        assert store.query("SELECT count(*) FROM features").rows == [(30,)]


def test_what_was_imported_can_be_verified_like_everything_else(tmp_path: Path, said: Any) -> None:
    said(candle_file(tmp_path, candle_lines(30)), *MARKET, "--data-dir", "data")
    trades = [(at, START_MS + 90_000_000 + at * 500, 100.0 + at % 3, 1.0) for at in range(400)]
    said(trade_file(tmp_path, trades), "--exchange", "elsewhere", "--pair", "ETHUSDT", "--data-dir", "data")

    verdict = verify(tmp_path / "data")

    assert verdict.holds, verdict.sentence
    assert verdict.tables["candles"].same > 30
    assert verdict.tables["ticks_features"].same == 400


def test_a_pair_that_can_not_be_is_refused_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = candle_file(tmp_path, candle_lines(3))

    assert main(["import", str(path), "--exchange", "binance", "--pair", "X" * 300, "--data-dir", "data"]) == 2

    assert "was refused" in capsys.readouterr().err


def test_old_ticks_are_moved_to_day_files(tmp_path: Path, said: Any) -> None:
    for days in (1, 2):  # a directory that is there already takes it as a new one does
        since_ms = START_MS + days * 86_400_000
        trades = [(1000 * days + at, since_ms + at * 500, 100.0 + at % 3, 1.0) for at in range(400)]
        said(trade_file(tmp_path, trades), *MARKET, "--data-dir", "data")

        assert len([*(tmp_path / "data" / "ticks").rglob("*.parquet")]) == days
        with DuckStore(tmp_path / "data" / STORE_FILE, read_only=True) as store:
            assert store.query("SELECT count(*) FROM ticks_features").rows == [(400 * days,)]


def test_a_directory_that_is_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = candle_file(tmp_path, candle_lines(3))
    with DataDirLock(tmp_path / "data"):
        assert main(["import", str(path), *MARKET, "--data-dir", "data"]) == 2

    assert "is in use by process" in capsys.readouterr().err
    assert not (tmp_path / "data" / STORE_FILE).exists()


def test_candles_that_can_not_be_made_are_refused_for_a_store_and_kept_for_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: Any
) -> None:
    lines = [f"{1_700_000_100_000 + at * 300_000},100,103,99,101,5" for at in range(5)]
    path = candle_file(tmp_path, lines)

    assert main(["import", str(path), *MARKET, "--data-dir", "data"]) == 2
    refused = capsys.readouterr().err
    assert main(["import", str(path), *MARKET, "--into", "60", "--out", "out"]) == 2
    assert main(["import", str(path), *MARKET, "--into", "300", "--data-dir", "data"]) == 0
    answer = said(path, *MARKET, "--out", "out")

    assert "holds 300-second candles, of which 60 can not be made, so nothing was imported; ask for what" in refused
    assert answer["counts"]["candles"] == 5
    known = flow_of(tmp_path / "data")
    assert known is not None
    assert known.candle_seconds == (300,)
    assert said(path, *MARKET, "--data-dir", "data")["counts"]["candles"] == 5  # it has learned what it is made of


def test_candles_are_rolled_up_to_the_lengths_asked_for(tmp_path: Path, said: Any) -> None:
    """
    00:14   00:15                                   00:20           00:24
      |  0    |  1  |  2  |  3  |  4  |  5  |  ...    |  6  ...  9    |
              |---------- five minutes -----|         |-- unfinished -|
    """
    start_ms = 1_700_000_100_000 - MINUTE_MS  # one minute before a five-minute mark
    said(candle_file(tmp_path, candle_lines(10, start_ms)), *MARKET, "--into", "60,300", "--out", "out")

    made = [row for row in rows(tmp_path / "out" / "candles.parquet") if row["candle_seconds"] == 300]

    (whole,) = made  # of the windows at both ends some minutes are missing
    assert whole["window_start_ms"] == start_ms + MINUTE_MS
    assert [whole[name] for name in ("open", "high", "low", "close", "volume", "quality")] == [
        101.0, 108.0, 100.0, 106.0, 1.5 + 2.5 + 3.5 + 4.5 + 5.5, "complete",
    ]  # fmt: skip


def test_flat_candles_are_put_where_a_file_leaves_out_quiet_minutes(tmp_path: Path, said: Any) -> None:
    lines = candle_lines(20)
    path = candle_file(tmp_path, [*lines[:7], *lines[9:]])
    with_gaps = said(path, *MARKET, "--into", "300", "--out", "gaps")
    filled = said(path, *MARKET, "--into", "300", "--quiet-gaps", "--out", "filled")

    assert (with_gaps["counts"]["candles"], filled["counts"]["candles"]) == (2, 3)
    assert [row["volume"] for row in rows(tmp_path / "filled" / "candles.parquet")][1] == 6.5 + 9.5 + 10.5


def test_two_tellings_of_one_market_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = candle_file(tmp_path, candle_lines(3), "candles.csv")
    two = trade_file(tmp_path, [(1, START_MS, 100.0, 1.0)], "trades.csv")

    assert main(["import", str(one), str(two), *MARKET, "--out", "out"]) == 2

    assert "tell of binance:BTCUSDT in two ways, so nothing was imported" in capsys.readouterr().err
    assert not (tmp_path / "out" / "candles.parquet").exists()


def test_markets_side_by_side_are_imported_in_one_go(shared_data: Path, said: Any, tmp_path: Path) -> None:
    folder = shared_data / "history/coinbase_lean/minute"
    answer = said(
        folder / "btcusd/20180405_trade.zip",
        folder / "ltcusd/20180404_trade.zip",
        folder / "ltcusd/20180405_trade.zip",
        "--out",
        "out",
    )

    assert [file["pair"] for file in answer["files"]] == ["BTC-USD", "LTC-USD", "LTC-USD"]
    found = rows(tmp_path / "out" / "candles.parquet")
    assert len([row for row in found if row["pair"] == "LTC-USD"]) == 1_008 + 3 + 1_439 + 1  # four quiet minutes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.csv"], "nothing.csv: does not exist; check the spelling of the path."),
        (["."], "is a directory, so nothing was read; name its files"),
        (["rows.csv", "--columns", "time"], "--columns: has time; write role=name"),
        (["rows.csv", "--candle-seconds", "7"], "--candle-seconds: was 7; give whole seconds that divide a day"),
    ],
)
def test_what_can_not_be_imported_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    candle_file(tmp_path, candle_lines(3))

    assert main(["import", *words, *MARKET, "--out", "out"]) == 2

    assert says in capsys.readouterr().err
    assert not (tmp_path / "out" / "candles.parquet").exists()


def test_trades_that_come_too_late_for_their_candles_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """History after what is younger: the windows have been forgotten, and who imports must hear of it."""
    rows = [(at, START_MS + at * 60_000, 100.0, 1.0) for at in range(100)]
    old, young = trade_file(tmp_path, rows[:10], "old.csv"), trade_file(tmp_path, rows[60:], "young.csv")
    assert main(["import", str(young), *MARKET, "--data-dir", "data"]) == 0
    capsys.readouterr()
    assert main(["import", str(old), *MARKET, "--data-dir", "data"]) == 0
    assert "came too late for its candle" in capsys.readouterr().err
    assert main(["import", str(young), *MARKET, "--data-dir", "data"]) == 0
    assert "trades were known already" in capsys.readouterr().err
