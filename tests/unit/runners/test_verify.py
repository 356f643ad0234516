"""Verify finds what differs, names the first row, and holds where nothing does."""
# ruff: noqa: PT012 - what ends a process here has a story before it

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from tests.unit.runners.kit import DAY_MS, FLOW, PAIRS, START_MS, carry, market, settings_for
from tests.unit.runners.test_intake import imported
from tickcast.clock import ManualClock, utc_day, utc_text
from tickcast.errors import BusyError, StoreError
from tickcast.events import Columns
from tickcast.journal.journal import Journal
from tickcast.journal.lock import DataDirLock
from tickcast.runners import embedded as embedded_module
from tickcast.runners.datadir import AHEAD_FILE, STORE_FILE, note_expired
from tickcast.runners.embedded import Embedded
from tickcast.runners.imports import IntoDirectory
from tickcast.runners.verify import _aligned, _unequal, verify
from tickcast.sources.own import read_frame
from tickcast.store.duckdb import DuckStore

MINUTES = 6


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ran")
    carry(root, market(MINUTES))
    return root


@pytest.fixture
def root(ran: Path, tmp_path: Path) -> Path:
    """A copy to plant faults in."""
    return Path(shutil.copytree(ran, tmp_path / "data"))


def plant(root: Path, sql: str) -> None:
    with duckdb.connect(str(root / STORE_FILE)) as connection:
        connection.execute(sql)


def test_what_was_stored_is_what_the_journal_gives(root: Path) -> None:
    shares: list[float] = []
    verdict = verify(root, advance=shares.append)

    assert verdict.holds
    assert "bit for bit" in verdict.sentence
    del verdict.tables["fetched"]  # nothing was
    assert all(seen.same > 0 and seen.differ == seen.unverifiable == 0 for seen in verdict.tables.values())
    assert 1.0 == shares[-1]
    assert not list(root.glob("verify-*"))


@pytest.mark.parametrize("cut", [1, 250, 777])
def test_what_was_journaled_after_the_last_checkpoint_is_not_a_difference(cut: int, tmp_path: Path) -> None:
    """
    accept --- checkpoint --- accept --- kill --- verify, with nobody having recovered in between
    """
    said = market(MINUTES)
    with pytest.raises(KeyboardInterrupt), Embedded(settings_for(tmp_path), ManualClock()) as embedded:
        embedded.accept(said[:cut])
        embedded.checkpoint()
        embedded.accept(said[cut:])
        raise KeyboardInterrupt

    verdict = verify(tmp_path)
    assert (True, verdict.sentence) == (verdict.holds, verdict.sentence)


def test_a_recovery_that_was_killed_halfway_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """accept, kill --- recover: some rows written without a checkpoint, kill --- verify"""
    monkeypatch.setattr(embedded_module, "PENDING_ROWS_MAX", 50)

    def stop(read: int) -> None:
        if (tmp_path / AHEAD_FILE).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Embedded(settings_for(tmp_path), ManualClock()) as embedded:
        for at in range(0, len(market(MINUTES)), 200):
            embedded.accept(market(MINUTES)[at : at + 200])
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), Embedded(settings_for(tmp_path), ManualClock()) as embedded:
        monkeypatch.setattr(embedded.journal, "read", partial(embedded.journal.read, max_bytes=20_000))
        embedded.recover(stop)
    with DuckStore(tmp_path / STORE_FILE, read_only=True) as store:
        assert {} == store.load_checkpoint().positions
        assert [] != store.keys("candles")

    assert verify(tmp_path).holds
    assert not (tmp_path / AHEAD_FILE).exists()


@pytest.mark.parametrize(
    ("table", "column", "clock", "value"),
    [
        ("candles", "close", "window_start_ms", "close + 1e-10"),
        ("candles", "quality", "window_start_ms", "'repaired'"),
        ("technical_indicators", "obv", "window_start_ms", "coalesce(obv, 0) + 1"),
        ("ticks_features", "midprice", "timestamp_ms", "midprice + 1e-10"),
        ("ticks_features", "n_30s", "timestamp_ms", "n_30s + 1"),
        ("features", "known_at_ms", "timestamp_ms", "known_at_ms + 1"),
    ],
)
def test_a_planted_difference_is_found_and_its_first_row_named(
    table: str, column: str, clock: str, value: str, root: Path
) -> None:
    base = "embedded.recent_ticks" if table == "ticks_features" else table
    of_pair = f"pair = '{PAIRS[0]}'"
    with duckdb.connect(str(root / STORE_FILE)) as connection:
        query = f"SELECT {clock} FROM {base} WHERE {of_pair} ORDER BY {clock} LIMIT 1 OFFSET 5"
        [[at]] = connection.execute(query).fetchall()
        connection.execute(f"UPDATE {base} SET {column} = {value} WHERE {of_pair} AND {clock} >= {at}")
    verdict = verify(root)

    assert not verdict.holds
    assert verdict.tables[table].differ > 0
    assert verdict.sentence.startswith(f"{table} of binance:{PAIRS[0]} at ")
    assert f"{column} is" in verdict.sentence
    assert utc_text(at) in verdict.sentence
    assert "np." not in verdict.sentence


