"""Bars of seconds make the bars of minutes that the trades would have made."""

from __future__ import annotations

import math
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.unit.candles.tape import MIDNIGHT_MS, Row, as_bytes, frame, in_one_process, joined, rows_of
from tests.unit.candles.test_properties import DECIMAL_UNITS, tapes
from tickcast.candles.rollup import roll_up
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.errors import DataError
from tickcast.events import CANDLES, COMPLETE, PARTIAL, REPAIRED, Columns

DAY_MS = 1_475_798_400_000
"""2016-10-07."""


def bar(start_s: int, close: float = 5.0, seconds: int = 20, **more: Any) -> Row:
    start = MIDNIGHT_MS + 1000 * start_s
    flat = dict.fromkeys(("open", "high", "low", "close"), close)
    row = {"candle_seconds": seconds, "window_start_ms": start, "window_end_ms": start + 1000 * seconds}
    return row | flat | {"volume": 1.0, "trade_count": 1, "known_at_ms": start + 1000 * seconds} | more


def rolled(*bars: Row, to: int = 60, quiet: bool = False) -> list[Row]:
    rows = rows_of(roll_up(CANDLES.rows(bars), to, absent_is_quiet=quiet))
    assert all(row["candle_seconds"] == to for row in rows)
    return rows


def test_three_bars_make_one() -> None:
    """
    0s    20s   40s   60s
    | 5-7 | 4-6 | 8-3 |
    """
    bars = [
        bar(0, open=5, high=7, low=5, close=7, volume=0.1),
        bar(20, open=4, high=6, low=4, close=6, volume=0.2),
        bar(40, open=8, high=8, low=3, close=3, volume=0.4, known_at_ms=MIDNIGHT_MS + 61_000),
    ]

    (row,) = rolled(*bars)

    assert (5, 8, 3, 3) == tuple(row[name] for name in ("open", "high", "low", "close"))
    assert (0.7, 3, MIDNIGHT_MS + 61_000) == (row["volume"], row["trade_count"], row["known_at_ms"])


def test_only_whole_windows_come_out() -> None:
    assert [] == rolled(bar(0), bar(40))
    (row,) = rolled(*(bar(second) for second in range(20, 160, 20)))
    assert MIDNIGHT_MS + 60_000 == row["window_start_ms"]


def test_where_absent_bars_are_quiet_the_empty_minutes_between_are_flat() -> None:
    rows = rolled(bar(0, 5.0), bar(20, 9.0, buy_volume=1.0), bar(200, 7.0), bar(240), quiet=True)

    assert [(0, 9.0, 2), (60, 9.0, 0), (120, 9.0, 0), (180, 7.0, 1)] == [
        ((row["window_start_ms"] - MIDNIGHT_MS) // 1000, row["close"], row["trade_count"]) for row in rows
    ]
    assert (9.0, 9.0, 0.0) == (rows[1]["open"], rows[2]["high"], rows[1]["volume"])


def test_a_flat_bar_has_no_say_in_the_prices_of_a_minute_with_trades() -> None:
    """A quiet second stands at the close before it, where nothing was traded."""
    quiet: dict[str, Any] = {"volume": 0.0, "trade_count": 0}

    (row,) = rolled(bar(0, 99.0, **quiet), bar(20, 5.0), bar(40, 6.0), bar(60, 98.0, **quiet), to=80)

    assert (5.0, 6.0, 5.0, 6.0) == tuple(row[name] for name in ("open", "high", "low", "close"))


def test_a_minute_of_flat_bars_is_flat() -> None:
    (row,) = rolled(*(bar(s, 7.0, volume=0.0, trade_count=0) for s in (0, 20, 40)))

    assert (7.0, 7.0, 0.0) == (row["open"], row["close"], row["volume"])


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((COMPLETE, COMPLETE, COMPLETE), COMPLETE),
        ((COMPLETE, REPAIRED, COMPLETE), REPAIRED),
        ((REPAIRED, COMPLETE, PARTIAL), PARTIAL),
    ],
)
def test_one_partial_part_makes_the_whole_partial(parts: tuple[int, int, int], whole: int) -> None:
    (row,) = rolled(*(bar(20 * k, quality=quality) for k, quality in enumerate(parts)))

    assert whole == row["quality"]


def test_of_several_revisions_the_highest_counts_wherever_it_stands() -> None:
    (row,) = rolled(bar(40), bar(20, 9.0, revision=1), bar(0), bar(20, 3.0))

    assert (9.0, 1) == (row["high"], row["revision"])


