"""Backtests: a hand-computed one, a plain loop beside it, and nothing from the future."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tickcast.errors import ConfigError, DataError, TrainingError
from tickcast.training.backtest import Backtest, Rules, backtest
from tickcast.training.contract import Dataset, Task, TaskName
from tickcast.training.evaluation import Forecasts
from tickcast.training.worth import sharpe_of

MINUTE_MS = 60_000
FREE = Rules(fees=((0, 0.0),), spread_bps=0.0)


def dataset(
    close: Any, *, task: TaskName = "price", horizon_seconds: int = 60, times: Any = None, key: Any = None, **more: Any
) -> Dataset:
    close = np.asarray(close, dtype=np.float64)
    rows = len(close)
    key = np.zeros(rows, dtype=np.int16) if key is None else np.asarray(key, dtype=np.int16)
    made = Dataset(
        task=Task(task, horizon_seconds),
        names=("x",),
        features=np.zeros((rows, 1)),
        labels=np.zeros(rows),
        timestamp_ms=(np.arange(1, rows + 1) if times is None else np.asarray(times)) * MINUTE_MS,
        key=key,
        keys=("binance:BTCUSDT", "binance:ETHUSDT")[: int(key.max()) + 1],
        close=close,
        realised=np.ones(rows),
        candle_seconds=60,
        feature_set="abc",
        excluded={},
    )
    return msgspec.structs.replace(made, **more)


def said(forecast: Any, rows: Any = None) -> Forecasts:
    forecast = np.asarray(forecast, dtype=np.float64)
    rows = np.arange(len(forecast)) if rows is None else np.asarray(rows)
    nothing = np.full(len(forecast), math.nan)
    fold = np.zeros(len(forecast), dtype=np.int16)
    return Forecasts("ridge", rows, fold, forecast, forecast, nothing, nothing, math.nan)


def walk(rows: int, seed: int) -> NDArray[np.float64]:
    return np.asarray(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.002, rows))))


def test_six_rows_by_hand() -> None:
    """Bought at 100, sold at 110 for flat, bought again at 99 and closed at the end at 108.9; 1 % a trade."""
    #        t1 buy   t2 hold  t3 sell  t4 (flat) t5 buy  t6 end
    closes = [100.0, 105.0, 110.0, 100.0, 99.0, 108.9]
    forecasts = [0.05, 0.05, 0.0, -0.05, 0.05, 0.05]

    found = backtest(dataset(closes), said(forecasts), Rules(fees=((0, 90.0),), spread_bps=20.0))

    after_first = (1 / 1.01) * 1.1 * 0.99
    after_second = after_first / 1.01 * 1.1 * 0.99
    assert [(1, 1), (3, 0), (5, 1), (7, 0)] == [(o.decided_ms // MINUTE_MS, o.position) for o in found.orders]
    assert [1, 3, 5, 6] == [(o.filled_ms or 0) // MINUTE_MS for o in found.orders]
    assert found.worth.total_return == pytest.approx(after_second - 1)
    assert found.worth.free_return == pytest.approx(1.21 - 1)
    assert (2, 1.0) == (found.worth.trades, found.worth.hit_rate)
    assert found.worth.exposure == pytest.approx(3 / 6)
    assert found.worth.hold_return == pytest.approx(0.089 - 0.01 - 0.01 * 1.089)
    assert found.worth.matched_return == pytest.approx(0.5 * (0.089 - 0.01 - 0.01 * 1.089))
    heights = [1 / 1.01, 1.05 / 1.01, after_first, after_first, after_first / 1.01, after_second]
    assert found.curve.equity == pytest.approx(heights)
    assert found.worth.max_drawdown == pytest.approx(1 - 1 / 1.01)
    assert found.worth.sharpe is None
    assert "6 returns are too few" in found.worth.note


def test_a_short_earns_when_the_price_falls_and_stays_at_zero_once_eaten_up() -> None:
    rules = msgspec.structs.replace(FREE, shorts=True)

    falls = backtest(dataset([100.0, 90.0, 80.0]), said([-0.1] * 3), rules)
    doubles = backtest(dataset([100.0, 210.0, 50.0, 20.0]), said([-0.1] * 4), rules)

    assert falls.worth.total_return == pytest.approx(0.2)
    assert doubles.worth.total_return == -1.0
    assert doubles.worth.max_drawdown == 1.0


def plain(data: Dataset, told: Forecasts, rules: Rules) -> list[float]:
    """The oracle: row by row, with nothing but a loop; equity after each of the rows of one pair."""
    horizon, late = data.task.horizon_seconds * 1000, -(-rules.latency_ms // MINUTE_MS) * MINUTE_MS
    forecast = dict(zip(told.rows.tolist(), told.forecast.tolist(), strict=True))
    cost = sum(fee for _, fee in rules.fees) / 1e4 + rules.spread_bps / 2e4
    cash, units, position, pending, next_ms = 1.0, 0.0, 0, None, 0
    last_said = max(data.timestamp_ms[told.rows])
    equities = []

    def trade(target: int, price: float) -> None:
        nonlocal cash, units, position
        cash += units * price - cost * abs(units * price)
        size = target * cash / (1 + cost)
        cash, units, position = cash - size - cost * abs(size), size / price, target

    rows = [r for r in range(min(told.rows), len(data)) if data.timestamp_ms[r] <= last_said + horizon + late]
    for place, row in enumerate(rows):
        now, price = int(data.timestamp_ms[row]), float(data.close[row])
        if pending and now >= pending[0]:
            trade(pending[1], price)
            pending = None
        if now >= next_ms and (row in forecast or position):
            edge = math.expm1(forecast.get(row, 0.0))
            target = 1 if edge > 2 * cost else -1 if edge < -2 * cost and rules.shorts else 0
            next_ms = now + horizon
            if target != position:
                pending = (now + late, target)
                if not late:
                    trade(target, price)
                    pending = None
        ends = place == len(rows) - 1 or int(data.timestamp_ms[rows[place + 1]]) - now > horizon
        if ends:
            pending, next_ms = None, 0
            if position:
                trade(0, price)
        equities.append(cash + units * price)
    return equities


cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "rows": st.integers(3, 60),
        "horizon": st.sampled_from([1, 2, 5]),
        "late_ms": st.sampled_from([0, 1, 60_000]),
        "shorts": st.booleans(),
        "fee": st.sampled_from([0.0, 4.0, 10.0]),
        "holes": st.floats(0.0, 0.3),
    }
)


def case(seed: int, rows: int, horizon: int, late_ms: int, shorts: bool, fee: float, holes: float) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(rows) < holes, rng.integers(1, 12, rows), 1)
    data = dataset(walk(rows, seed), horizon_seconds=60 * horizon, times=np.cumsum(steps))
    there = np.flatnonzero(rng.random(rows) < 0.8)
    there = there if len(there) else np.array([0])
    rules = Rules(shorts=shorts, fees=((0, fee),), spread_bps=2.0, latency_ms=late_ms)
    return data, said(rng.normal(0, 0.004, len(there)), there), rules


@given(cases)
@settings(max_examples=150, deadline=None)
def test_it_says_what_a_plain_loop_says(drawn: dict[str, Any]) -> None:
    data, told, rules = case(**drawn)

    found = backtest(data, told, rules)

    assert found.curve.equity == pytest.approx(plain(data, told, rules), rel=1e-12)


def decided(found: Backtest, until_ms: int) -> list[tuple[Any, ...]]:
    return [(o.key, o.decided_ms, o.position) for o in found.orders if o.decided_ms <= until_ms]


@given(cases, st.integers(0, 59), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_rows_that_come_later_change_nothing_that_was_decided(drawn: dict[str, Any], at: int, other: int) -> None:
    data, told, rules = case(**drawn)
    at = min(at, len(data) - 1)
    now = int(data.timestamp_ms[at])
    rng = np.random.default_rng(other)
    close, forecast = data.close.copy(), told.forecast.copy()
    close[at + 1 :] *= np.exp(rng.normal(0, 0.1, len(close) - at - 1))
    forecast[told.rows > at] = rng.normal(0, 0.01, int((told.rows > at).sum()))
    moved = msgspec.structs.replace(data, close=close, timestamp_ms=data.timestamp_ms.copy())
    moved.timestamp_ms[at + 1 :] += other % 3 * 7 * MINUTE_MS
    kept = told.rows <= at

    whole = decided(backtest(data, told, rules), now)

    assert whole == decided(backtest(moved, told._replace(forecast=forecast), rules), now)
    if kept.any():
        short = told._replace(**{name: getattr(told, name)[kept] for name in ("rows", "fold", "forecast")})
        assert whole == decided(backtest(data.take(slice(0, at + 1)), short, rules), now)


def test_foresight_earns_and_noise_loses_what_it_pays() -> None:
    close = walk(3000, 5)
    data = dataset(close, horizon_seconds=300)
    comes = np.log(close[5:] / close[:-5])
    rules = Rules(shorts=True, spread_bps=0.0)

    foresight = backtest(data, said(comes), msgspec.structs.replace(FREE, shorts=True))
    noise = backtest(data, said(np.random.default_rng(1).normal(0, 0.01, len(close))), rules)

    assert foresight.worth.free_return > 1.0
    assert foresight.worth.free_return == foresight.worth.total_return
    assert foresight.worth.hit_rate == 1.0
    assert noise.worth.total_return < noise.worth.free_return
    assert noise.worth.sharpe is not None
    assert noise.worth.sharpe < 0
    assert math.log1p(noise.worth.total_return) == pytest.approx(
        math.log1p(noise.worth.free_return) - 0.001 * noise.worth.turnover, abs=0.01
    )


def test_a_position_is_closed_at_the_last_price_before_a_gap_and_counted() -> None:
    data = dataset([100.0, 101.0, 50.0, 50.0], times=[1, 2, 60, 61])

    found = backtest(data, said([0.1, 0.1, 0.0, 0.0]), FREE)

    assert found.worth.gap_closes == 1
    assert found.worth.total_return == pytest.approx(0.01)
    assert ("gap", 2 * MINUTE_MS, 101.0) == (found.orders[1].why, found.orders[1].filled_ms, found.orders[1].price)


def test_an_order_that_was_due_in_a_gap_is_not_filled_and_counted() -> None:
    data = dataset([100.0, 101.0, 200.0, 200.0], times=[1, 2, 60, 61])

    found = backtest(data, said([0.0, 0.1, 0.0, 0.0]), msgspec.structs.replace(FREE, latency_ms=1))

    assert (1, 0.0) == (found.worth.unfilled, found.worth.total_return)


def test_latency_fills_at_the_close_of_a_later_candle() -> None:
    data = dataset([100.0, 110.0, 121.0, 121.0])

    found = backtest(data, said([0.1, 0.0, 0.0]), msgspec.structs.replace(FREE, latency_ms=200))

    assert [(2, 110.0), (3, 121.0)] == [((o.filled_ms or 0) // MINUTE_MS, o.price) for o in found.orders]


def test_fees_are_those_of_their_dates_and_a_spread_is_the_rows_own() -> None:
    data = dataset([100.0] * 4, names=("spread_rel",), features=np.array([[0.002], [np.nan], [0.0], [0.0]]))
    rules = Rules(fees=((0, 10.0), (2 * MINUTE_MS, 5.0)), spread_bps=4.0)

    found = backtest(data, said([0.1, 0.0, 0.1, 0.1]), rules)

    assert [0.001 + 0.001, 0.0005 + 0.0002, 0.0005, 0.0005] == pytest.approx([o.cost_rate for o in found.orders])
    assert found.spread_known == 0.75


def test_pairs_have_equal_shares() -> None:
    data = dataset([100.0, 10.0, 110.0, 10.0, 121.0, 12.0], times=[1, 1, 2, 2, 3, 3], key=[0, 1, 0, 1, 0, 1])

    found = backtest(data, said([0.1, -0.1, 0.1, 0.1, 0.1, 0.1]), FREE)

    assert found.by_key["binance:BTCUSDT"].total_return == pytest.approx(0.21)
    assert found.by_key["binance:ETHUSDT"].total_return == pytest.approx(0.2)
    assert found.worth.total_return == pytest.approx(0.205)


def test_a_direction_is_followed_beyond_the_margin() -> None:
    data = dataset([100.0] * 4, task="direction")

    found = backtest(data, said([0.54, 0.56, 0.44, 0.46]), msgspec.structs.replace(FREE, shorts=True))

    assert [1, -1, 0] == [order.position for order in found.orders]


def test_a_forecast_of_volatility_gives_nothing_to_trade() -> None:
    with pytest.raises(TrainingError, match="not where, so there is nothing to trade"):
        backtest(dataset([100.0], task="volatility"), said([0.5]))


def test_what_has_no_meaning_is_refused() -> None:
    data = dataset([100.0] * 3)

    with pytest.raises(DataError, match="two forecasts"):
        backtest(data, said([0.1, 0.1], [1, 1]))
    with pytest.raises(DataError, match="no number"):
        backtest(data, said([math.nan] * 3))
    with pytest.raises(ConfigError, match="latency_ms"):
        backtest(data, said([0.1]), Rules(latency_ms=60_001))
    with pytest.raises(ConfigError, match="order of time"):
        backtest(data, said([0.1]), Rules(fees=((5, 1.0), (5, 2.0))))
    with pytest.raises(ConfigError, match="below zero"):
        backtest(data, said([0.1]), Rules(spread_bps=-1.0))


def test_the_error_of_a_sharpe_ratio_is_los() -> None:
    """Independent normal returns: the root of (1 + ratio² / 2) / rows; returns alike in runs of 20: larger."""
    alone = np.random.default_rng(2).normal(0.1, 1.0, 200_000)
    runs = np.repeat(alone[:10_000], 20)

    independent, alike = sharpe_of(alone, 1.0), sharpe_of(runs, 1.0, lags=80)

    assert independent.ratio is not None
    assert independent.error == pytest.approx(math.sqrt((1 + independent.ratio**2 / 2) / len(alone)), rel=0.05)
    assert alike.error == pytest.approx(math.sqrt(20 / len(runs)), rel=0.15)
