"""A row that can not be true is refused with file, place and reason; the others are imported."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.files.files import (
    MINUTE_MS,
    START_MS,
    candle_file,
    candle_lines,
    opened,
    taken,
    text_file,
    trade_file,
)
from tickcast.errors import DataError

CANDLES = [
    ("x,100,103,99,101,5", "time x is not a time"),
    (",100,103,99,101,5", "time is missing"),
    ("1700000040,100,103,99,101,abc", "volume abc is not a number"),
    ("1700000040,100,103,99,101,", "volume is missing"),
    ("1700000040,nan,103,99,101,5", "open nan is not a number"),
    ("1700000040,100,inf,99,101,5", "high inf is not a number"),
    ("1700000040,100,103,0,101,5", "low 0 is not above 0"),
    ("1700000040,100,103,99,-1,5", "close -1 is not above 0"),
    ("1700000040,100,98,99,101,5", "high 98 is below low 99"),
    ("1700000040,98,103,99,101,5", "open 98 is outside low 99 to high 103"),
    ("1700000040,100,103,99,104,5", "close 104 is outside low 99 to high 103"),
    ("1700000040,100,103,99,101,-5", "volume -5 is negative"),
    ("1000000080,100,103,99,101,5", "time 1000000080 is before 2009, when no coin was traded; is the time unit right?"),
    ("5000000040,100,103,99,101,5", "time 5000000040 is after 2100; is the time unit right?"),
    ("1700000041,100,103,99,101,5", "time 1700000041 is not on the 60-second grid"),
    ("1700000040,100,103,99,101", "has 5 fields where 6 were expected"),
    ("1700000040,100,103,99,101,5,6", "has 7 fields where 6 were expected"),
    ("1700000100,100,103,99,101.5,1.5", "the same time stands before with other values"),
]


@pytest.mark.parametrize(("line", "reason"), CANDLES)
def test_an_impossible_candle_is_named_and_its_neighbours_are_imported(tmp_path: Path, line: str, reason: str) -> None:
    good = candle_lines(4, start_ms=START_MS + MINUTE_MS)
    result = opened(candle_file(tmp_path, [*good[:2], line, *good[2:]]))

    columns = taken(result)

    assert [str(reject) for reject in result.rejects.first] == [f"rows.csv, line 4: {reason}"]
    assert columns["window_start_ms"].tolist() == [START_MS + at * MINUTE_MS for at in range(1, 5)]
    assert (result.rows, result.duplicates, result.rejects.count) == (4, 0, 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x,1700000041000,100,1,buy", "trade_id x is not a whole number"),
        ("-5,1700000041000,100,1,buy", "trade_id -5 is negative"),
        ("3,1700000041000,0,1,buy", "price 0 is not above 0"),
        ("3,1700000041000,100,-1,buy", "quantity -1 is negative"),
        ("3,1700000041000,100,1,left", "side left is not buy or sell"),
        ("3,1700000041000,100,1,", "side is missing"),
        ("2,1700000040002,100.5,1,buy", "the same trade id stands before with other values"),
    ],
)
def test_an_impossible_trade_is_named_and_its_neighbours_are_imported(tmp_path: Path, line: str, reason: str) -> None:
    path = trade_file(tmp_path, [(at, START_MS + at, 100.0, 1.0) for at in range(5)])
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    result = opened(path)

    assert taken(result)["trade_id"].tolist() == [0, 1, 2, 3, 4]
    assert [str(reject) for reject in result.rejects.first] == [f"rows.csv, line 7: {reason}"]


def test_equal_rows_are_kept_once_and_counted(tmp_path: Path) -> None:
    good = candle_lines(3)
    result = opened(candle_file(tmp_path, [*good, good[1], good[1]]))

    assert taken(result)["open"].tolist() == [100.0, 101.0, 102.0]
    assert (result.rows_read, result.rows, result.duplicates, result.rejects.count) == (5, 3, 2, 0)


def test_equal_trades_without_ids_are_different_trades(tmp_path: Path) -> None:
    """Kraken's files are stamped in seconds: two equal rows were two trades, and each gets an id of its own."""
    path = text_file(tmp_path, "1700000040,90.5,1.25\n1700000040,90.5,1.25\n1700000041,90.5,1.25\n")
    result = opened(path)

    columns = taken(result)

    assert columns["quantity"].tolist() == [1.25, 1.25, 1.25]
    assert (columns["trade_id"][1:] > columns["trade_id"][:-1]).all()
    assert columns["first_id"].tolist() == [-1, -1, -1]
    assert result.duplicates == 0


def test_made_ids_hold_the_time_the_place_and_eight_bits_of_the_values(tmp_path: Path) -> None:
    lines = "".join(f"1700000040,{90 + at},1\n" for at in range(20))
    ids = taken(opened(text_file(tmp_path, lines)))["trade_id"]

    micro, ordinal = ids >> 12, (ids >> 8) & 15
    assert micro.tolist() == [1_700_000_040_000_000] * 16 + [1_700_000_040_000_001] * 4
    assert ordinal.tolist() == [*range(16), *range(4)]
    assert len({*(ids & 255).tolist()}) > 5


