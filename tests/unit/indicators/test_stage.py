"""Candles in, rows of indicators out: live, in bulk, late, doubled, and after forgetting everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.indicators.market import (
    DAY_MS,
    MONDAY_MS,
    Run,
    bits,
    candles,
    cut,
    final,
    forgetting_everything,
    frame,
    in_one_process,
    real_candles,
    said,
    walk,
)  # fmt: skip
from tickcast.config import FlowSettings
from tickcast.errors import SnapshotError
from tickcast.events import INDICATORS, Columns, concat
from tickcast.indicators.stage import Indicators

HOUR_MS = 3_600_000
EXTRAS = ("ADX:14", "STOCH:5:3:3", "CDLDOJI", "MFI:14", "HT_TRENDMODE")
ANCHORED = ("sma_7", "sma_21", "ema_26", "rsi_14", "macd", "macd_signal", "macd_histogram", "bollinger_upper", "atr_14")


@pytest.fixture(params=[in_one_process, forgetting_everything])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def one_by_one(columns: Columns) -> list[Columns]:
    return cut(columns, range(1, len(columns["volume"])))


def test_the_columns_are_the_tables_then_the_configured_ones() -> None:
    rows = Run(in_one_process, "ADX:14")(candles(walk(1, MONDAY_MS)))

    assert [*INDICATORS.columns, "adx_14"] == list(rows)
    assert {name: np.dtype(kind) for name, kind in INDICATORS.columns.items()} == {
        name: rows[name].dtype for name in INDICATORS.columns
    }


def test_one_by_one_and_all_at_once_give_the_same_bits_on_real_candles(shared_data: Path) -> None:
    month = {name: column[: 9 * 1440] for name, column in real_candles(shared_data).items()}

    assert bits(Run(in_one_process, *EXTRAS)(*one_by_one(month))) == bits(Run(in_one_process, *EXTRAS)(month))


def test_every_function_of_ta_lib_is_the_same_live_and_in_bulk(shared_data: Path) -> None:
    two_series = {"ADD", "SUB", "MULT", "DIV", "BETA", "CORREL", "MAVP"}
    listed: Any = talib
    names = [name for name in listed.get_functions() if name not in two_series]
    days = {name: column[3000:6000] for name, column in real_candles(shared_data, "ETH").items()}
    live, bulk = Run(in_one_process, *names)(*one_by_one(days)), Run(in_one_process, *names)(days)

    assert len(names) > 180
    assert [] == [name for name in bulk if live[name].tobytes() != bulk[name].tobytes()]


@pytest.mark.parametrize("coin", ["BTC", "DOGE"])
def test_where_the_anchor_is_full_the_values_are_ta_libs_over_all_of_history(shared_data: Path, coin: str) -> None:
    month = real_candles(shared_data, coin)
    rows = Run(in_one_process)(month)
    close, high, low = month["close"], month["high"], month["low"]
    macd, signal, _ = talib.MACD(close)
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    expected = {
        "sma_7": talib.SMA(close, 7), "sma_14": talib.SMA(close, 14), "sma_21": talib.SMA(close, 21),
        "ema_12": talib.EMA(close, 12), "ema_26": talib.EMA(close, 26), "rsi_14": talib.RSI(close, 14),
        "bollinger_upper": upper, "bollinger_lower": lower, "atr_14": talib.ATR(high, low, close, 14),
    }  # fmt: skip
    full = rows["window_start_ms"] >= MONDAY_MS + 3 * DAY_MS

    assert full.sum() > 28 * 1440
    for name, values in expected.items():
        np.testing.assert_allclose(rows[name][full], values[full], rtol=1e-9, err_msg=name)
    for name, values in {"macd": macd, "macd_signal": signal}.items():  # differences of prices: near 0 they cancel
        np.testing.assert_allclose(rows[name][full], values[full], rtol=1e-9, atol=close.max() * 1e-9, err_msg=name)


def test_obv_and_vwap_start_at_midnight(shared_data: Path) -> None:
    month = real_candles(shared_data)
    rows = Run(in_one_process)(month)
    day = np.flatnonzero(month["window_start_ms"] // DAY_MS == MONDAY_MS // DAY_MS + 3)
    one = {name: column[day] for name, column in month.items()}
    typical = (one["high"] + one["low"] + one["close"]) / 3.0

    np.testing.assert_allclose(rows["obv"][day], talib.OBV(one["close"], one["volume"]), rtol=1e-12)
    np.testing.assert_allclose(rows["vwap"][day][-1], (typical * one["volume"]).sum() / one["volume"].sum(), rtol=1e-9)
    assert rows["obv"][day[0]] == one["volume"][0]


def test_a_stage_started_later_gives_the_same_bits_once_an_anchor_is_full(shared_data: Path) -> None:
    """
    long:  20:42--|-- 21 April --|-- 22 April --|--
    short:               15:22 --|--------------|--     519 candles before the first midnight
    """
    month = real_candles(shared_data)
    long, short = cut(month, [5 * 1440])[0], cut(month, [1119, 5 * 1440])[1]
    rows_long, rows_short = Run(in_one_process, *EXTRAS)(long), Run(in_one_process, *EXTRAS)(*one_by_one(short))
    first = MONDAY_MS + 3 * DAY_MS

    assert [row for row in bits(rows_long) if row[1] >= first] == [row for row in bits(rows_short) if row[1] >= first]


def test_without_five_hundred_and_twelve_candles_before_midnight_a_day_is_null(run: Run) -> None:
    rows = run(*one_by_one(candles(walk(511 + 24, MONDAY_MS + DAY_MS - 511 * HOUR_MS), 3600)))

    assert all(np.isnan(rows[name]).all() for name in ANCHORED)
    assert not np.isnan(rows["obv"][-24:]).any()


def test_with_five_hundred_and_twelve_candles_before_midnight_a_day_has_all_values(run: Run) -> None:
    rows = run(*one_by_one(candles(walk(512 + 24, MONDAY_MS + DAY_MS - 512 * HOUR_MS), 3600)))

    assert all(np.isnan(rows[name][:512]).all() and not np.isnan(rows[name][512:]).any() for name in ANCHORED)


def test_a_day_that_is_not_known_from_its_midnight_has_no_obv_and_no_vwap(run: Run) -> None:
    rows = run(*one_by_one(candles(walk(24, MONDAY_MS + 5 * HOUR_MS), 3600)))

    assert np.isnan(rows["obv"][:19]).all()
    assert np.isnan(rows["vwap"][:19]).all()
    assert not np.isnan(rows["obv"][19:]).any()


def test_vwap_is_null_until_something_was_traded(run: Run) -> None:
    market = walk(4, MONDAY_MS)
    market[:, 5] = [0.0, 0.0, 2.0, 0.0]
    vwap = run(*one_by_one(candles(market, 3600)))["vwap"]

    assert np.isnan(vwap[:2]).all()
    assert vwap[2] == vwap[3] == market[2, 2:5].sum() / 3.0 * 2.0 / 2.0


def test_a_row_has_its_candles_quality_and_time_of_knowledge(run: Run) -> None:
    one = candles(walk(1, MONDAY_MS), 3600, revision=3, quality=2)
    one["known_at_ms"][:] += 7
    rows = run(one)

    assert [(2, MONDAY_MS + HOUR_MS + 7, 0, 3.0)] == said(rows, "quality", "known_at_ms", "revision", "candle_revision")


def test_candles_of_several_lengths_keep_their_order_and_do_not_meet(run: Run) -> None:
    minutes, hours = candles(walk(40, MONDAY_MS, 60), 60), candles(walk(3, MONDAY_MS, 3600, seed=2), 3600)
    order = np.argsort(np.concatenate([minutes["window_end_ms"], hours["window_end_ms"]]), kind="stable")
    both = {name: column[order] for name, column in concat([minutes, hours]).items()}
    rows, alone = run(both), Run(in_one_process)

    assert both["candle_seconds"].tolist() == rows["candle_seconds"].tolist()
    assert both["window_start_ms"].tolist() == rows["window_start_ms"].tolist()
    assert bits(alone(hours)) == [row for row in bits(rows) if row[0] == 3600]


# --- candles that change the past ------------------------------------------------------------------------------------

START_MS = MONDAY_MS - 540 * HOUR_MS
HOURS = walk(600, START_MS)


def hours(*places: int, revision: int = 0, add: float = 0.0, known_ms: int = 0) -> Columns:
    rows = HOURS[list(places)]
    rows[:, 2:5] += add
    found = candles(rows, 3600, revision=revision)
    if known_ms:
        found["known_at_ms"][:] = known_ms
    return found


def test_a_late_candle_reissues_its_row_and_every_later_one_that_it_changes(run: Run) -> None:
    """
    hours of the day:  0 ... 10  11  12  13
                             ^ comes again, otherwise
    """
    first = run(hours(*range(554)))
    again = run(hours(550, revision=1, add=2.0, known_ms=99))

    assert [(START_MS + place * HOUR_MS, 1) for place in (550, 551, 552, 553)] == said(
        again, "window_start_ms", "revision"
    )
    assert [1.0, 0.0, 0.0, 0.0] == again["candle_revision"].tolist()
    assert first["known_at_ms"][-4:].tolist() == again["known_at_ms"].tolist()


def test_a_row_is_not_known_before_the_candle_that_changed_it(run: Run) -> None:
    run(hours(*range(554)))
    late_ms = START_MS + 600 * HOUR_MS
    again = run(hours(550, revision=1, add=2.0, known_ms=late_ms))

    assert [late_ms] * 4 == again["known_at_ms"].tolist()


def test_rows_after_a_late_candle_are_as_if_it_had_been_right_at_once(run: Run) -> None:
    right = concat([hours(*range(550)), hours(550, add=2.0), hours(*range(551, 600))])
    corrected = run(hours(*range(580)), hours(550, revision=1, add=2.0), *one_by_one(hours(*range(580, 600))))

    expected = final(Run(in_one_process)(right))
    assert {key: row for key, row in expected.items() if key[1] >= START_MS + 580 * HOUR_MS}.items() <= final(
        corrected
    ).items()


def test_a_late_candle_of_yesterday_changes_today_too(run: Run) -> None:
    run(hours(*range(570)))
    again = run(hours(560, revision=1, add=2.0))
    issued = [(start - START_MS) // HOUR_MS for start in again["window_start_ms"].tolist()]

    assert [560, 561, 562, 563, 564] == issued[:5]
    assert 569 in issued


def test_a_revision_that_changes_nothing_but_quality_reissues_its_row_alone(run: Run) -> None:
    run(hours(*range(554)))
    repaired = hours(550, revision=1)
    repaired["quality"][:] = 2

    assert [(START_MS + 550 * HOUR_MS, 1, 2)] == said(run(repaired), "window_start_ms", "revision", "quality")


def test_the_same_candle_again_changes_nothing(run: Run) -> None:
    run(hours(*range(554)), hours(550, revision=1, add=2.0))

    assert {} == run(hours(553), hours(550, revision=1, add=2.0), hours(550))
    assert {"repeated": 3} == run.counts


def test_another_candle_under_a_known_revision_is_refused_and_counted(run: Run) -> None:
    run(hours(*range(554)))

    assert {} == run(hours(553, add=1.0))
    assert {"contradicted": 1} == run.counts


def test_a_candle_that_is_no_number_is_refused_and_counted(run: Run) -> None:
    broken = concat([hours(0), hours(1, add=np.nan), hours(2, add=np.inf), hours(3)])
    bulk = concat([broken, hours(*range(4, 40))])

    assert [0, 3] == [(start - START_MS) // HOUR_MS for start in run(broken)["window_start_ms"].tolist()]
    assert 38 == len(Run(in_one_process)(bulk)["close"])
    assert {"unreadable": 2} == run.counts


def test_a_candle_from_before_the_ring_is_refused_and_counted(run: Run) -> None:
    """Newest is hour 599; rows from the midnight at hour 540 on can be issued again, and stand on hours 28 to 539."""
    run(hours(*range(600)))

    assert {} == run(hours(27, revision=1, add=2.0), hours(3, revision=1))
    assert {"too_old": 2} == run.counts
    assert 0 < len(run(hours(28, revision=1, add=2.0))["close"])


def test_a_candle_of_an_anchor_alone_changes_the_days_that_stand_on_it(run: Run) -> None:
    run(hours(*range(600)))
    again = run(hours(539, revision=1, add=2.0))

    assert START_MS + 540 * HOUR_MS == again["window_start_ms"][0]
    assert {"anchor_only": 1} == run.counts


def test_history_that_comes_afterwards_fills_the_day(run: Run) -> None:
    """
    live:                     |..21 22|
    then:  |--- 560 hours ---|
    """
    live = run(*one_by_one(hours(*range(561, 563))))
    rows = run(hours(*range(540, 561)), hours(*range(20, 540)))

    assert np.isnan(live["rsi_14"]).all()
    today = {key: row for key, row in final(Run(in_one_process)(hours(*range(20, 563)))).items() if key[1] >= MONDAY_MS}
    assert today.items() <= final(concat([live, rows])).items()


def test_a_candle_that_fills_a_hole_is_put_in_its_place(run: Run) -> None:
    run(hours(*range(550)), hours(*range(551, 554)))
    rows = run(hours(550))

    assert [(550, 0), (551, 1), (552, 1), (553, 1)] == [
        ((start - START_MS) // HOUR_MS, revision) for start, revision in said(rows, "window_start_ms", "revision")
    ]
    assert bits(Run(in_one_process)(hours(*range(555))))[-1] == bits(run(hours(554)))[0]


def test_long_candles_can_be_late_as_long_as_the_candle_stage_reissues_them(run: Run) -> None:
    days = candles(walk(600, MONDAY_MS - 600 * DAY_MS, 86_400), 86_400)
    late = {name: column[570:571].copy() for name, column in days.items()}
    late["close"][:] += 0.125
    late["revision"][:] = 1
    rows = run(days, late)

    assert MONDAY_MS - 30 * DAY_MS == rows["window_start_ms"][600]
    assert rows["rsi_14"][600] != rows["rsi_14"][570]


# --- cuts and restarts -----------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> Columns:
    """Hours in order, in holes, again, late and out of order, around midnights."""
    newest, pieces = 540, []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["next", "next", "run", "late", "hole", "old"]))
        if kind in ("next", "run", "hole"):
            newest = min(newest + (3 if kind == "hole" else 1), 560)
            stop = min(newest + (draw(st.integers(18, 38)) if kind == "run" else 1), 599)
            pieces.append(hours(*range(newest, stop)))
            newest = stop - 1
        else:
            place = draw(st.integers(max(newest - 40, 0), newest) if kind == "late" else st.integers(0, newest))
            pieces.append(hours(place, revision=draw(st.integers(0, 2)), add=draw(st.sampled_from([0.0, 0.5, -0.5]))))
    return concat(pieces)


@pytest.fixture(scope="module")
def prepared() -> bytes:
    run = Run(in_one_process, "MFI:14")
    run(hours(*range(5, 540)))
    return run.stage.snapshot(run.state)


@settings(max_examples=60, deadline=None)
@given(history=histories(), data=st.data())
def test_no_cut_and_no_restart_changes_a_bit(prepared: bytes, history: Columns, data: st.DataObject) -> None:
    edges = sorted(data.draw(st.lists(st.integers(0, len(history["volume"])), max_size=6)))
    whole, parts, single = (Run(how, "MFI:14") for how in (in_one_process, forgetting_everything, in_one_process))
    for one in (whole, parts, single):
        one.state = one.stage.restore(prepared)
    expected = bits(whole(history)) if len(history["volume"]) else []

    assert expected == bits(parts(*cut(history, edges)))
    assert expected == bits(single(*one_by_one(history)))
    assert whole.counts == parts.counts == single.counts
    snapshots = {one.stage.snapshot(one.state) for one in (whole, parts, single)}
    assert 1 == len(snapshots)


@settings(max_examples=25, deadline=None)
@given(history=histories())
def test_the_last_word_on_each_window_is_what_the_last_candles_alone_would_give(
    prepared: bytes, history: Columns
) -> None:
    run, known = Run(in_one_process, "MFI:14"), dict[int, tuple[int, Columns]]()
    run.state = run.stage.restore(prepared)
    first = hours(*range(5, 540))
    rows = run(history)
    for one in [*one_by_one(first), *one_by_one(history)]:
        start, revision = int(one["window_start_ms"][0]), int(one["revision"][0])
        if start not in known or revision > known[start][0]:
            known[start] = (revision, one)
    newest = max(known)
    floor = (newest // DAY_MS * DAY_MS - 32 * HOUR_MS) // DAY_MS * DAY_MS
    straight = Run(in_one_process, "MFI:14")(concat([known[start][1] for start in sorted(known)]))
    expected = {key: row for key, row in final(straight).items() if key[1] >= floor}

    assert expected.items() <= (final(Run(in_one_process, "MFI:14")(first)) | final(rows)).items()


@settings(max_examples=40, deadline=None)
@given(places=st.lists(st.integers(470, 575), min_size=1, max_size=40, unique=True), reach=st.integers(540, 570))
def test_history_issues_each_row_once_and_ends_as_candle_by_candle(
    prepared: bytes, places: list[int], reach: int
) -> None:
    """Changed candles of the past and new ones behind them, in one frame of fetched history."""
    one_frame, single = Run(in_one_process, "MFI:14"), Run(in_one_process, "MFI:14")
    live = hours(*range(540, reach))
    fetched = concat([hours(place, revision=7, add=place % 3 - 0.5) for place in sorted(places)])
    for run in (one_frame, single):
        run.state = run.stage.restore(prepared)
    before = [run(live) for run in (one_frame, single)]

    whole = one_frame.stage.step(one_frame.state, frame(fetched, whole_from_ms=1))
    rows = concat([one.columns for one in whole])
    apart = single(*one_by_one(fetched))

    starts = rows["window_start_ms"].tolist()
    assert len(set(starts)) == len(starts)
    first = Run(in_one_process, "MFI:14")(hours(*range(5, 540)))
    expected = final(first) | final(before[1]) | final(apart)
    # one by one, a row may have changed and changed back
    assert expected == final(first) | final(before[0]) | final(rows)


def test_restarted_and_running_stages_have_the_same_snapshot() -> None:
    straight, restarted = Run(in_one_process), Run(forgetting_everything)
    for one in (straight, restarted):
        one(*one_by_one(hours(*range(580))))

    assert straight.stage.snapshot(straight.state) == restarted.stage.snapshot(restarted.state)


def test_two_days_of_minutes_are_a_small_snapshot(shared_data: Path) -> None:
    run = Run(in_one_process)
    month = real_candles(shared_data)
    run({name: column[month["window_start_ms"] < MONDAY_MS + 5 * DAY_MS] for name, column in month.items()})
    state: Any = run.state

    assert 512 + 2 * 1440 == len(state.tracks[60].ring)
    assert len(run.stage.snapshot(state)) < 50 * len(state.tracks[60].ring)


def test_a_snapshot_of_another_version_is_refused() -> None:
    class Later(Indicators):
        version = 99

    later = Later(FlowSettings())

    with pytest.raises(SnapshotError):
        later.restore(Indicators(FlowSettings()).snapshot(Indicators(FlowSettings()).new()))
