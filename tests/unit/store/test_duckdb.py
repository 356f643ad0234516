"""The embedded store: what it refuses and says, and what stays true when things break."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tests.unit.store.kit import candle, filled, frame, ticks
from tickcast.errors import StoreError
from tickcast.events import CANDLES, TICKS, Columns, Frame
from tickcast.store import duckdb as module
from tickcast.store import schema
from tickcast.store.contract import Checkpoint, QueryResult
from tickcast.store.duckdb import DuckStore


def test_a_query_answers_with_columns_and_rows(store: DuckStore) -> None:
    expected = QueryResult(["pair", "close"], [("BTCUSDT", 101.0), ("ETHUSDT", 7.0)])

    assert store.query("SELECT pair, close FROM latest_candles ORDER BY pair") == expected


def test_times_and_sums_come_as_python_values(store: DuckStore) -> None:
    ((moment, total),) = store.query("SELECT to_timestamp(60), sum(trade_id) FROM ticks_features").rows

    assert (moment.isoformat(), total, type(total)) == ("1970-01-01T00:01:00+00:00", 3, int)


def test_more_rows_than_the_limit_are_cut_and_said(store: DuckStore) -> None:
    assert store.query("SELECT range FROM range(10)", limit=3) == QueryResult(["range"], [(0,), (1,), (2,)], True)
    assert not store.query("SELECT range FROM range(3)", limit=3).truncated
    assert store.query("FROM range(1_000_000_000_000)", limit=1).rows == [(0,)]


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE candles", "EXPLAIN SELECT 1", "FROM candles", "SUMMARIZE candles"]
)
def test_reading_statements_of_all_kinds_are_answered(store: DuckStore, sql: str) -> None:
    assert store.query(sql).rows


def test_show_tables_names_what_there_is_to_ask(store: DuckStore) -> None:
    names = [row[0] for row in store.query("SHOW TABLES").rows]

    assert names == [
        "candles", "features", "fetched", "latest_candles", "latest_predictions", "outcomes", "prediction_outcomes",
        "predictions", "sentiment", "social", "technical_indicators", "ticks_features",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO candles (pair) VALUES ('x')",
        "DELETE FROM candles",
        "UPDATE candles SET close = 0",
        "DROP TABLE candles",
        "CREATE TABLE x (a BIGINT)",
        "CREATE TEMP TABLE x (a BIGINT)",
        "COPY candles TO 'x.csv'",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "BEGIN",
        "EXPLAIN ANALYZE DELETE FROM candles",
        "EXPLAIN ANALYZE INSERT INTO candles SELECT * FROM candles",
        "EXPLAIN ANALYZE COPY candles TO 'x.csv'",
        "SELECT * FROM query('DELETE FROM candles')",
        "WITH gone AS (DELETE FROM candles RETURNING pair) SELECT pair FROM gone",
        "SELECT 1; DELETE FROM candles",
        "EXPORT DATABASE 'x'",
        "",
        "  -- nothing",
    ],
)
def test_nothing_but_reading_is_answered(store: DuckStore, tmp_path: Path, sql: str) -> None:
    before = store.query("SELECT * FROM candles").rows

    with pytest.raises(StoreError):
        store.query(sql)

    assert store.query("SELECT * FROM candles").rows == before
    assert not list(Path.cwd().glob("x.csv"))


@pytest.mark.parametrize(
    "source",
    [
        "'/etc/passwd'",
        "read_text('/etc/passwd')",
        "read_text('{dir}/secret.txt')",
        "read_text('{dir}/ticks/../secret.txt')",
        "read_text('{dir}/ticks/link/passwd')",
        "read_csv('http://127.0.0.1:9/x.csv')",
        "read_parquet('s3://bucket/x.parquet')",
        "glob('/etc/*')",
        "duckdb_secrets()",
    ],
)
def test_no_file_and_no_network_is_in_reach(store: DuckStore, tmp_path: Path, source: str) -> None:
    (tmp_path / "secret.txt").write_text("token")
    (tmp_path / "ticks").mkdir()
    (tmp_path / "ticks" / "link").symlink_to("/etc")

    with pytest.raises(StoreError):
        store.query(f"SELECT * FROM {source.format(dir=tmp_path)}")


def test_a_misspelt_name_keeps_the_hint(store: DuckStore) -> None:
    with pytest.raises(StoreError) as caught:
        store.query("SELECT pair FROM candels")

    assert str(caught.value) == (
        'query: could not be run (Catalog Error: Table with name candels does not exist!; Did you mean "candles"?); '
        "correct it and ask again; SHOW TABLES lists the tables."
    )


def test_a_syntax_error_is_one_sentence(store: DuckStore) -> None:
    with pytest.raises(StoreError, match=r"^query: could not be run \(Parser Error: syntax error at or near \"SELEC\""):
        store.query("SELEC 1")


def test_a_query_that_takes_too_long_is_stopped_and_the_store_goes_on(store: DuckStore) -> None:
    with pytest.raises(StoreError, match=r"query: took longer than 0.05 s and was stopped"):
        store.query("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b", timeout_s=0.05)

    store.commit([candle(2)], None)
    assert store.query("SELECT count(*) FROM candles").rows == [(4,)]


def test_queries_in_other_threads_see_whole_commits_only(store: DuckStore) -> None:
    """Each commit writes one candle and one tick: no answer ever shows one without the other."""
    differences: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            sql = (
                "SELECT (SELECT count(*) FROM candles WHERE pair = 'X') - count(*) FROM ticks_features WHERE pair = 'X'"
            )
            differences.append(store.query(sql).rows[0][0])

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(40):
        store.commit([candle(n, pair="X"), ticks(n, pair="X")], None)
    done.set()
    for reader in readers:
        reader.join()

    assert set(differences) == {0}


def test_python_variables_are_not_tables(store: DuckStore) -> None:
    import pyarrow as pa

    incoming = pa.table({"a": [1]})
    with pytest.raises(StoreError, match="incoming does not exist"):
        store.query("SELECT a FROM incoming")
    assert incoming.num_rows == 1


def test_a_store_open_for_reading_changes_nothing(path: Path, store: DuckStore) -> None:
    store.close()

    with DuckStore(path, read_only=True) as reading:
        assert reading.keys("candles") == [("binance", "BTCUSDT"), ("binance", "ETHUSDT")]
        for change in (lambda: reading.commit([candle(5)], None), lambda: reading.roll_ticks("20300101")):
            with pytest.raises(StoreError, match="is open for reading only"):
                change()


FULL = """
import os, resource, signal, sys
from pathlib import Path
from tests.unit.store.kit import *
from tickcast.errors import StoreError
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit fails as on a full disk
store = DuckStore(Path(sys.argv[1]))
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
def commit(n):
    frames = [candle(n, pair="X"), frame(CANDLES, filled(CANDLES, 4000, n), pair=f"P{n}"),
              ticks(*range(n * 1000, n * 1000 + 1000))]
    store.commit(frames, Checkpoint({"binance": ("20240809", n)}, {("candles", "X"): os.urandom(30_000)}))
