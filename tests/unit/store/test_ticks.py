"""Tick features: appended, never doubled, and moved to a file once their day is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.unit.store.kit import DAY, DAY_MS, frame, ticks
from tickcast.errors import StoreError
from tickcast.events import TICKS, Frame
from tickcast.store.duckdb import DuckStore
from tickcast.store.resolve import join
from tickcast.store.results import Results, store_digest
from tickcast.store.tickdays import TickDays

TODAY, TOMORROW, OVERMORROW = "20240809", "20240810", "20240811"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[DuckStore]:
    with DuckStore(path) as store:
        yield store


def ids(store: DuckStore, pair: str = "BTCUSDT") -> list[int]:
    """What `rows` gives, after a look whether `query` sees the same."""
    parts = list(store.rows("ticks_features", exchange="binance", pair=pair))
    found = join(parts)["trade_id"].tolist() if parts else []
    asked = store.query(f"SELECT trade_id FROM ticks_features WHERE pair = '{pair}' ORDER BY timestamp_ms, trade_id")
    assert found == [row[0] for row in asked.rows]
    return found


def recent(store: DuckStore) -> int:
    return int(store.query("SELECT count(*) FROM embedded.recent_ticks").rows[0][0])


def test_a_closed_day_moves_to_a_file_and_nothing_changes_for_readers(store: DuckStore, tmp_path: Path) -> None:
    """
    09.08.            10.08.
    |--1--2--3--------|--10--11--
     └─ file           └─ table
    """
    store.commit([ticks(1, 2, 3), ticks(10, 11, start_ms=DAY + DAY_MS), ticks(5, pair="BTC/USD")], None)
    before = store_digest(store)

    assert store.roll_ticks(TOMORROW) == 2

    assert before == store_digest(store)
    assert ids(store) == [1, 2, 3, 10, 11]
    assert recent(store) == 2
    files = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.parquet"))
    assert files == ["ticks/binance/BTC%2FUSD/20240809.parquet", "ticks/binance/BTCUSDT/20240809.parquet"]
    assert pq.read_table(tmp_path / files[1])["trade_id"].to_pylist() == [1, 2, 3]


def test_rolling_again_moves_nothing(store: DuckStore) -> None:
    store.commit([ticks(1, 2, 3)], None)

    assert [store.roll_ticks(TODAY), store.roll_ticks(TOMORROW), store.roll_ticks(TOMORROW)] == [0, 1, 0]
    assert ids(store) == [1, 2, 3]


def test_rolled_days_survive_reopening(path: Path) -> None:
    with DuckStore(path) as store:
        store.commit([ticks(1, 2, 3), ticks(4, start_ms=DAY + DAY_MS)], None)
        store.roll_ticks(TOMORROW)

    with DuckStore(path) as store:
        assert ids(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("rolled", [False, True])
def test_ticks_that_come_twice_are_there_once(path: Path, rolled: bool, reopened: bool) -> None:
    frames = [ticks(1, 2, 3), ticks(4, 5), ticks(9, start_ms=DAY + DAY_MS)]
    store = DuckStore(path)
    store.commit(frames, None)
    if rolled:
        store.roll_ticks(OVERMORROW)
    if reopened:
        store.close()
        store = DuckStore(path)

    store.commit(frames[1:], None)
    store.commit([frames[0]], None)

    assert ids(store) == [1, 2, 3, 4, 5, 9]
    store.roll_ticks(OVERMORROW)
    assert ids(store) == [1, 2, 3, 4, 5, 9]
    store.close()


@pytest.mark.parametrize("rolled", [False, True])
def test_a_tick_that_comes_again_overwrites(store: DuckStore, rolled: bool) -> None:
    store.commit([ticks(1, 2, mid=100.0)], None)
    if rolled:
        store.roll_ticks(TOMORROW)

    store.commit([ticks(2, mid=200.0)], None)

    (got,) = store.rows("ticks_features", exchange="binance", pair="BTCUSDT")
    assert got["midprice"].tolist() == [100.0, 200.0]


def test_ticks_of_one_millisecond_may_come_in_any_order_and_in_several_commits(store: DuckStore) -> None:
    def at_once(*found: int) -> Frame:
        return frame(TICKS, TICKS.rows([{"timestamp_ms": DAY, "trade_id": i} for i in found]))

    for part in (at_once(5, 3), at_once(4), at_once(3, 6), at_once(1)):
        store.commit([part], None)

    assert ids(store) == [1, 3, 4, 5, 6]


def test_a_tick_after_its_day_was_closed_takes_the_day_back(store: DuckStore, tmp_path: Path) -> None:
    """
    1  2  3  roll  4 (same day)  roll
    """
    store.commit([ticks(1, 2, 3)], None)
    store.roll_ticks(TOMORROW)

    store.commit([ticks(4)], None)
    assert ids(store) == [1, 2, 3, 4]

    store.roll_ticks(TOMORROW)
    assert ids(store) == [1, 2, 3, 4]
    assert recent(store) == 0
    (file,) = tmp_path.rglob("*.parquet")
    assert pq.read_table(file)["trade_id"].to_pylist() == [1, 2, 3, 4]


def test_after_a_day_came_back_its_ticks_of_the_last_millisecond_are_known(store: DuckStore) -> None:
    both = frame(TICKS, TICKS.rows([{"timestamp_ms": DAY, "trade_id": i} for i in (1, 2)]))
    store.commit([both], None)
    store.roll_ticks(TOMORROW)

    store.commit([both.slice(0, 1, 0)], None)
    store.commit([both.slice(1, 2, 0)], None)

    assert ids(store) == [1, 2]


def test_a_crash_between_file_and_table_is_harmless(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there, its row in the list is not: the table is read, and the next roll writes the file anew."""
    store.commit([ticks(1, 2, 3)], None)
    with monkeypatch.context() as patched:
        patched.setattr(TickDays, "show", lambda *_: (_ for _ in ()).throw(OSError(5, "cut off")))
        with pytest.raises(StoreError, match="could not take a closed day"):
            store.roll_ticks(TOMORROW)
    assert recent(store) == 3
    assert ids(store) == [1, 2, 3]
    store.commit([ticks(4)], None)

    assert store.roll_ticks(TOMORROW) == 1
    assert ids(store) == [1, 2, 3, 4]


