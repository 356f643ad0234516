"""What came of a row: computed from whole futures only, and counted where there is none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.training.market import DIRECTION, PRICE, VOLATILITY, at, candles
from tickcast.events import Columns
from tickcast.training.contract import Task
from tickcast.training.labels import (
    GAP_IN_HORIZON,
    NO_LABEL_YET,
    NO_THRESHOLD,
    OK,
    PARTIAL_ROW,
    ZERO_RETURN,
    Labels,
    label,
)

CLOSES = [100.0, 101.0, 102.0, 101.0, 103.0, 104.0, 104.0, 105.0, 106.0, 106.0]


def labelled(task: Task, bars: Columns, *minutes: int, threshold: float = 0.005) -> Labels:
    times = np.array([at(minute) for minute in minutes])
    return label(task, 60, bars, times, np.full(len(times), threshold))


def test_a_price_label_is_the_log_return_over_the_horizon() -> None:
    found = labelled(PRICE, candles(CLOSES), 0, 4)

    assert [math.log(104 / 100), math.log(106 / 103)] == pytest.approx(found.values.tolist(), rel=1e-15)
    assert [100.0, 103.0] == found.close.tolist()


def test_a_direction_is_up_or_not_and_no_move_has_none() -> None:
    found = labelled(Task("direction", 60), candles(CLOSES), 0, 2, 5)

    assert [OK, OK, ZERO_RETURN] == found.reasons.tolist()
    assert [1.0, 0.0] == found.values[:2].tolist()
    assert math.isnan(found.values[2])


def test_a_spike_is_a_realised_volatility_above_the_rows_own_threshold() -> None:
    bars = candles(CLOSES)
    realised = labelled(VOLATILITY, bars, 0).realised[0]

    assert math.log(101 * 1.0001 / (100 * 0.9999)) / math.sqrt(4 * math.log(2)) == pytest.approx(realised)
    assert 1.0 == labelled(VOLATILITY, bars, 0, threshold=realised * 0.999).values[0]
    assert 0.0 == labelled(VOLATILITY, bars, 0, threshold=realised).values[0]
    assert NO_THRESHOLD == labelled(VOLATILITY, bars, 0, threshold=float("nan")).reasons[0]


def test_short_candles_are_measured_by_their_closes() -> None:
    bars = candles(CLOSES, seconds=1)
    found = label(Task("volatility", 3), 1, bars, bars["window_end_ms"][:1], np.array([0.001]))

    steps = [math.log(b / a) for a, b in pairwise(CLOSES[:4])]
    assert math.sqrt(sum(step**2 for step in steps)) == pytest.approx(found.realised[0])


def test_a_horizon_is_rounded_up_to_whole_candles() -> None:
    bars = candles(CLOSES, seconds=300)
    times = bars["window_end_ms"][:1]

    minute = label(Task("volatility", 60), 300, bars, times, np.array([0.001]))
    whole = label(Task("volatility", 300), 300, bars, times, np.array([0.001]))

    assert whole.realised[0] == minute.realised[0]


def test_the_end_of_the_data_has_no_label_yet() -> None:
    assert [OK, NO_LABEL_YET, NO_LABEL_YET] == labelled(PRICE, candles(CLOSES), 4, 5, 9).reasons.tolist()


def test_a_missing_candle_in_the_future_is_no_label_and_windows_are_never_places() -> None:
    """
    minute   0 1 2 3 4 5 6 7 8 9
    candles  * * * * * *   * * *      horizon 5: minute 0 ends at 5 and is whole, 1 to 4 look across the hole
    """
    found = labelled(PRICE, candles(CLOSES, missing=(6,)), 0, 1, 4, 6)

    assert [OK, GAP_IN_HORIZON, GAP_IN_HORIZON, PARTIAL_ROW] == found.reasons.tolist()


def test_a_missing_last_candle_of_the_horizon_is_a_gap() -> None:
    found = labelled(PRICE, candles(CLOSES, missing=(5,)), 0)

    assert [GAP_IN_HORIZON] == found.reasons.tolist()


def test_a_partial_candle_spoils_its_own_row_and_those_that_look_at_it() -> None:
    """
    minute   0 1 2 3 4 5 6 7
    quality  . . p . . . . .          horizon 60 s
    """
    found = labelled(VOLATILITY, candles(CLOSES, partial=(2,)), 0, 1, 2, 3)

    assert [OK, GAP_IN_HORIZON, PARTIAL_ROW, OK] == found.reasons.tolist()


@settings(max_examples=40, deadline=None)
@example(moves=[0.0] * 8, missing=set(), task=DIRECTION)
@given(
    moves=st.lists(st.floats(-0.01, 0.01), min_size=8, max_size=40),
    missing=st.sets(st.integers(1, 6), max_size=2),
    task=st.sampled_from([PRICE, DIRECTION, VOLATILITY]),
)
def test_labels_are_those_of_a_plain_loop(moves: list[float], missing: set[int], task: Task) -> None:
    closes = 100.0 * np.exp(np.cumsum(moves))
    bars = candles(closes, missing=tuple(missing))
    there = {int(end): place for place, end in enumerate(bars["window_end_ms"])}
    times = bars["window_end_ms"]
    count = task.horizon_seconds // 60

    found = label(task, 60, bars, times, np.full(len(times), 0.004))

    for row, time in enumerate(times.tolist()):
        future = [there.get(time + step * 60_000) for step in range(1, count + 1)]
        whole = [one for one in future if one is not None]
        if len(whole) == count:
            moved = bars["close"][whole[-1]] / bars["close"][row]
            if task.name == "direction" and moved == 1.0:
                assert ZERO_RETURN == found.reasons[row]
                assert math.isnan(found.values[row])
                continue
            ranges = [math.log(bars["high"][one] / bars["low"][one]) ** 2 / (4 * math.log(2)) for one in whole]
            assert OK == found.reasons[row]
            assert math.sqrt(sum(ranges)) == pytest.approx(found.realised[row])
            if task.name == "price":
                assert math.log(moved) == pytest.approx(found.values[row], abs=1e-15)
            elif task.name == "volatility":
                assert (found.realised[row] > 0.004) == found.values[row]
            else:
                assert (moved > 1.0) == found.values[row]
        else:
            assert found.reasons[row] in (GAP_IN_HORIZON, NO_LABEL_YET)
            assert math.isnan(found.values[row])


def test_a_candle_without_a_price_is_no_candle() -> None:
    bars = candles(CLOSES)
    bars["low"][3] = bars["close"][3] = 0.0

    found = labelled(VOLATILITY, bars, 1, 2, 3, 4)

    assert [OK, GAP_IN_HORIZON, PARTIAL_ROW, OK] == found.reasons.tolist()
    assert math.isnan(found.realised[1])