def test_ids_that_do_not_follow_time_are_not_used(tmp_path: Path) -> None:
    path = trade_file(tmp_path, [(number, START_MS + at, 100.0, 1.0) for at, number in enumerate([5, 900, 17, 3, 44])])
    result = opened(path)

    columns = taken(result)

    assert columns["first_id"].tolist() == [-1] * 5
    assert (columns["trade_id"][1:] > columns["trade_id"][:-1]).all()
    assert "the trade ids do not follow time; ids were made from the times" in result.understood.notes


def test_rising_ids_with_holes_are_kept_and_prove_nothing(tmp_path: Path) -> None:
    path = trade_file(tmp_path, [(at * 7, START_MS + at, 100.0, 1.0) for at in range(5)])
    columns = taken(opened(path))

    assert columns["trade_id"].tolist() == [0, 7, 14, 21, 28]
    assert columns["first_id"].tolist() == [-1] * 5


def test_rows_of_a_binary_file_are_named_by_their_number(tmp_path: Path) -> None:
    table = pa.table({"time": [START_MS, START_MS + 1], "price": [100.0, -1.0], "quantity": [1.0, 1.0]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    result = opened(tmp_path / "t.parquet")

    taken(result)

    assert [str(reject) for reject in result.rejects.first] == ["t.parquet, row 2: price -1.0 is not above 0"]


def test_a_broken_line_of_json_is_named_by_its_line(tmp_path: Path) -> None:
    text = (
        f'{{"t":1,"p":"100","q":"1","T":{START_MS}}}\n\n{{"t":2,"p":\n{{"t":2,"p":"101","q":"1","T":{START_MS + 1}}}\n'
    )
    result = opened(text_file(tmp_path, text, "t.ndjson"))

    assert taken(result)["price"].tolist() == [100.0, 101.0]
    assert [str(reject) for reject in result.rejects.first] == ["t.ndjson, line 3: is not JSON"]


def test_an_open_quote_costs_one_row_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    good = candle_lines(4)
    result = opened(candle_file(tmp_path, [*good[:2], '1700000160,"100,103,99,101,5', *good[2:]]))

    assert len(taken(result)["open"]) == 4
    assert [reject.place for reject in result.rejects.first] == ["line 4"]


def test_all_refused_rows_are_written_down_and_the_first_ten_shown(tmp_path: Path) -> None:
    bad = [f"{START_MS + at * MINUTE_MS},100,103,99,101,-{at + 1}" for at in range(12)]
    kept = tmp_path / "out" / "rejects.csv"
    result = opened(candle_file(tmp_path, [*candle_lines(2, START_MS - 2 * MINUTE_MS), *bad]), rejects_path=kept)

    taken(result)

    with kept.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (result.rejects.count, len(result.rejects.first), len(rows)) == (12, 10, 12)
    assert rows[11]["place"] == "line 15"
    assert rows[11]["reason"] == "volume -12 is negative"
    assert rows[11]["row"] == f"{START_MS + 11 * MINUTE_MS},100,103,99,101,-12"
    assert dict(result.rejects.reasons) == {"volume {volume} is negative": 12}


def test_a_file_without_one_possible_row_is_an_error_that_shows_the_first_reason(tmp_path: Path) -> None:
    path = candle_file(tmp_path, [line.replace(",10", ",-10") for line in candle_lines(3)])

    with pytest.raises(DataError, match=r"no row that can be imported \(3 were refused, the first because open -100"):
        taken(opened(path))


def test_bars_of_zero_volume_are_kept(tmp_path: Path) -> None:
    lines = [f"{START_MS + at * MINUTE_MS},100,100,100,100,0" for at in range(3)]

    assert taken(opened(candle_file(tmp_path, lines)))["volume"].tolist() == [0.0, 0.0, 0.0]


def test_a_hole_between_candles_is_counted_and_not_filled(tmp_path: Path) -> None:
    good = candle_lines(10)
    result = opened(candle_file(tmp_path, [*good[:3], *good[6:]]))

    assert (len(taken(result)["open"]), result.missing) == (7, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([line for line, _ in CANDLES]), max_size=8), st.integers(64, 400), st.randoms())
def test_blocks_of_any_size_and_rows_in_any_order_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, bad: list[str], block_bytes: int, random: Random
) -> None:
    """How a file is cut for reading must not show in what is read."""
    lines = [*candle_lines(12), *bad]
    random.shuffle(lines)
    path = candle_file(tmp_path_factory.mktemp("any"), lines)

    whole, cut = opened(path, candle_seconds=60), opened(path, candle_seconds=60, block_bytes=block_bytes)
    one, other = taken(whole), taken(cut)

    names = ("window_start_ms", "open", "high", "low", "close", "volume")
    assert {name: one[name].tolist() for name in names} == {name: other[name].tolist() for name in names}
    assert (whole.rows, whole.duplicates, whole.rejects.count) == (cut.rows, cut.duplicates, cut.rejects.count)
    assert sorted(map(str, whole.rejects.first)) == sorted(map(str, cut.rejects.first))
