"""Real files of venues and of other people's tools, read without being told anything that they say themselves."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.sources.files.files import taken
from tickcast.errors import DataError
from tickcast.events import concat
from tickcast.sources.files.merge import merged
from tickcast.sources.files.reader import ReadResult, read_file
from tickcast.sources.files.result import ReadOptions

COUNTED = [  # file, market, rows, missing candles
    ("history/binance_1m_202104-05/ADA_USDT-1m.json.gz", "binance:ADAUSDT", 42_915, 284),
    ("history/binance_1m_202104-05/BTC_USDT-1m.json.gz", "binance:BTCUSDT", 42_915, 284),
    ("history/binance_1m_202104-05/DOGE_USDT-1m.json.gz", "binance:DOGEUSDT", 42_915, 284),
    ("history/binance_1m_202104-05/ETH_USDT-1m.json.gz", "binance:ETHUSDT", 42_915, 284),
    ("history/binance_1m_202104-05/LINK_USDT-1m.json.gz", "binance:LINKUSDT", 42_915, 284),
    ("history/binance_1m_202104-05/LTC_USDT-1m.json.gz", "binance:LTCUSDT", 42_916, 283),
    ("history/binance_1m_202104-05/XRP_USDT-1m.json.gz", "binance:XRPUSDT", 42_916, 283),
    ("history/binance_5m_2023/BTC_USDT-5m.feather", "binance:BTCUSDT", 104_816, 16),
    ("history/binance_5m_2023/ETH_USDT-5m.feather", "binance:ETHUSDT", 104_816, 16),
    ("history/btc_perp_1m_202201/btc-perp-20211231-20220201_1m.csv.gz", "ftx:BTC-PERP", 45_031, 0),
    ("history/coinbase_lean/minute/btcusd/20180404_trade.zip", "coinbase:BTC-USD", 1_007, 1),
    ("history/coinbase_lean/minute/btcusd/20180405_trade.zip", "coinbase:BTC-USD", 1_440, 0),
    ("history/coinbase_lean/minute/btcusd/20180406_trade.zip", "coinbase:BTC-USD", 1_440, 0),
    ("history/coinbase_lean/minute/ethusd/20180404_trade.zip", "coinbase:ETH-USD", 1_009, 4),
    ("history/coinbase_lean/minute/ethusd/20180405_trade.zip", "coinbase:ETH-USD", 1_440, 0),
    ("history/coinbase_lean/minute/ltcusd/20180404_trade.zip", "coinbase:LTC-USD", 1_008, 3),
    ("history/coinbase_lean/minute/ltcusd/20180405_trade.zip", "coinbase:LTC-USD", 1_439, 1),
    ("history/coinbase_lean/minute/ltcusd/20180406_trade.zip", "coinbase:LTC-USD", 1_440, 0),
    ("history/coinbase_lean/second/btcusd/20161007_trade.zip", "coinbase:BTC-USD", 4_063, 82_332),
    ("history/coinbase_lean/second/btcusd/20161008_trade.zip", "coinbase:BTC-USD", 3_453, 82_945),
    ("history/coinbase_lean/second/btcusd/20161009_trade.zip", "coinbase:BTC-USD", 4_004, 82_394),
    ("history/binance_futures_ticks_20200222/tardis_trades.csv", "binance-futures:BTCUSDT", 9_999, 0),
    ("history/binance_spot_ticks_20210108/binance-btcusdt-trades.parquet", "binance:BTCUSDT", 2_001, 0),
    ("history/kraken_ticks/kraken_BTCUSD_trades_20190701_00h.csv", "kraken:BTC/USD", 2_672, 0),
    ("history/kraken_ticks/kraken_official_BCHEUR_2023_incremental.csv", "kraken:BCH/EUR", 486, 0),
    ("rest/binance/aggTrades_XRPETH_201910_first_half.json.gz", "binance:XRPETH", 6_238, 0),
    ("rest/binance/data.binance.vision_spot-klines-BTCUSDT-1h-2024-10-28.zip", "binance:BTCUSDT", 24, 0),
    ("rest/kraken/OHLC_XXBTZUSD_20170811.json", "kraken:BTC/USD", 719, 0),
    ("rest/kraken/Trades_XBTUSDT_20251110.json", "kraken:BTC/USDT", 1_000, 0),
]
REFUSED = [
    ("history/binance_futures_ticks_20200222/tardis_quotes.csv", "holds best bids and asks"),
    ("history/binance_spot_ticks_20210108/binance-btcusdt-quotes.parquet", "holds best bids and asks"),
    ("history/coinbase_lean/minute/btcusd/20180404_quote.zip", "holds best bids and asks"),
    ("rest/kraken/Depth_BTC_20260707.json", "a Kraken answer, but not of Trades or OHLC"),
    ("rest/binance/depth_BTCUSDT_20260707.json", "is JSON without rows of trades or candles"),
    ("rest/binance/cryptofeed_exchangeInfo_20211012.txt.gz", "neither candles nor trades"),
]


def read(path: Path) -> ReadResult:
    perpetual = "perp" in path.name
    return read_file(path, options=ReadOptions(exchange="ftx", pair="BTC-PERP") if perpetual else ReadOptions())


@pytest.mark.parametrize(("name", "market", "rows", "missing"), COUNTED)
def test_every_row_of_a_real_file_is_imported(
    shared_data: Path, name: str, market: str, rows: int, missing: int
) -> None:
    result = read(shared_data / name)
    frames = list(result.frames())

    assert {frame.key for frame in frames} == {market}
    assert sum(len(frame) for frame in frames) == result.rows == rows
    assert (result.rejects.count, result.duplicates, result.missing) == (0, 0, missing)


@pytest.mark.parametrize(("name", "says"), REFUSED)
def test_a_real_file_of_something_else_is_refused_with_a_reason(shared_data: Path, name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(shared_data / name)


def test_no_file_of_history_was_forgotten(shared_data: Path) -> None:
    here = {str(path.relative_to(shared_data)) for path in (shared_data / "history").rglob("*") if path.is_file()}

    assert {name for name in here if not name.endswith("_quote.zip")} <= {row[0] for row in (*COUNTED, *REFUSED)}


def test_values_are_the_files_own_to_the_last_bit(shared_data: Path) -> None:
    path = shared_data / "history/binance_1m_202104-05/ETH_USDT-1m.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))

    columns = taken(read(path))

    names = ("window_start_ms", "open", "high", "low", "close", "volume")
    assert [list(row) for row in zip(*(columns[name].tolist() for name in names), strict=True)] == rows


def test_the_sides_and_stamps_of_a_tardis_file_are_its_own(shared_data: Path) -> None:
    path = shared_data / "history/binance_futures_ticks_20200222/tardis_trades.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))

    columns = taken(read(path))

    assert columns["trade_id"].tolist() == [int(row["id"]) for row in rows]
    assert columns["timestamp_ms"].tolist() == [int(row["timestamp"]) // 1000 for row in rows]
    assert columns["is_buyer_maker"].tolist() == [row["side"] == "sell" for row in rows]
    assert columns["price"].tolist() == [float(row["price"]) for row in rows]


def test_aggregates_of_binance_lie_end_to_end(shared_data: Path) -> None:
    columns = taken(read(shared_data / "rest/binance/aggTrades_XRPETH_201910_first_half.json.gz"))

    assert (columns["first_id"][1:] == columns["trade_id"][:-1] + 1).all()
    assert int((columns["trade_id"] - columns["first_id"] + 1).sum()) == 15380815 - 15373518 + 1


def test_krakens_answer_keeps_its_consecutive_ids_and_its_milliseconds(shared_data: Path) -> None:
    path = shared_data / "rest/kraken/Trades_XBTUSDT_20251110.json"
    rows = json.loads(path.read_bytes(), parse_float=str)["result"]["XBTUSDT"]

    columns = taken(read(path))

    assert columns["first_id"].tolist() == columns["trade_id"].tolist() == [row[6] for row in rows]
    assert columns["timestamp_ms"].tolist() == [int(row[2].replace(".", "").ljust(17, "0")[:13]) for row in rows]
    assert columns["is_buyer_maker"].tolist() == [row[3] == "s" for row in rows]


def test_three_days_of_bars_are_one_series(shared_data: Path) -> None:
    folder = shared_data / "history/coinbase_lean/minute/ltcusd"
    results = [read(folder / f"{day}_trade.zip") for day in (20180406, 20180404, 20180405)]

    columns = concat([frame.columns for frame in merged(results)])

    assert len(columns["open"]) == 1_008 + 1_439 + 1_440
    assert (np.diff(columns["window_start_ms"]) > 0).all()


def test_seconds_of_the_day_are_put_on_the_day_of_the_files_name(shared_data: Path) -> None:
    columns = taken(read(shared_data / "history/coinbase_lean/second/btcusd/20161007_trade.zip"))

    assert columns["window_start_ms"][0] == 1_475_798_404_000  # 2016-10-07 00:00:04
    assert {*(columns["window_end_ms"] - columns["window_start_ms"]).tolist()} == {1000}
