"""Quiet windows that a file leaves out are flat, as the candle stage makes them; long silence is not called quiet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.sources.files.files import MINUTE_MS, START_MS, candle_file, candle_lines, opened
from tickcast.candles.rollup import roll_up
from tickcast.events import Columns, concat
from tickcast.sources.files import quiet
from tickcast.sources.files.merge import merged
from tickcast.sources.files.quiet import fill_quiet
from tickcast.sources.files.reader import read_file
from tickcast.sources.files.result import ReadOptions


def filled(path: Path, **said: object) -> Columns:
    return concat([frame.columns for frame in fill_quiet(opened(path, **said).frames(), 60)])


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_a_hole_is_filled_with_the_close_before_it(
    tmp_path: Path, batch_rows: int, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "ROWS_AT_ONCE", rows_at_once)
    lines = candle_lines(9)

    columns = filled(candle_file(tmp_path, [*lines[:2], *lines[5:7], lines[8]]), batch_rows=batch_rows)

    assert columns["window_start_ms"].tolist() == [START_MS + at * MINUTE_MS for at in range(9)]
    assert columns["open"].tolist() == [100.0, 101.0, 102.0, 102.0, 102.0, 105.0, 106.0, 107.0, 108.0]
    assert columns["low"].tolist() == [99.0, 100.0, 102.0, 102.0, 102.0, 104.0, 105.0, 107.0, 107.0]
    assert columns["close"].tolist() == [101.0, 102.0, 102.0, 102.0, 102.0, 106.0, 107.0, 107.0, 109.0]
    assert columns["volume"].tolist() == [0.5, 1.5, 0.0, 0.0, 0.0, 5.5, 6.5, 0.0, 8.5]
    assert columns["known_at_ms"].tolist() == columns["window_end_ms"].tolist()


def test_a_day_without_any_candle_was_not_quiet(tmp_path: Path) -> None:
    day = 24 * 60
    lines = candle_lines(2) + candle_lines(2, START_MS + (day + 2) * MINUTE_MS)

    assert len(filled(candle_file(tmp_path, lines))["open"]) == 4
    lines = candle_lines(2) + candle_lines(2, START_MS + (day + 1) * MINUTE_MS)
    assert len(filled(candle_file(tmp_path, lines))["open"]) == day + 3


def test_how_long_silence_may_be_depends_on_who_says_that_it_is_quiet(tmp_path: Path) -> None:
    """The user's word is good for a day, a format's for an hour: its files may have been cut."""
    path = candle_file(tmp_path, candle_lines(2) + candle_lines(2, START_MS + 62 * MINUTE_MS))

    assert [opened(path).quiet_ms, opened(path, quiet_gaps=True).quiet_ms] == [0, 86_400_000]
    assert len(concat([frame.columns for frame in fill_quiet(opened(path).frames(), 60, 3_600_000)])["open"]) == 4
    assert len(filled(path)["open"]) == 64


def test_filled_seconds_make_the_minutes_that_sparse_ones_make(shared_data: Path) -> None:
    """Two roads to one number: fill and fold every second, or fold with the knowledge that absence is quiet."""
    folder = shared_data / "history/coinbase_lean/second/btcusd"
    paths = [folder / f"2016100{day}_trade.zip" for day in (7, 8, 9)]
    sparse = [read_file(path) for path in paths]
    small = [read_file(path, options=ReadOptions(batch_rows=500)) for path in paths]
    assert all(result.quiet_ms == 3_600_000 for result in sparse)

    expected = roll_up(concat([frame.columns for frame in merged(sparse)]), 60, absent_is_quiet=True)
    made = roll_up(concat([frame.columns for frame in fill_quiet(merged(small), 1)]), 60)

    assert len(made["open"]) > 4_000
    for name, column in expected.items():
        np.testing.assert_array_equal(made[name], column, name)
