"""What the rows hold of the past, through the whole stage: held when they come again, the same however it came in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.streams import (
    HOURS,
    START_MS,
    Run,
    bits,
    candle,
    forgetting_everything,
    in_one_process,
    indicators_of,
    ticks,
)
from tests.unit.indicators.market import candles, cut, real_candles, walk
from tickcast.config import FlowSettings
from tickcast.errors import SnapshotError
from tickcast.events import INDICATORS, TICKS, Columns, Frame, concat
from tickcast.features.names import MEMORY, RELATIVE, TRAILING
from tickcast.features.relative import Layout, relate
from tickcast.features.stage import Features
from tickcast.indicators.values import DESIGN

HOUR_MS = 3_600_000


def hours() -> dict[str, Columns]:
    """Candles of an hour, some of them partial, one left out, one issued late, some again; their indicators; ticks."""
    made = [candle(place, 3600, quality=int(place in (4, 11)), buy_volume=0.25) for place in range(30)]
    late = made.pop(17)
    for after, place in ((28, 27), (25, 3), (25, 24), (20, 4), (9, 8), (5, 0)):
        made.insert(after, candle(place, 3600, revision=1, add=place / 8 + 0.5))
    made.insert(22, late)
    rows = concat(indicators_of(made))
    return {
        "candles": concat(made),
        "technical_indicators": rows,
        "ticks_features": ticks(*range(500, 31 * HOUR_MS, 1_700_000)),
    }


STREAMS = hours()


def joined(pieces: list[tuple[str, Columns]], run: Run) -> Columns:
    rows = concat([columns for kind, one in pieces if (columns := run.feed(kind, one))])
    rows["feature_set"] = np.zeros(len(rows["close"]))
    return rows


EXPECTED = joined(list(STREAMS.items()), Run(settings=HOURS))


def revisions_of(place: int) -> list[dict[str, float]]:
    """The rows of one window, in the order of their revisions."""
    at = np.flatnonzero(EXPECTED["timestamp_ms"] == START_MS + (place + 1) * HOUR_MS)
    return [{name: float(column[one]) for name, column in EXPECTED.items()} for one in at.tolist()]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_streams_in_any_interleaving_cut_anyhow_are_remembered_the_same(data: st.DataObject) -> None:
    left = {}
    for kind, whole in STREAMS.items():
        count = len(next(iter(whole.values())))
        edges = sorted(data.draw(st.lists(st.integers(0, count), max_size=8)))
        left[kind] = cut(whole | {"volume": next(iter(whole.values()))} if "volume" not in whole else whole, edges)
    order = data.draw(st.permutations([kind for kind, parts in left.items() for _ in parts]))
    pieces = [(kind, left[kind].pop(0)) for kind in order]
    step = data.draw(st.sampled_from([in_one_process, forgetting_everything]))

    assert bits(EXPECTED) == bits(joined(pieces, Run(step, HOURS)))


def test_a_row_that_comes_again_has_the_threshold_it_had_and_reads_its_candles_anew() -> None:
    first, again = revisions_of(24)

    assert (0, 1) == (first["revision"], again["revision"])
    assert [first[name] for name in TRAILING] == [again[name] for name in TRAILING]
    assert math.isfinite(first["spike_threshold"] + first["log_tod"])
    assert first["log_rv_1"] != again["log_rv_1"]
    expected = again["log_rv_5"] - math.log(first["spike_threshold"] / math.sqrt(2) + 1e-5)
    assert expected == pytest.approx(again["rel_rv_5"], rel=1e-12)


def test_a_row_that_was_seen_in_part_and_then_repaired_is_known_from_then_on() -> None:
    first, again = revisions_of(4)

    assert (True, False) == (math.isnan(first["return_1"]), math.isnan(again["return_1"]))
    assert math.isnan(again["spike_threshold"]) == math.isnan(first["spike_threshold"])


def test_a_row_first_issued_after_later_ones_has_neither_threshold_nor_time_of_day() -> None:
    (late,) = revisions_of(17)

    assert all(math.isnan(late[name]) for name in (*TRAILING, "log_threshold", "rel_rv_1"))
    assert math.isfinite(late["return_1"])


def test_what_is_relative_follows_from_the_row() -> None:
    for row in [*revisions_of(29), *revisions_of(24)]:
        close, names = row["close"], {"sma_7", "sma_21", "ema_12", "ema_26", "vwap"}
        expected = {f"{name}_rel": math.log(close / row[name]) for name in names if math.isfinite(row[name])}
        expected |= {f"{name}_rel": row[name] / close for name in ("macd", "macd_signal", "macd_histogram", "atr_14")}
        expected["close_place"] = (close - row["low"]) / (row["high"] - row["low"])
        expected["spread_rel"] = row["spread"] / row["midprice"]
        expected["log_threshold"] = math.log(row["spike_threshold"] + 1e-6)
        assert expected == pytest.approx({name: row[name] for name in expected}, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("first", [0.0, -1.0, math.nan, math.inf, 5e-324, 1e308])
@pytest.mark.parametrize("other", [0.0, -1.0, math.nan, math.inf, 5e-324, -1e308])
def test_what_is_relative_is_never_infinite(first: float, other: float) -> None:
    stage = Features(HOURS)
    layout = Layout.of(stage.names)
    for swap in (False, True):
        values = np.full((layout.rows, 1), other if swap else first)
        values[::2] = first if swap else other
        relate(values, layout.operations, 1.0)
        found = values[[stage.names.index(name) for name in RELATIVE]]
        assert not np.isinf(found).any()


def test_settings_of_the_threshold_that_a_snapshot_was_not_made_with_are_refused() -> None:
    run = Run(settings=HOURS)
    other = Features(FlowSettings(candle_seconds=(3600,), spike_days=2, volatility_seconds=7200))

    with pytest.raises(SnapshotError, match=r"written with percentile 0\.9, days 1, volatility_seconds 7200"):
        other.restore(run.stage.snapshot(run.state))


@pytest.mark.parametrize(("place", "minute"), [(0, 1), (6, 7), (58, 59), (59, 0)])
def test_the_minute_is_that_of_the_windows_end(place: int, minute: int) -> None:
    run = Run()
    run.candles(candle(place))
    rows = run.ticks(low_ms=HOUR_MS)
    angle = math.tau * minute / 60
    names = ("minute_sin", "minute_cos", "minute_5", "minute_15")

    assert [math.sin(angle), math.cos(angle), minute % 5, minute % 15] == pytest.approx(
        [rows[name][0] for name in names]
    )


def rows_of(bars: Columns, seconds: int = 60) -> Columns:
    """Rows for candles with indicators that hold nothing."""
    count = len(bars["close"])
    rows: dict[str, Any] = INDICATORS.rows([{}] * count)
    for name in ("candle_seconds", "window_start_ms", "window_end_ms", "known_at_ms"):
        rows[name] = bars[name]
    stage = Features(FlowSettings(candle_seconds=(seconds,)))
    state, low_ms = stage.new(), int(bars["window_end_ms"][-1])
    for kind, columns in (("ticks_features", TICKS.empty()), ("candles", bars)):
        stage.step(state, Frame(kind, "x", "P", low_ms, columns))
    (out,) = stage.step(state, Frame("technical_indicators", "x", "P", low_ms, rows))
    return out.columns


def test_a_flat_market_has_no_place_and_no_infinity() -> None:
    made = walk(900, START_MS, 60)
    made[:, 1:5], made[:, 5] = 100.0, 0.0
    found = rows_of(candles(made))

    assert not any(np.isinf(found[name]).any() for name in (*TRAILING, *MEMORY, *RELATIVE))
    assert np.isnan(found["close_place"]).all()
    assert (0.0, math.log(1e-5)) == (found["spike_threshold"][-1], found["log_rv_60"][-1])
    assert 0.0 == found["rel_rv_60"][-1]


def test_a_month_of_real_minutes_is_nearly_all_known_and_spikes_are_about_a_tenth(shared_data: Any) -> None:
    """
    ... |  week: 10,080 volatilities  | now
        0.9 of them are below ────────→ spike_threshold
    """
    bars = real_candles(shared_data)
    found = rows_of(bars)
    later = slice(11_000, None)

    for name in (*TRAILING, *MEMORY, "log_threshold", "close_place"):
        assert np.isfinite(found[name][later]).mean() > 0.95, name
        assert not np.isinf(found[name]).any(), name
    ahead = np.log(bars["high"][11_001:] / bars["low"][11_001:]) / math.sqrt(4 * math.log(2))
    assert 0.05 < (ahead > found["spike_threshold"][11_000:-1]).mean() < 0.25
    assert DESIGN[0] in found
