"""A store is opened once, as what it is, or refused in a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from tests.unit.store.kit import candle, filled, frame
from tickcast.errors import StoreError
from tickcast.events import CANDLES
from tickcast.store.duckdb import DuckStore


def refusal(path: Path, *, read_only: bool = False) -> str:
    with pytest.raises(StoreError) as caught:
        DuckStore(path, read_only=read_only)
    return str(caught.value)


def test_reading_what_is_not_there_says_so(path: Path) -> None:
    assert "does not exist, so there is nothing to read" in refusal(path, read_only=True)
    assert not path.exists()


def test_a_foreign_file_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)

    assert "is not a Tickcast store" in refusal(path)
    assert path.read_bytes() == b"not a database" * 1000


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE holiday (photo BIGINT)")

    assert "is a DuckDB database, but not one of Tickcast's" in refusal(path)
    with duckdb.connect(path) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("holiday",)]


def test_a_later_version_is_refused(path: Path) -> None:
    DuckStore(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO embedded.schema_versions (script) VALUES ('099_later.sql')")

    assert "was written by a later version of Tickcast (it has 099_later.sql)" in refusal(path)


def test_an_earlier_version_is_brought_up_to_date_but_not_when_only_reading(path: Path) -> None:
    DuckStore(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("DROP VIEW latest_candles")
        connection.execute("DELETE FROM embedded.schema_versions WHERE script = '007_views.sql'")

    assert "was written by an earlier version" in refusal(path, read_only=True)
    with DuckStore(path) as store:
        assert store.query("SELECT count(*) FROM latest_candles").rows == [(0,)]


def test_a_damaged_file_is_said_to_be_damaged(path: Path) -> None:
    with DuckStore(path) as store:
        store.commit([frame(CANDLES, filled(CANDLES, 20_000))], None)
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 2 + 600] = b"\7" * 600
    data[:4096] = data[:20] + b"\7" * 4076
    path.write_bytes(data)

    assert "is damaged, so it was not opened" in refusal(path)


def test_a_directory_and_a_missing_directory_are_named(tmp_path: Path) -> None:
    assert "is a directory, not a store" in refusal(tmp_path)
    assert "see that the directory exists" in refusal(tmp_path / "no" / "store.duckdb")


def test_a_store_that_another_process_holds_is_said_to_be_in_use(path: Path, store: DuckStore) -> None:
    code = f"""
from pathlib import Path
from tickcast.store.duckdb import DuckStore
for read_only in (False, True):
    try:
        DuckStore(Path({str(path)!r}), read_only=read_only)
    except Exception as exc:
        print(type(exc).__name__, exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    expected = (
        f"StoreError {path}: is in use by another process, so it was not opened; "
        "ask that process with `tickcast sql`, or stop it first."
    )
    assert done.stdout.splitlines() == [expected, expected]


def test_a_store_can_not_be_opened_twice_in_one_process(path: Path, store: DuckStore) -> None:
    assert "is in use" in refusal(path)
    store.commit([candle(9)], None)


AS_NOBODY = """
import os, sys
from pathlib import Path
from tickcast.errors import StoreError
from tickcast.store.duckdb import DuckStore
from tickcast.store.parquet import ParquetSink
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
for attempt in (lambda: DuckStore(Path(sys.argv[1]) / "store.duckdb"), lambda: ParquetSink(Path(sys.argv[1]) / "out")):
    try:
        attempt()
    except StoreError as exc:
        print(exc)
"""


def test_a_directory_that_may_not_be_written_is_said_so() -> None:
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(directory)], capture_output=True, text=True, timeout=60, check=True
        )
    finally:
        shutil.rmtree(directory)

    first, second = done.stdout.splitlines()
    assert "can not be opened" in first
    assert "Permission denied" in first
    assert "can not be written to (Permission denied)" in second
