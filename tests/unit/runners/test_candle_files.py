"""Files of candles through the stages in memory: the rows that an import gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickcast.config import FlowSettings
from tickcast.errors import DataError
from tickcast.runners.candle_files import outputs_of
from tickcast.runners.imports import IntoTables
from tickcast.sources.files.merge import merged
from tickcast.sources.files.reader import read_file
from tickcast.sources.files.result import ReadOptions
from tickcast.store.results import Results

START_MS = 1_723_161_600_000


def file(path: Path, minutes: range, step: int = 1) -> Path:
    lines = [f"{START_MS + i * 60_000},100,109,99,{100 + i % 3},5" for i in minutes if i % step == 0]
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    return path


def test_the_rows_are_those_of_an_import(tmp_path: Path) -> None:
    path = file(tmp_path / "binance-BTCUSDT-1m.csv", range(700))
    results = Results()
    for frame in outputs_of([path], FlowSettings()):
        results.write(frame)

    with IntoTables(tmp_path / "out") as into:
        for frame in merged([read_file(path, options=ReadOptions())]):
            into.take(frame, FlowSettings())

    assert into.summary()["digest"] == results.hexdigest()
    assert 700 == results.counts()["features"]


def test_files_of_one_pair_are_read_as_one_and_longer_candles_are_made(tmp_path: Path) -> None:
    paths = [file(tmp_path / f"binance-BTCUSDT-1m-{place}.csv", range(place * 50, place * 50 + 50)) for place in (1, 0)]

    frames = [one for one in outputs_of(paths, FlowSettings(candle_seconds=(300,))) if one.kind == "features"]

    assert [START_MS + (place + 1) * 300_000 for place in range(20)] == [
        time for frame in frames for time in frame.columns["timestamp_ms"].tolist()
    ]


def test_candles_longer_than_the_settings_ask_for_stay_as_they_are(tmp_path: Path) -> None:
    path = file(tmp_path / "binance-BTCUSDT-5m.csv", range(100), step=5)

    lengths = {one for frame in outputs_of([path], FlowSettings()) for one in frame.columns["candle_seconds"].tolist()}

    assert {300} == lengths


def test_one_pair_in_two_lengths_is_refused(tmp_path: Path) -> None:
    paths = [
        file(tmp_path / "binance-BTCUSDT-1m.csv", range(100)),
        file(tmp_path / "binance-BTCUSDT-5m.csv", range(100), step=5),
    ]

    with pytest.raises(DataError, match="hold candles of binance:BTCUSDT of several lengths"):
        list(outputs_of(paths, FlowSettings()))


def test_trades_are_refused_with_the_way_to_go(tmp_path: Path) -> None:
    path = tmp_path / "binance-BTCUSDT-trades.csv"
    rows = [f"{i},{100 + i % 2},0.5,{START_MS + i * 100},true" for i in range(20)]
    path.write_text("\n".join(["id,price,qty,time,is_buyer_maker", *rows]) + "\n")

    with pytest.raises(DataError, match="holds trades, not candles, so nothing was read; import it first"):
        list(outputs_of([path], FlowSettings()))


def test_a_file_that_does_not_tell_its_pair_is_of_the_one_that_is_named(tmp_path: Path) -> None:
    path = file(tmp_path / "candles_1m.csv", range(30))
    other = file(tmp_path / "binance-ETHUSDT-1m.csv", range(30))
    options = ReadOptions(what="candles", exchange="binance", pair_unsaid="BTCUSDT")

    assert {"BTCUSDT"} == {frame.pair for frame in outputs_of([path], FlowSettings(), options)}
    assert {"ETHUSDT"} == {frame.pair for frame in outputs_of([other], FlowSettings(), options)}


def test_rows_that_can_not_be_true_are_told(tmp_path: Path) -> None:
    path = file(tmp_path / "binance-BTCUSDT-1m.csv", range(30))
    path.write_text(path.read_text().replace(",100,109,", ",0,109,", 2))
    told: list[str] = []

    list(outputs_of([path], FlowSettings(), None, told.append))

    assert "2 rows were refused" in told[-1]


def test_a_row_that_is_no_candle_is_told_and_one_that_is_no_number_ends_it(tmp_path: Path) -> None:
    path = file(tmp_path / "binance-BTCUSDT-1m.csv", range(100))
    lines = path.read_text().splitlines()
    said: list[str] = []

    path.write_text("\n".join([*lines[:50], lines[50].replace(",109,", ",9,"), *lines[51:]]) + "\n")
    list(outputs_of([path], FlowSettings(), told=said.append))
    assert "1 rows were refused and are missing; the first: line 51" in said[-1]

    path.write_text("\n".join([*lines[:50], lines[50].replace(",109,", ",inf,"), *lines[51:]]) + "\n")
    with pytest.raises(DataError, match="line 51: high inf is not a number, in this and 0 more rows"):
        list(outputs_of([path], FlowSettings()))