@pytest.mark.parametrize("table", ["candles", "technical_indicators", "features"])
def test_a_row_that_is_missing_or_invented_is_named(table: str, root: Path) -> None:
    clock = "timestamp_ms" if table == "features" else "window_start_ms"
    plant(
        root, f"DELETE FROM {table} WHERE {clock} = (SELECT min({clock}) + 60000 FROM {table}) AND candle_seconds = 10"
    )
    verdict = verify(root)

    assert not verdict.holds
    assert f"{table} of " in verdict.sentence
    assert "only the journal has this row" in verdict.sentence

    plant(root, f"UPDATE {table} SET pair = 'XUSDT' WHERE pair = '{PAIRS[0]}'")
    assert "only the journal has this row" in verify(root).sentence
    plant(root, f"UPDATE {table} SET pair = 'A' WHERE pair = 'XUSDT'")
    assert "of binance:A at " in verify(root).sentence
    assert "only the store has this row" in verify(root).sentence


def test_rows_that_depend_on_expired_days_are_counted_apart(tmp_path: Path) -> None:
    """
    day 0 (deleted)      day 1
    |.............23:57--|--00:03........|
    """
    start_ms = START_MS + DAY_MS - 3 * 60_000
    carry(tmp_path, market(MINUTES, start_ms=start_ms))
    with Journal(tmp_path, fsync_ms=0, clock=ManualClock(), keep_days=1) as journal:
        journal.seal_closed(utc_day(START_MS + DAY_MS))
        note_expired(tmp_path, [day for _, day in journal.due(utc_day(START_MS + 2 * DAY_MS))])
        assert [f"binance/{utc_day(START_MS)}"] == journal.expire(utc_day(START_MS + 2 * DAY_MS))
    verdict = verify(tmp_path)

    assert (True, verdict.sentence) == (verdict.holds, verdict.sentence)
    del verdict.tables["fetched"]  # nothing was
    assert all(seen.unverifiable > 0 for seen in verdict.tables.values())


def test_a_directory_in_use_or_without_a_store_is_one_sentence(root: Path, tmp_path: Path) -> None:
    with DataDirLock(root), pytest.raises(BusyError):
        verify(root)
    with pytest.raises(StoreError, match="holds no store"):
        verify(tmp_path / "nothing")


def test_import_then_live_then_verify_holds(tmp_path: Path) -> None:
    said = market(MINUTES, start_ms=START_MS + 3_600_000)
    with IntoDirectory(settings_for(tmp_path), FLOW) as into:
        into.take(read_frame("binance", imported(START_MS, price=61_000.0, rows=2500)), FLOW)
    carry(tmp_path, said[: len(said) // 2])
    carry(tmp_path, said[len(said) // 2 :])
    verdict = verify(tmp_path)

    assert (True, verdict.sentence) == (verdict.holds, verdict.sentence)
    assert verdict.tables["ticks_features"].same > 2500


# --- the comparison by itself


def rows(*ids: int, **more: list[float]) -> Columns:
    count = len(ids)
    base = {"candle_seconds": np.full(count, 60), "window_start_ms": np.array(ids, dtype=np.int64)}
    return base | {name: np.array(values) for name, values in more.items()}


def compared(left: list[Columns], right: list[Columns]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"both": [], "left": [], "right": []}
    for a, b, where in _aligned("candles", iter(left), iter(right)):
        found["both" if a is not None and b is not None else "left" if a is not None else "right"] += where.tolist()
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("other", [1, 2, 100])
def test_rows_are_paired_by_their_ids_however_they_are_cut(size: int, other: int) -> None:
    """
    left   1 2   4 5 6     9
    right    2 3 4   6 7 8
    """
    left, right = [1, 2, 4, 5, 6, 9], [2, 3, 4, 6, 7, 8]

    def cut(ids: list[int], by: int) -> list[Columns]:
        return [rows(*ids[at : at + by]) for at in range(0, len(ids), by)]

    expected: dict[str, Any] = {"both": [2, 4, 6], "left": [1, 5, 9], "right": [3, 7, 8]}
    assert expected == compared(cut(left, size), cut(right, other))


def test_a_null_equals_a_null_and_a_last_bit_is_a_difference() -> None:
    nan = float("nan")
    left = rows(1, 2, 3, 4, x=[nan, 1.0, 0.0, nan])
    right = rows(1, 2, 3, 4, x=[nan, np.nextafter(1.0, 2.0), -0.0, 1.0])

    assert [False, True, True, True] == _unequal(left, right).tolist()


def test_a_column_that_only_one_side_has_is_a_difference() -> None:
    assert [True] == _unequal(rows(1, x=[1.0]), rows(1)).tolist()


def test_a_row_that_stands_twice_is_a_difference(root: Path) -> None:
    plant(root, "INSERT INTO embedded.recent_ticks FROM embedded.recent_ticks ORDER BY timestamp_ms LIMIT 1")

    verdict = verify(root)

    assert not verdict.holds
    assert "only the store has this row" in verdict.sentence
    assert (verdict.tables["ticks_features"].differ, verdict.tables["candles"].differ) == (1, 0)


def test_what_a_verify_that_was_killed_left_goes_with_the_next_one(root: Path) -> None:
    (root / "verify-killed").mkdir()
    (root / "verify-killed" / STORE_FILE).write_bytes(b"half")

    assert verify(root).holds
    assert [] == list(root.glob("verify-*"))