def test_unknown_sums_stay_unknown() -> None:
    (row,) = rolled(bar(0, quote_volume=1.0), bar(20), bar(40, quote_volume=1.0))

    assert (3.0, True) == (row["volume"], math.isnan(row["quote_volume"]))


def test_lengths_that_do_not_fit_are_refused_with_a_remedy() -> None:
    with pytest.raises(DataError, match="multiple"):
        rolled(bar(0), to=30)
    with pytest.raises(DataError, match="one length"):
        rolled(bar(0), bar(20, seconds=10))


def test_nothing_makes_nothing() -> None:
    assert as_bytes(CANDLES.empty()) == as_bytes(roll_up(CANDLES.empty(), 60))


@settings(max_examples=60, deadline=None)
@given(tapes(units=DECIMAL_UNITS))
def test_seconds_rolled_up_are_the_minutes_that_the_stage_makes(rows: list[Row]) -> None:
    frames = [frame(low=MIDNIGHT_MS), frame(*rows), frame(low=rows[-1]["timestamp_ms"] + 120_000)]
    columns = joined(in_one_process(lambda: Candles(FlowSettings((1, 60))), frames)[0])
    seconds, minutes = ({n: c[columns["candle_seconds"] == s] for n, c in columns.items()} for s in (1, 60))

    made = {row["window_start_ms"]: row for row in rows_of(roll_up(seconds, 60))}

    expected = {row["window_start_ms"]: row for row in rows_of(minutes) if row["window_start_ms"] in made}
    assert len(minutes["open"]) - 2 <= len(expected)
    for start, row in expected.items():
        sums = {name: made[start][name] for name in ("volume", "quote_volume", "buy_volume")}
        assert {name: row[name] for name in sums} == pytest.approx(sums, rel=3e-16)  # of 16 digits a double drops one
        assert row | sums | {"known_at_ms": 0} == made[start] | {"known_at_ms": 0}


def second_bars(shared_data: Path, day: str) -> tuple[Columns, list[tuple[int, list[Decimal]]]]:
    """Lean's bars: milliseconds since midnight, open, high, low, close, volume; only seconds with trades."""
    folder = shared_data / "history/coinbase_lean/second/btcusd"
    with zipfile.ZipFile(folder / f"{day}_trade.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    raw = [(int(cells[0]), [Decimal(cell) for cell in cells[1:]]) for cells in (line.split(",") for line in lines)]
    columns = CANDLES.rows(
        [
            {"candle_seconds": 1, "window_start_ms": DAY_MS + ms, "window_end_ms": DAY_MS + ms + 1000}
            | dict(zip(("open", "high", "low", "close", "volume"), map(float, values), strict=True))
            for ms, values in raw
        ]
    )
    return columns, raw


@pytest.mark.parametrize("day", ["20161007", "20161008", "20161009"])
@pytest.mark.parametrize("to_seconds", [60, 300, 3600])
def test_a_venue_s_second_bars_make_its_bars_to_the_last_digit(shared_data: Path, day: str, to_seconds: int) -> None:
    columns, raw = second_bars(shared_data, day)
    naive: dict[int, list[list[Decimal]]] = {}
    for ms, values in raw:
        naive.setdefault(ms // (1000 * to_seconds), []).append(values)

    made = rows_of(roll_up(columns, to_seconds, absent_is_quiet=True))
    rows = {(row["window_start_ms"] - DAY_MS) // (1000 * to_seconds): row for row in made}

    whole = [number for number in naive if min(naive) < number < max(naive)]
    assert set(range(min(whole), max(whole) + 1)) <= rows.keys()
    for number in whole:
        bars, row = naive[number], rows[number]
        expected = (bars[0][0], max(b[1] for b in bars), min(b[2] for b in bars), bars[-1][3], sum(b[4] for b in bars))
        assert tuple(map(float, expected)) == tuple(row[n] for n in ("open", "high", "low", "close", "volume"))


def test_columns_have_the_types_of_the_table() -> None:
    made = roll_up(CANDLES.rows([bar(0), bar(20), bar(40), bar(200), bar(260)]), 60, absent_is_quiet=True)

    assert {n: c.dtype for n, c in CANDLES.empty().items()} == {n: c.dtype for n, c in made.items()}
    assert np.all(np.diff(made["window_start_ms"]) == 60_000)