def state():
    (row,) = store.query("SELECT (SELECT count(*) FROM candles), (SELECT count(*) FROM candles WHERE pair = 'X'),"
                         " (SELECT count(*) FROM ticks_features)").rows
    return row, store.load_checkpoint().positions["binance"][1]
n = 0
commit(0)
limit(3_000_000)
try:
    while n < 100:
        commit(n + 1)
        n += 1
except StoreError as exc:
    print(exc)
kept = state()
assert kept == ((4001 * (n + 1), n + 1, 1000 * (n + 1)), n), (kept, n)
try:
    commit(n + 1)
except StoreError:
    print("still full")
assert state() == kept
limit(resource.RLIM_INFINITY)
commit(n + 1)
n += 1
assert state() == ((4001 * (n + 1), n + 1, 1000 * (n + 1)), n)
store.close()
store = DuckStore(Path(sys.argv[1]))
assert state() == ((4001 * (n + 1), n + 1, 1000 * (n + 1)), n)
print("retried", n > 2)
"""


def test_on_a_full_disk_a_commit_keeps_nothing_and_can_be_tried_again(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[3],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    sentence, again, last = done.stdout.splitlines()
    assert "could not take a commit (" in sentence
    assert "so nothing of it was kept; see that the disk has space left" in sentence
    assert (again, last) == ("still full", "retried True")


def test_an_error_in_the_middle_of_a_commit_undoes_all_of_it(store: DuckStore) -> None:
    broken = frame(CANDLES, {name: c for name, c in filled(CANDLES, 2).items() if name != "close"}, pair="NEW")
    before = store.query("SELECT * FROM candles").rows

    with pytest.raises(KeyError):
        store.commit([candle(5), ticks(50), broken], Checkpoint({"binance": ("20240809", 1)}))

    assert store.query("SELECT * FROM candles").rows == before
    assert store.query("SELECT count(*) FROM ticks_features").rows == [(2,)]
    assert store.load_checkpoint() == Checkpoint()
    store.commit([ticks(50)], None)
    assert store.query("SELECT count(*) FROM ticks_features").rows == [(3,)]


def test_a_closed_store_says_that_it_is_closed(store: DuckStore) -> None:
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.query("SELECT 1")
    with pytest.raises(StoreError, match="is closed"):
        store.commit([candle(1)], None)
    with pytest.raises(StoreError, match="is closed"):
        next(store.rows("candles", exchange="binance", pair="BTCUSDT"))


def test_nan_is_null_and_quality_is_its_label(store: DuckStore) -> None:
    columns = CANDLES.rows([{"quality": n, "window_start_ms": n, "open": np.nan} for n in range(3)])
    store.commit([frame(CANDLES, columns, pair="Q")], None)

    rows = store.query("SELECT quality, open FROM candles WHERE pair = 'Q' ORDER BY window_start_ms").rows

    assert rows == [("complete", None), ("partial", None), ("repaired", None)]


def kept_bytes(store: DuckStore) -> int:
    asked = "SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory() WHERE tag = 'BASE_TABLE'"
    return int(store.query(asked).rows[0][0])


def many_ticks(first: int) -> Frame:
    """A frame of numbers that do not compress."""
    rows, chance = 20_000, np.random.default_rng(first)
    columns = {name: chance.random(rows).astype(column.dtype) for name, column in TICKS.empty().items()}
    columns |= {"trade_id": np.arange(first, first + rows), "timestamp_ms": np.arange(first, first + rows)}
    return Frame("ticks_features", "binance", "BTCUSDT", first + rows, columns)


def test_what_the_store_keeps_in_memory_does_not_grow_with_its_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    commit - commit - fold, let go - commit - commit - fold, let go
    """
    monkeypatch.setattr(schema, "LOG_BYTES", 4 << 20)
    monkeypatch.setattr(schema, "KEPT_LIMIT", "4MB")
    with DuckStore(path) as store:
        kept = []
        for number in range(8):
            store.commit([many_ticks(20_000 * number)], None)
            kept.append(kept_bytes(store))
            assert "1.8 GiB" == store.query("SELECT current_setting('memory_limit')").rows[0][0]

        assert path.stat().st_size > 16 << 20
        assert max(kept) <= 6 << 20, kept


def test_a_reader_keeps_what_it_reads_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "LOG_BYTES", 1)
    trimmed: list[int] = []
    monkeypatch.setattr(module, "trim", lambda connection: trimmed.append(len(trimmed)))
    with DuckStore(path) as store:
        store.commit([many_ticks(0)], None)
        reading = cast("Generator[Columns]", store.rows("ticks_features", exchange="binance", pair="BTCUSDT"))
        next(reading)
        store.commit([many_ticks(20_000)], None)
        reading.close()
        store.commit([many_ticks(40_000)], None)

    assert [0, 1] == trimmed