def test_ticks_that_come_while_their_day_is_written_wait_for_the_next_roll(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = TickDays._write
    late = [ticks(4), ticks(2, mid=7.0)]

    def slow(self: TickDays, *args: Any) -> tuple[int, int]:
        written = write(self, *args)
        if late:
            store.commit([late.pop(0)], None)
        return written

    monkeypatch.setattr(TickDays, "_write", slow)
    store.commit([ticks(1, 2, 3)], None)

    assert [store.roll_ticks(TOMORROW) for _ in range(3)] == [0, 0, 1]
    assert ids(store) == [1, 2, 3, 4]
    assert store.query("SELECT midprice FROM ticks_features WHERE trade_id = 2").rows == [(7.0,)]


def test_a_moved_data_directory_still_has_its_days(tmp_path: Path) -> None:
    with DuckStore(tmp_path / "store.duckdb") as store:
        store.commit([ticks(1, 2, 3)], None)
        store.roll_ticks(TOMORROW)
    moved = tmp_path.rename(tmp_path.with_name("moved"))

    for read_only in (True, False):
        with DuckStore(moved / "store.duckdb", read_only=read_only) as store:
            assert ids(store) == [1, 2, 3]
    moved.rename(tmp_path)


def test_a_day_file_that_was_removed_is_missed_once_and_then_forgotten(path: Path, tmp_path: Path) -> None:
    with DuckStore(path) as store:
        store.commit([ticks(1, 2), ticks(3, start_ms=DAY + DAY_MS)], None)
        store.roll_ticks(TOMORROW)
        next(tmp_path.rglob("*.parquet")).unlink()
        with pytest.raises(StoreError, match="needs a day file of tick features that is gone"):
            store.query("SELECT count(trade_id), max(midprice) FROM ticks_features")

    with DuckStore(path) as store:
        assert ids(store) == [3]


def test_a_reader_leaves_out_a_day_file_that_was_removed_and_the_next_writer_names_it(path: Path) -> None:
    with DuckStore(path) as store:
        store.commit([ticks(1, 2), ticks(3, start_ms=DAY + DAY_MS)], None)
        store.roll_ticks(TOMORROW)
        assert not store.gone
    next(path.parent.rglob("*.parquet")).unlink()

    with DuckStore(path, read_only=True) as store:
        assert ids(store) == [3]
    with DuckStore(path) as store:
        assert [f"ticks/binance/BTCUSDT/{TODAY}.parquet"] == store.gone


@pytest.mark.parametrize("damage", [b"", b"PAR1 and then something else"])
def test_a_damaged_day_file_is_named_by_every_reader(damage: bytes, path: Path) -> None:
    with DuckStore(path) as store:
        store.commit([ticks(1, 2), ticks(3, start_ms=DAY + DAY_MS)], None)
        store.roll_ticks(TOMORROW)
    next(path.parent.rglob("*.parquet")).write_bytes(damage)

    with DuckStore(path, read_only=True) as store:
        with pytest.raises(StoreError, match=f"has rows that can not be read .*{TODAY}.parquet"):
            store.keys("ticks_features")
        with pytest.raises(StoreError, match=f"has rows that can not be read .*{TODAY}.parquet"):
            list(store.rows("ticks_features", exchange="binance", pair="BTCUSDT"))
        with pytest.raises(StoreError, match=f"can not be read .*{TODAY}.parquet"):
            store.query("SELECT max(midprice) FROM ticks_features")


def test_pairs_can_not_lead_out_of_the_directory(store: DuckStore, tmp_path: Path) -> None:
    store.commit([ticks(1, pair="../../../x"), ticks(2, pair=".."), ticks(3, pair="a'b*?[1]")], None)

    assert store.roll_ticks(TOMORROW) == 3
    assert [len(list((tmp_path / "ticks" / "binance").iterdir())), len(list(tmp_path.parent.glob("x*")))] == [3, 0]
    assert ids(store, "..") == [2]
    assert store.query("SELECT count(*) FROM ticks_features").rows == [(3,)]


def test_many_hours_come_back_in_order(store: DuckStore) -> None:
    times = [DAY + hour * 3_600_000 + offset for hour in range(30) for offset in (3_599_999, 0)]
    rows = [{"timestamp_ms": at, "trade_id": n} for n, at in enumerate(sorted(times))]
    sent = frame(TICKS, TICKS.rows(rows))
    digest = Results()
    digest.write(sent)
    store.commit([sent], None)
    store.roll_ticks(TOMORROW)

    assert ids(store) == list(range(60))
    assert (digest.hexdigest(), digest.counts()) == store_digest(store)


def test_a_roll_can_be_interrupted_and_is_done_the_next_time(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit([ticks(1, 2, 3)], None)
    write = TickDays._write

    def slow(self: TickDays, reader: Any, *rest: Any) -> tuple[int, int]:
        ended = threading.Event()

        def interrupt() -> None:
            while not ended.wait(0.01):
                store.interrupt()

        asking = threading.Thread(target=interrupt)
        asking.start()
        try:
            reader.execute("SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b")
        finally:
            ended.set()
            asking.join()
        return write(self, reader, *rest)

    monkeypatch.setattr(TickDays, "_write", slow)
    with pytest.raises(StoreError, match="could not take a closed day"):
        store.roll_ticks(TOMORROW)
    monkeypatch.setattr(TickDays, "_write", write)

    assert [1, 2, 3] == ids(store)
    assert [1, 0] == [store.roll_ticks(TOMORROW), recent(store)]
    assert [1, 2, 3] == ids(store)
