"""Rows out of a store, or fresh from the stages: the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.market import START_MS, candles, features, walk
from tickcast.config import FlowSettings
from tickcast.errors import TrainingError
from tickcast.events import CANDLES, FEATURES, Columns, Frame
from tickcast.runners.candle_files import carried, outputs_of
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore
from tickcast.training.rows import Rows, from_frames, from_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    with DuckStore(tmp_path / "store.duckdb") as opened:
        yield opened


def frames_of(*parts: Rows) -> list[Frame]:
    return [
        Frame(table.name, one.exchange, one.pair, 0, columns)
        for one in parts
        for table, columns in ((CANDLES, one.candles), (FEATURES, one.features))
    ]


def same(left: Columns, right: Columns) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(column, right[name], equal_nan=column.dtype.kind == "f") for name, column in left.items()
    )


def test_a_store_and_the_stages_give_the_same_rows(store: DuckStore) -> None:
    bars = candles(100.0 + np.arange(900.0) % 7)
    outputs = list(
        carried([Frame("candles", "binance", "BTCUSDT", int(bars["window_end_ms"][-1]), bars)], FlowSettings())
    )
    store.commit(outputs, Checkpoint())

    (fresh,), (kept,) = from_frames(outputs), from_store(store)

    assert 900 == len(fresh.features["timestamp_ms"])
    assert same(fresh.candles, kept.candles)
    assert same(fresh.features, kept.features)


def test_the_highest_revision_is_the_row() -> None:
    bars = candles([100.0, 101.0])
    again = {name: column[:1].copy() for name, column in bars.items()}
    again["close"][:], again["revision"][:] = 99.0, 1
    parts = [Frame("candles", "x", "P", 0, columns) for columns in (again, bars)]

    (rows,) = from_frames([*parts, Frame("features", "x", "P", 0, features(bars, a=1.0))])

    assert [99.0, 101.0] == rows.candles["close"].tolist()


def test_two_lengths_in_one_request_are_refused_unless_one_is_asked_for() -> None:
    both = frames_of(walk(20), walk(20, seconds=300))

    with pytest.raises(TrainingError, match=r"candles of 60, 300 seconds, and a model learns from one length only"):
        from_frames(both)

    (rows,) = from_frames(both, candle_seconds=300)

    assert (300, {300}) == (rows.candle_seconds, set(rows.candles["candle_seconds"].tolist()))
    with pytest.raises(TrainingError, match="5 was asked for and there are candles of 60, 300 seconds"):
        from_frames(both, candle_seconds=5)


def test_what_a_store_does_not_hold_is_named_with_what_it_holds(store: DuckStore) -> None:
    store.commit(frames_of(walk(20)), Checkpoint())

    with pytest.raises(TrainingError, match="kraken:XBTEUR: has no feature rows in the store, which holds binance:BTC"):
        from_store(store, keys=[("kraken", "XBTEUR")])


def test_an_empty_store_is_nothing_to_learn_from(store: DuckStore) -> None:
    with pytest.raises(TrainingError, match="holds no feature rows"):
        from_store(store)


def test_what_lies_before_is_not_read(store: DuckStore) -> None:
    store.commit(frames_of(walk(20)), Checkpoint())

    (rows,) = from_store(store, since_ms=START_MS + 15 * 60_000)

    assert 6 == len(rows.features["timestamp_ms"]) == len(rows.candles["close"])


def test_files_of_candles_become_rows_without_a_data_directory(tmp_path: Path) -> None:
    path = tmp_path / "binance-BTCUSDT-1m.csv"
    lines = [f"{START_MS + i * 60_000},100,109,99,{100 + i % 3},5" for i in range(30)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")

    (rows,) = from_frames(outputs_of([path], FlowSettings()))

    assert ("binance", "BTCUSDT", 60, 30) == (*rows[:3], len(rows.features["timestamp_ms"]))


def test_rows_come_sorted_by_key() -> None:
    found = from_frames(frames_of(walk(9, pair="ETHUSDT"), walk(9, pair="BTCUSDT")))

    assert ["binance:BTCUSDT", "binance:ETHUSDT"] == [one.key for one in found]
