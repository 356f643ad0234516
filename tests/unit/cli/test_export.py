"""What is exported is what the store has, to the last bit, whether its file is read or its process is asked."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.unit.runners import kit
from tickcast.cli.main import main
from tickcast.events import CANDLES, FEATURES, INDICATORS, TICKS, Frame
from tickcast.journal.lock import DataDirLock
from tickcast.runners import stored
from tickcast.runners.datadir import STORE_FILE
from tickcast.sources.files.reader import read_file
from tickcast.store.duckdb import DuckStore
from tickcast.store.service import QueryServer

START_MS = 1_723_161_600_000
MINUTE_MS = 60_000


def frames(pair: str = "BTCUSDT", count: int = 5) -> list[Frame]:
    starts = [START_MS + at * MINUTE_MS for at in range(count)]
    base = [{"candle_seconds": 60, "window_start_ms": at, "window_end_ms": at + MINUTE_MS} for at in starts]
    prices = {"open": 0.1 + 0.2, "high": 2.0, "low": 0.1, "close": 1.0, "volume": 1 / 3}
    candles = CANDLES.rows([one | prices | {"quality": at % 2} for at, one in enumerate(base)])
    indicators = INDICATORS.rows(base) | {"adx_14": np.full(count, 1 / 7)}
    ticks = TICKS.rows([{"timestamp_ms": at + 1, "trade_id": at, "midprice": 1 / 3} for at in starts])
    features = FEATURES.rows([{"candle_seconds": 60, "timestamp_ms": at + MINUTE_MS} for at in starts]) | {
        "close": np.full(count, 1 / 3),
        "hour_sin": np.full(count, np.nan),
    }
    kinds = {"candles": candles, "technical_indicators": indicators, "ticks_features": ticks, "features": features}
    return [Frame(kind, "binance", pair, 0, columns) for kind, columns in kinds.items()]


@contextmanager
def stopped(root: Path) -> Iterator[None]:
    with DuckStore(root / STORE_FILE) as store:
        store.commit([*frames(), *frames("ETHUSDT", 2)], None)
    yield


@contextmanager
def running(root: Path) -> Iterator[None]:
    with DuckStore(root / STORE_FILE) as store, DataDirLock(root):
        store.commit([*frames(), *frames("ETHUSDT", 2)], None)
        with QueryServer(store, root):
            yield


@pytest.fixture(params=[stopped, running])
def data_dir(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stored, "PAGE_ROWS", 2)
    root = tmp_path / "data"
    root.mkdir()
    with request.param(root):
        yield root


def test_all_tables_come_out_as_parquet_with_every_bit(data_dir: Path, tmp_path: Path) -> None:
    assert main(["export", "--out", "out", "--data-dir", str(data_dir)]) == 0

    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "candles.parquet", "features.parquet", "technical_indicators.parquet", "ticks_features.parquet",
    ]  # fmt: skip
    candles = pq.read_table(out / "candles.parquet").to_pylist()
    assert [row["pair"] for row in candles] == ["BTCUSDT"] * 5 + ["ETHUSDT"] * 2
    assert {(row["open"], row["volume"], row["quote_volume"]) for row in candles} == {(0.1 + 0.2, 1 / 3, None)}
    assert [row["quality"] for row in candles[:2]] == ["complete", "partial"]
    assert pq.read_table(out / "technical_indicators.parquet")["adx_14"].to_pylist() == [1 / 7] * 7
    assert pq.read_table(out / "ticks_features.parquet")["midprice"].to_pylist() == [1 / 3] * 7
    assert pq.read_table(out / "features.parquet")["values"].to_pylist() == [[1 / 3, None]] * 7


def test_a_pair_in_any_spelling_and_a_span_of_time_can_be_chosen(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--table",
        "candles",
        "--pair",
        "btc/usdt",
        "--from",
        "2024-08-09T00:01:00Z",
        "--to",
        str(START_MS + 180_000),
    ]

    assert main(["export", *words, "--out", "c.csv", "--data-dir", str(data_dir), "--json"]) == 0

    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["window_start_ms"]) for row in rows] == [START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS]
    assert float(rows[0]["open"]) == 0.1 + 0.2
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "files": {"candles": "c.csv"}, "rows": {"candles": 2}, "format": "csv",
    }  # fmt: skip


def test_json_is_a_list_with_one_row_a_line(data_dir: Path, tmp_path: Path) -> None:
    assert main(["export", "--table", "features", "--out", "f.json", "--data-dir", str(data_dir)]) == 0

    text = (tmp_path / "f.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    assert len(rows) == 7
    assert len(text.splitlines()) == 9
    assert (rows[0]["close"], rows[0]["hour_sin"], rows[0]["values"]) == (1 / 3, None, [1 / 3, None])


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_exported_candles_can_be_imported_again(data_dir: Path, tmp_path: Path, form: str) -> None:
    words = ["--table", "candles", "--pair", "BTCUSDT", "--format", form]
    assert main(["export", *words, "--out", "out", "--data-dir", str(data_dir)]) == 0

    result = read_file(tmp_path / "out" / f"candles.{form}")
    (frame,) = result.frames()

    (expected, *_) = frames()
    assert result.rejects.count == 0
    assert frame.key == "binance:BTCUSDT"
    for name in ("window_start_ms", "open", "high", "low", "close", "volume", "quality"):
        assert frame.columns[name].tolist() == expected.columns[name].tolist()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "all.csv"], "is one file for 4 tables, so nothing was written; choose one with --table"),
        (["--pair", "XRPUSDT", "--out", "o"], "the store has binance:BTCUSDT, binance:ETHUSDT"),
        (["--from", "monday", "--out", "o"], "--from: was monday; give a date"),
    ],
)
def test_what_can_not_be_exported_is_one_sentence(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["export", *words, "--data-dir", str(data_dir)]) == 2

    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*.csv")] == []


def test_a_directory_without_a_store_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["export", "--out", "out", "--data-dir", "nothing"]) == 2

    assert "holds no store" in capsys.readouterr().err


def test_a_directory_whose_process_answers_nothing_is_busy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with DataDirLock(tmp_path):
        assert main(["export", "--out", "out", "--data-dir", str(tmp_path)]) == 2

    assert "answers no questions; wait until it has ended" in capsys.readouterr().err


def test_the_trades_of_the_journal_come_out_like_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    minutes   0   1   2   3   4   5
    asked for         |---|          of one pair, in another spelling
    """
    monkeypatch.chdir(tmp_path)
    kit.carry(tmp_path / "data", kit.market(5))
    words = [
        "--pair",
        "btc-usdt",
        "--from",
        str(kit.START_MS + 2 * MINUTE_MS),
        "--to",
        str(kit.START_MS + 3 * MINUTE_MS),
    ]

    assert main(["export", "trades", *words, "--out", "t.csv", "--data-dir", "data", "--json"]) == 0
    assert main(["export", "trades", "candles", "--out", "all", "--data-dir", "data"]) == 0

    said = capsys.readouterr().out.splitlines()
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    every = pq.read_table(tmp_path / "all" / "trades.parquet").to_pylist()
    within = [row for row in every if row["pair"] == "BTCUSDT" and row["timestamp_ms"] // MINUTE_MS % 60 == 2]
    assert json.loads(said[0])["rows"] == {"trades": len(rows)}
    assert {"BTCUSDT", "ADAUSDT"} == {row["pair"] for row in every}
    assert [(row["trade_id"], float(row["price"])) for row in within] == [
        (int(row["trade_id"]), float(row["price"])) for row in rows
    ]
    assert len(rows) > 3
    assert (tmp_path / "all" / "candles.parquet").exists()


def test_trades_of_a_pair_that_the_journal_does_not_have_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kit.carry(tmp_path / "data", kit.market(5))

    assert main(["export", "trades", "--pair", "XRPUSDT", "--out", "t.csv", "--data-dir", "data"]) == 2

    assert "the journal has binance:ADAUSDT, binance:BTCUSDT" in capsys.readouterr().err
    assert ["data"] == [path.name for path in tmp_path.iterdir()]
