"""Every format is told by what is in the file, and says what it was taken for."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.unit.sources.files.files import MINUTE_MS, START_MS, candle_file, candle_lines, opened, taken, text_file
from tickcast.errors import DataError
from tickcast.events import CANDLES, TRADES
from tickcast.sources.files.reader import read_file
from tickcast.sources.files.result import ReadOptions

ROWS: list[list[float]] = [
    [START_MS + at * MINUTE_MS, 100.5 + at, 103.0 + at, 99.0 + at, 101.0 + at, at + 0.25] for at in range(5)
]
NAMES = ["date", "open", "high", "low", "close", "volume"]
KLINE = "{start},100.0,103.0,99.0,101.0,5.5,{end},550.1,7,2.5,250.0,0"


def as_csv(folder: Path) -> Path:
    return text_file(folder, "\n".join([",".join(NAMES), *(",".join(map(str, row)) for row in ROWS)]))


def as_csv_without_header(folder: Path) -> Path:
    return text_file(folder, "\ufeff" + "\r\n".join(";".join(map(str, row)) for row in ROWS) + "\r\n")


def as_csv_in_gzip(folder: Path) -> Path:
    path = folder / "rows.csv.gz"
    path.write_bytes(gzip.compress(as_csv(folder).read_bytes()))
    return path


def as_csv_in_zip(folder: Path) -> Path:
    path = folder / "rows.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(as_csv(folder), "rows.csv")
    return path


def as_csv_with_a_preamble(folder: Path) -> Path:
    return text_file(folder, "\ufeffhttps://example.org\n" + as_csv(folder).read_text(encoding="utf-8"))


def as_quoted_csv(folder: Path) -> Path:
    rows: list[list[object]] = [[*NAMES], *[list[object](row) for row in ROWS]]
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    return text_file(folder, "\n".join(lines) + "\n\n\n")


def as_json_lists(folder: Path) -> Path:
    return text_file(folder, "\ufeff" + json.dumps(ROWS), "rows.json")


def as_json_objects(folder: Path) -> Path:
    return text_file(folder, json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS], indent=1), "rows.json")


def as_json_lines(folder: Path) -> Path:
    lines = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS]
    return text_file(folder, "\n".join(lines), "rows.ndjson")


def as_json_in_gzip(folder: Path) -> Path:
    path = folder / "rows.json.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    return path


def table() -> pa.Table:
    columns = {name: [row[at] for row in ROWS] for at, name in enumerate(NAMES)}
    columns["date"] = pa.array(np.array(columns["date"], "datetime64[ms]"))
    return pa.table(columns)


def as_parquet(folder: Path) -> Path:
    pyarrow.parquet.write_table(table(), folder / "rows.parquet", row_group_size=2)
    return folder / "rows.parquet"


def as_feather(folder: Path) -> Path:
    pyarrow.feather.write_feather(table(), str(folder / "rows.feather"), compression="lz4", chunksize=2)
    return folder / "rows.feather"


WAYS = [
    as_csv, as_csv_without_header, as_csv_in_gzip, as_csv_in_zip, as_csv_with_a_preamble, as_quoted_csv, as_json_lists,
    as_json_objects, as_json_lines, as_json_in_gzip, as_parquet, as_feather,
]  # fmt: skip


@pytest.mark.parametrize("write", WAYS)
def test_the_same_candles_come_out_of_every_format(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    result = opened(write(tmp_path))

    columns = taken(result)

    names = ("window_start_ms", "open", "high", "low", "close", "volume")
    assert [list(row) for row in zip(*(columns[name].tolist() for name in names), strict=True)] == ROWS
    assert result.understood.candle_seconds == 60
    assert (result.rows, result.rejects.count, result.duplicates) == (5, 0, 0)


def test_imported_candles_have_the_columns_of_candles_and_know_nothing_before_their_end(tmp_path: Path) -> None:
    (frame,) = opened(candle_file(tmp_path, candle_lines(3))).frames()

    assert {name: column.dtype for name, column in frame.columns.items()} == {
        name: column.dtype for name, column in CANDLES.empty().items()
    }
    assert (frame.kind, frame.key, frame.low_ms) == ("candles", "binance:BTCUSDT", START_MS + 3 * MINUTE_MS)
    assert frame.columns["known_at_ms"].tolist() == frame.columns["window_end_ms"].tolist()
    assert np.isnan(frame.columns["quote_volume"]).all()
    assert frame.columns["trade_count"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize("header", ["", "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
                                        "taker_buy_volume,taker_buy_quote_volume,ignore\n"])  # fmt: skip
def test_a_binance_klines_dump_is_read_with_and_without_header_in_ms_and_in_us(
    tmp_path: Path, scale: int, header: str
) -> None:
    lines = [
        KLINE.format(start=start * scale, end=(start + MINUTE_MS) * scale - 1)
        for start in (START_MS, START_MS + 5 * MINUTE_MS)  # the spacing would say five minutes: the ends tell
    ]
    path = tmp_path / "BTCUSDT-1m-2025-01-01.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1m-2025-01-01.csv", header + "\n".join(lines))

    result = read_file(path, options=ReadOptions(exchange="binance"))
    columns = taken(result)

    assert columns["window_start_ms"].tolist() == [START_MS, START_MS + 5 * MINUTE_MS]
    assert columns["window_end_ms"].tolist() == [START_MS + MINUTE_MS, START_MS + 6 * MINUTE_MS]
    assert columns["quote_volume"].tolist() == [550.1, 550.1]
    assert columns["buy_volume"].tolist() == [2.5, 2.5]
    assert columns["trade_count"].tolist() == [7, 7]
    assert (result.understood.pair, result.missing) == ("BTCUSDT", 4)


def test_a_binance_trades_dump_says_who_the_taker_was(tmp_path: Path) -> None:
    text = f"4000000007,100.5,0.2,20.1,{START_MS},True,True\n4000000008,100.6,0.1,10.06,{START_MS + 5},False,True\n"
    result = opened(text_file(tmp_path, text, "BTCUSDT-trades-2024-10-28.csv"))

    columns = taken(result)

    assert columns["trade_id"].tolist() == columns["first_id"].tolist() == [4000000007, 4000000008]
    assert columns["price"].tolist() == [100.5, 100.6]
    assert columns["quantity"].tolist() == [0.2, 0.1]
    assert columns["is_buyer_maker"].tolist() == [True, False]


def test_a_binance_aggregate_covers_its_ids_and_the_invalid_one_is_refused(tmp_path: Path) -> None:
    text = (
        f"11,100.5,0.2,500,502,{START_MS * 1000},true,true\n"
        f"12,0.0,0.0,-1,-1,{START_MS * 1000 + 7},true,true\n"
        f"13,100.6,0.1,503,503,{START_MS * 1000 + 1999},false,true\n"
    )
    result = opened(text_file(tmp_path, text))

    columns = taken(result)

    assert columns["first_id"].tolist() == [500, 503]
    assert columns["trade_id"].tolist() == [502, 503]
    assert columns["timestamp_ms"].tolist() == [START_MS, START_MS + 1]
    assert {name: column.dtype for name, column in columns.items()} == {
        name: column.dtype for name, column in TRADES.empty().items()
    }
    assert [str(reject) for reject in result.rejects.first] == ["rows.csv, line 2: price 0.0 is not above 0"]


def test_coinbase_candles_have_low_before_high_and_come_newest_first(tmp_path: Path) -> None:
    rows = [[START_MS // 1000 + 60, 99, 103, 100, 101, 5], [START_MS // 1000, 90, 110, 95, 100, 7]]
    columns = taken(opened(text_file(tmp_path, json.dumps(rows), "candles.json")))

    assert columns["window_start_ms"].tolist() == [START_MS, START_MS + MINUTE_MS]
    assert columns["low"].tolist() == [90.0, 99.0]
    assert columns["high"].tolist() == [110.0, 103.0]
    assert columns["open"].tolist() == [95.0, 100.0]


def test_the_candle_that_kraken_was_still_forming_is_left_out(tmp_path: Path) -> None:
    start = START_MS // 1000
    rows = [[start + at * 60, "100", "103", "99", "101", "100.5", "2.5", 3] for at in range(3)]
    answer = {"error": [], "result": {"XXBTZUSD": rows, "last": start + 60}}

    result = read_file(text_file(tmp_path, json.dumps(answer), "ohlc.json"))
    columns = taken(result)

    assert (result.understood.exchange, result.understood.pair) == ("kraken", "BTC/USD")
    assert columns["window_start_ms"].tolist() == [START_MS, START_MS + MINUTE_MS]
    assert columns["volume"].tolist() == [2.5, 2.5]
    assert result.uncommitted == 1


def test_coinbase_names_the_makers_side_in_its_own_answers(tmp_path: Path) -> None:
    trade = {"trade_id": "7", "product_id": "BTC-USD", "price": "100.5", "size": "1", "time": "2025-11-10T17:23:53Z"}
    lines = [json.dumps(trade | {"trade_id": at, "side": side}) for at, side in enumerate(["BUY", "SELL", "BUY"])]
    path = text_file(tmp_path, "\n".join(lines), "trades.ndjson")

    result = read_file(path, options=ReadOptions(exchange="coinbase", block_bytes=300))

    assert taken(result)["is_buyer_maker"].tolist() == [True, False, True]
    assert "maker_side=side" in str(result.understood)


def test_a_second_pair_is_found_however_late_it_comes(tmp_path: Path) -> None:
    lines = [f"{START_MS + at},{'ETHUSDT' if at == 50 else 'BTCUSDT'},{100 + at},1" for at in range(60)]
    path = text_file(tmp_path, "\n".join(["time,symbol,price,quantity", *lines]))

    with pytest.raises(DataError, match=r"several pairs \(BTCUSDT, ETHUSDT\); choose one with --pair"):
        taken(read_file(path, options=ReadOptions(exchange="binance", block_bytes=256)))


def test_columns_of_any_name_can_be_told_by_flags(tmp_path: Path) -> None:
    path = text_file(tmp_path, f"wann,was,wieviel\n{START_MS},100.5,2\n{START_MS + 1},100.6,3\n")

    result = opened(path, columns={"time": "wann", "price": "was", "quantity": "3"})

    assert taken(result)["quantity"].tolist() == [2.0, 3.0]
    assert "columns time=wann, price=was, quantity=wieviel" in str(result.understood)


def test_columns_without_names_can_be_told_by_their_places(tmp_path: Path) -> None:
    path = text_file(tmp_path, f"7,x,100.5,2,{START_MS}\n8,x,100.6,3,{START_MS + 1}\n")

    result = opened(path, columns={"time": "5", "price": "3", "quantity": "4", "trade_id": "1"})

    assert taken(result)["trade_id"].tolist() == [7, 8]


def test_a_file_of_several_pairs_needs_a_choice(tmp_path: Path) -> None:
    lines = [f"{START_MS + at},{'BTC/USDT' if at % 2 else 'ETH/USDT'},{100 + at},1" for at in range(6)]
    path = text_file(tmp_path, "\n".join(["time,symbol,price,quantity", *lines]))

    with pytest.raises(DataError, match=r"several pairs \(ETH/USDT, BTC/USDT\); choose one with --pair"):
        read_file(path, options=ReadOptions(exchange="binance"))
    result = opened(path, pair="BTCUSDT")
    assert taken(result)["price"].tolist() == [101.0, 103.0, 105.0]
    assert result.other_markets == 3
    with pytest.raises(DataError, match="has no row of XRPUSDT"):
        opened(path, pair="XRPUSDT")


def test_our_own_candles_keep_their_newest_revision_and_their_quality(tmp_path: Path) -> None:
    rows = [
        {"candle_seconds": 60, "window_start_ms": START_MS, "window_end_ms": START_MS + MINUTE_MS, "open": 1.0,
         "high": 1.0, "low": 1.0, "close": 1.0, "volume": volume, "quality": quality, "revision": revision}
        for revision, quality, volume in ((0, "partial", 1.0), (1, "repaired", 2.0))
    ]  # fmt: skip
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "candles.parquet")

    columns = taken(opened(tmp_path / "candles.parquet"))

    assert columns["volume"].tolist() == [2.0]
    assert columns["quality"].tolist() == [2]
    assert columns["revision"].tolist() == [0]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.csv", b"", "is empty, so there was nothing to read"),
        ("blank.csv", b"\n\n", "holds no text"),
        ("header.csv", b"time,open,high,low,close,volume\n", "has no rows"),
        ("words.txt", b"once upon a time\nthere was a coin\n", "without columns separated"),
        ("cut.json", b"[[1700000040000,1,1,1,1,1],[17000", "is not whole JSON"),
        ("other.json", b'{"bids":[],"asks":[]}', "is JSON without rows of trades or candles"),
        ("cut.csv.gz", gzip.compress(b"time,price,qty\n" * 1000, mtime=0)[:-9], "is cut short or damaged"),
        ("cut.parquet", b"PAR1 and no more", "is cut short or damaged"),
        ("cut.zip", b"PK\x03\x04 and no more", "is a damaged zip file"),
        ("old.feather", b"FEA1....", "is a Feather version 1 file"),
        ("bars.h5", b"\x89HDF\r\n", "is a HDF5 file; unpack or convert it"),
        ("noise.bin", bytes(range(256)), "is in a binary format that is not known"),
        ("wide.csv", "time,price".encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        ("half.csv", b"time,price,colour\n1700000040000,1,red\n", "neither candles nor trades"),
        ("novolume.csv", b"time,open,high,low,close\n1700000040000,1,1,1,1\n", "has no column for volume"),
        ("quotes.csv", b"time,bid,ask\n1700000040000,1,2\n", "holds best bids and asks"),
        ("one.csv", b"time,open,high,low,close,volume\n1700000040000,1,1,1,1,1\n", "does not tell how long"),
    ],
)
def test_what_can_not_be_read_is_one_sentence_with_the_file_and_a_remedy(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(DataError) as caught:
        taken(opened(path))

    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "; " in str(caught.value)


def test_a_directory_and_a_missing_file_are_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory, so nothing was read; name its files"):
        opened(tmp_path)
    with pytest.raises(DataError, match="does not exist; check the spelling"):
        opened(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"columns": {"time": "when"}}, "has no column when for time"),
        ({"columns": {"colour": "time"}}, "colour is not a column of candles"),
        ({"what": "ticks"}, "give candles or trades"),
        ({"time_unit": "h"}, "give one of s, ms, us, ns"),
        ({"candle_seconds": 7}, "give whole seconds that divide a day"),
    ],
)
def test_a_flag_that_can_not_be_is_refused_before_anything_is_read(
    tmp_path: Path, said: dict[str, object], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        opened(candle_file(tmp_path, candle_lines(3)), **said)


def test_a_file_that_does_not_say_its_market_asks_for_it(tmp_path: Path) -> None:
    path = candle_file(tmp_path, candle_lines(3))

    with pytest.raises(DataError, match="which exchange it is from; say it, for example --exchange binance"):
        read_file(path)
    with pytest.raises(DataError, match="which pair it is of; say it, for example --pair BTCUSDT"):
        read_file(path, options=ReadOptions(exchange="binance"))
