"""What a lane remembers: exact, the same however it was cut, and of the market alone."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.plain import Plain, Row, market, took
from tickcast.features.memory import Memory, Spike
from tickcast.features.names import MEMORY, RANGES, RATES, TRAILING
from tickcast.features.recall import REMEMBERED, SPAN
from tickcast.features.volatility import candle_variance
from tickcast.indicators.ring import F8

NAMES = (*TRAILING, *MEMORY)
LENGTHS = [
    (60, Spike(0.9, 1, 60), 1700),
    (60, Spike(0.5, 7, 300), 900),
    (10, Spike(0.9, 1, 60), 900),
    (16, Spike(0.8, 1, 30), 900),
    (3600, Spike(0.95, 2, 7200), 600),
    (86_400, Spike(0.9, 30, 86_400), 60),
]


def first_window(seconds: int) -> int:
    """Some hours into a Monday."""
    return (1_618_790_400 + 5 * 3600) // seconds


def column(found: F8, name: str) -> F8:
    row: F8 = found[NAMES.index(name)]
    return row


def with_again(rows: list[Row], seed: int) -> list[Row]:
    """Some candles come again, some of them very late, and some windows only after later ones."""
    rng = np.random.default_rng(seed)
    found: list[Row] = []
    for row in rows:
        found.append(row)
        if rng.random() < 0.1:
            behind = int(rng.choice([0, 1, 2, 5, 60, 300, REMEMBERED - 1]))
            window = max(row.window - behind, rows[0].window)
            candle = row.candle * np.array([1, 1.01, 0.99, 1 + rng.normal() / 500, 2, 1, 1, 1])
            found.append(Row(window, int(rng.random() < 0.2), candle))
    return found


@pytest.mark.parametrize(("seconds", "spike", "count"), LENGTHS)
def test_every_column_is_what_a_plain_look_back_gives(seconds: int, spike: Spike, count: int) -> None:
    rows = with_again(market(count, first_window(seconds)), seed=seconds)
    memory, plain = Memory(seconds, spike), Plain(seconds, spike)
    found = took(memory, rows)
    asked = set(np.random.default_rng(3).choice(len(rows), 15, replace=False).tolist()) | {len(rows) - 1}
    checked = 0
    for place, row in enumerate(rows):
        if place not in asked:
            plain.keep(row)
            continue
        expected = plain.take(row)
        told = {name: column(found, name)[place] for name in NAMES}
        assert expected == pytest.approx(told, rel=1e-12, abs=1e-14, nan_ok=True), place
        checked += sum(math.isfinite(value) for value in told.values())
    assert checked > 120


@pytest.mark.parametrize(("seconds", "spike", "count"), LENGTHS[::2])
def test_the_threshold_is_numpys_quantile_to_the_bit(seconds: int, spike: Spike, count: int) -> None:
    rows = [row._replace(quality=0) for row in market(count, first_window(seconds))]
    found = column(took(Memory(seconds, spike), rows), "spike_threshold")
    bars = np.full((4, rows[-1].window - rows[0].window + 1), np.nan)
    for row in rows:
        bars[:, row.window - rows[0].window] = row.candle[:4]
    variance = candle_variance(bars[0], bars[1], bars[2], bars[3], np.append(np.nan, bars[3, :-1]), seconds)
    horizon, grain = -(-spike.volatility_seconds // seconds), max(60, seconds)
    size = spike.days * 86_400 // grain
    total = np.zeros(len(variance) - horizon + 1)
    for place in range(horizon):
        total += variance[place : place + len(total)]
    ends = (rows[0].window + horizon + np.arange(len(total))) * seconds
    volatility, taken = np.sqrt(total), ends % grain == 0
    for row, threshold in list(zip(rows, found.tolist(), strict=True))[:: count // 50]:
        end = (row.window + 1) * seconds
        known = volatility[taken & (ends <= end) & (ends > end // grain * grain - size * grain)]
        known = known[~np.isnan(known)]
        if len(known) >= size / 14:
            assert np.quantile(known, spike.percentile) == threshold
        else:
            assert math.isnan(threshold)
    assert np.isfinite(found).sum() > len(rows) // 4


def test_rolling_means_are_those_of_polars() -> None:
    rows = market(3000, first_window(60))
    found = took(Memory(60, Spike(0.9, 7, 60)), rows)
    at = np.array([row.window for row in rows]) - rows[0].window
    bars = np.full((3, 3000), np.nan)
    for place, row in zip(at.tolist(), rows, strict=True):
        if row.quality == 0:
            bars[:, place] = row.candle[1:4]
    square = np.log(bars[2, 1:] / bars[2, :-1]) ** 2
    width = np.log(bars[0] / bars[1]) ** 2 / (4 * math.log(2))
    for stem, spans, series in (("rv", RATES, np.append(np.nan, square)), ("range", RANGES, width)):
        for span in spans:
            means = pl.Series(series).fill_nan(None).rolling_mean(span, min_samples=math.ceil(0.75 * span))
            expected = np.log(np.sqrt(means.to_numpy()) + 1e-5)[at]
            np.testing.assert_allclose(column(found, f"log_{stem}_{span}"), expected, rtol=1e-12)
    assert np.isfinite(column(found, "log_rv_1440")).sum() > 1000


@pytest.mark.parametrize(("seconds", "count"), [(900, 3000), (3600, 1900), (60, 12_100)])
def test_a_value_does_not_depend_on_when_the_process_was_started(seconds: int, count: int) -> None:
    rows = market(count, first_window(seconds))
    spike = Spike(0.9, 7, 2 * seconds)
    early, late = took(Memory(seconds, spike), rows), took(Memory(seconds, spike), rows[300:])
    full = max(1441, 8 * 86_400 // seconds)
    after = [row.window >= rows[300].window + full for row in rows]

    assert sum(after) > 100
    assert early[:, after].tobytes() == late[:, after[300:]].tobytes()
    assert np.isfinite(early[:, after]).mean() > 0.6


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rows_cut_anyhow_with_everything_forgotten_between_give_the_same(data: st.DataObject) -> None:
    seconds, spike, _ = data.draw(st.sampled_from(LENGTHS))
    rows = with_again(market(150, first_window(seconds)), data.draw(st.integers(0, 9)))
    expected, memory, parts = took(Memory(seconds, spike), rows), Memory(seconds, spike), []
    edges = sorted(data.draw(st.lists(st.integers(1, len(rows) - 1), max_size=12, unique=True)))
    for start, stop in zip([0, *edges], [*edges, len(rows)], strict=True):
        parts.append(took(memory, rows[start:stop]))
        again = Memory.load(seconds, spike, "", memory.parts(""))
        assert str(memory.parts("")) == str(again.parts(""))
        memory = again

    assert expected.tobytes() == np.concatenate(parts, axis=1).tobytes()


@pytest.mark.parametrize("seconds", [10, 60])
def test_the_oldest_row_that_may_come_again_still_sees_all_its_windows(seconds: int) -> None:
    rows = [row._replace(quality=0) for row in market(SPAN + 400, first_window(seconds))]
    spike = Spike(0.9, 1, 1440 * seconds)
    newest = next(row for row in rows if row.window == max(row.window for row in rows))
    oldest = next(row for row in rows if row.window >= newest.window - REMEMBERED + 1)
    memory = Memory(seconds, spike)
    first = took(memory, rows)[:, rows.index(oldest)]
    again = took(Memory.load(seconds, spike, "", memory.parts("")), [oldest])[:, 0]

    assert first[len(TRAILING) :].tobytes() == again[len(TRAILING) :].tobytes()
    assert math.isfinite(again[NAMES.index("log_rv_1440")])


def test_a_candle_issued_again_changes_the_samples_of_rows_to_come() -> None:
    spike, rows = Spike(0.9, 1, 60), market(420, first_window(60))[:400]
    late = [Row(row.window, 0, row.candle * np.array([1, 1.05, 1, 1, 1, 1, 1, 1])) for row in rows[200:399]]
    at_once = [*rows[:200], *late, rows[399]]
    corrected = took(Memory(60, spike), [*rows[:399], *late, rows[399]])[0, -1]

    assert took(Memory(60, spike), at_once)[0, -1] == corrected
    assert took(Memory(60, spike), rows)[0, -1] < corrected


def test_after_a_long_silence_nothing_old_is_left() -> None:
    spike, rows = Spike(0.9, 7, 60), market(1500, first_window(60))
    memory = Memory(60, spike)
    took(memory, rows)
    later = [row._replace(window=row.window + 100_000) for row in rows]

    assert took(Memory(60, spike), later).tobytes() == took(memory, later).tobytes()


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 1e-300, 1e300])
@pytest.mark.parametrize("place", [1, 2, 3, 4, 6])
def test_odd_numbers_never_become_infinite_and_pass_with_their_window(price: float, place: int) -> None:
    rows = [row._replace(quality=0) for row in market(120, first_window(60))]
    odd = [row._replace(candle=row.candle.copy()) for row in rows]
    odd[60].candle[place] = price
    spike = Spike(0.9, 1, 60)
    plain, found = took(Memory(60, spike), rows), took(Memory(60, spike), odd)

    assert not np.isinf(found).any()
    short = [NAMES.index(name) for name in ("return_5", "log_rv_30", "log_range_15", "buy_share_5")]
    assert plain[short, 95:].tobytes() == found[short, 95:].tobytes()
