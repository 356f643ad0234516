"""Rows come out in the order of time, whatever order they stood in and however many files they stood in."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
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
from tickcast.events import concat
from tickcast.sources.files.merge import merged
from tickcast.sources.files.runs import Runs

DTYPE = np.dtype([("time_us", "i8"), ("place", "i8")])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8),
    st.integers(1, 9),
    st.integers(0, 30),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_runs_come_out_sorted_whole_and_with_equal_times_together(
    parts: list[list[int]], batch_rows: int, memory_rows: int, stops: list[int]
) -> None:
    """Memory for few rows or many, drained in one go or in several: always the same sorted rows."""
    runs, place = Runs(memory_rows), 0
    for times in parts:
        runs.add(np.array([(time, place + at) for at, time in enumerate(times)], DTYPE))
        place += len(times)

    batches = [batch for stop in sorted(stops) for batch in runs.drain(batch_rows, stop)]
    assert all(batch["time_us"][-1] < max(stops) for batch in batches)
    batches += runs.drain(batch_rows)

    numbered = sorted((time, at) for at, time in enumerate(time for times in parts for time in times))
    assert [(*row,) for batch in batches for row in batch.tolist()] == numbered
    seams = pairwise(batches)
    assert all(one["time_us"][-1] < other["time_us"][0] for one, other in seams)


def test_a_file_larger_than_memory_goes_through_in_small_batches(tmp_path: Path) -> None:
    rows = [(at, START_MS + at, 100.0, 1.0) for at in range(3000)]
    path = trade_file(tmp_path, [*rows[1500:], *rows[:1500]])

    frames = list(opened(path, block_bytes=4096, memory_rows=100, batch_rows=200, scratch_dir=tmp_path).frames())

    assert concat([frame.columns for frame in frames])["trade_id"].tolist() == list(range(3000))
    assert max(len(frame) for frame in frames) <= 200
    assert [frame.low_ms for frame in frames] == [int(frame.columns["timestamp_ms"][-1]) for frame in frames]


def test_files_given_in_any_order_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    lines = candle_lines(9)
    paths = [candle_file(tmp_path, lines[at : at + 3], f"{at}.csv") for at in (6, 0, 3)]

    columns = concat([frame.columns for frame in merged([opened(path) for path in paths])])

    assert columns["window_start_ms"].tolist() == [START_MS + at * MINUTE_MS for at in range(9)]


def test_what_stands_in_two_files_is_imported_once(tmp_path: Path) -> None:
    """
    one.csv  |0 1 2 3 4 5|
    two.csv        |3 4 5 6 7 8|     two.csv says 4 with another close
    """
    lines = candle_lines(9)
    one = opened(candle_file(tmp_path, lines[:6], "one.csv"))
    two = opened(candle_file(tmp_path, [lines[3], lines[4].replace(",105,", ",104,"), *lines[5:]], "two.csv"))

    columns = concat([frame.columns for frame in merged([two, one])])

    assert columns["close"].tolist() == [101.0 + at for at in range(9)]
    assert (one.rows, one.duplicates, two.rows, two.duplicates) == (6, 0, 3, 2)
    assert [str(reject) for reject in two.rejects.first] == [
        "two.csv, line 3: the same time stands before with other values"
    ]


def test_trades_without_ids_that_two_files_share_are_imported_once(tmp_path: Path) -> None:
    first = ["1700000040,90,1", "1700000041,91,1", "1700000041,91,1"]
    second = ["1700000041,91,1", "1700000041,91,1", "1700000041,91,1", "1700000042,92,1"]
    results = [opened(text_file(tmp_path, "\n".join(lines), f"{at}.csv")) for at, lines in enumerate((first, second))]

    columns = concat([frame.columns for frame in merged(results)])

    assert columns["price"].tolist() == [90.0, 91.0, 91.0, 91.0, 92.0]
    assert [result.duplicates for result in results] == [0, 2]


def test_between_two_files_of_trades_nothing_was_observed(tmp_path: Path) -> None:
    """Whether a trade is missing there, only consecutive ids can tell, so that stage is told since when."""
    one = trade_file(tmp_path, [(1, START_MS, 100.0, 1.0), (2, START_MS + 5, 100.0, 1.0)], "one.csv")
    two = trade_file(tmp_path, [(3, START_MS + 900, 100.0, 1.0), (4, START_MS + 905, 100.0, 1.0)], "two.csv")

    frames = list(merged([opened(one), opened(two)]))

    assert [(frame.blind_from_ms, frame.low_ms) for frame in frames] == [
        (0, START_MS + 5),
        (START_MS + 5, START_MS + 905),
    ]


def test_a_file_that_starts_in_the_middle_of_another_leaves_no_blind_time(tmp_path: Path) -> None:
    one = trade_file(tmp_path, [(1, START_MS, 100.0, 1.0), (4, START_MS + 50, 100.0, 1.0)], "one.csv")
    two = trade_file(tmp_path, [(2, START_MS + 10, 100.0, 1.0), (3, START_MS + 20, 100.0, 1.0)], "two.csv")

    frames = list(merged([opened(one), opened(two)]))

    assert concat([frame.columns for frame in frames])["trade_id"].tolist() == [1, 2, 3, 4]
    assert [frame.blind_from_ms for frame in frames if frame.blind_from_ms] == []


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_made_ids_do_not_depend_on_how_rows_are_batched(tmp_path: Path, batch_rows: int) -> None:
    micro = 1_700_000_040_000_000  # more than 16 of one microsecond: ids run on into the next
    path = text_file(tmp_path, "".join(f"{micro + at // 30},{90 + at},1\n" for at in range(100)))

    expected = taken(opened(path))["trade_id"].tolist()

    assert taken(opened(path, batch_rows=batch_rows, block_bytes=64))["trade_id"].tolist() == expected
    assert len({*expected}) == 100
