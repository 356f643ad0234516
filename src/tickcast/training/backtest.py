"""What a forecast would have earned, after all that a trade costs.

Each pair has an account of its own with an equal share of the money. A model of prices is followed where the return it
forecasts is larger than the way in and out costs; one of directions where its probability is beyond 0.5 by a margin.
`orders.py` says when orders are decided and filled; `worth.py` says what came of it.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.errors import ConfigError, DataError, TrainingError
from tickcast.training.contract import F8, I8, Dataset
from tickcast.training.evaluation import Forecasts
from tickcast.training.labels import horizon_ms
from tickcast.training.orders import NO_FORECAST, Order, Pace, Series, account_of, orders_of
from tickcast.training.worth import Curve, Worth, worth_of

SPREAD = "spread_rel"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How forecasts are traded and what that costs."""

    shorts: bool = False
    """Whether to sell what one does not have; without it a bad forecast means to hold nothing."""
    fees: tuple[tuple[int, float], ...] = ((0, 10.0),)
    """From when on (ms) which fee is paid, in hundredths of a percent of each trade; in the order of time."""
    spread_bps: float = 2.0
    """Between both sides of the book, where the rows do not know it; half is paid with each trade."""
    latency_ms: int = 0
    """From a candle's end until the order is filled: at the close of the first candle that ends then or later."""
    margin: float = 0.05
    """How far from 0.5 a probability must be."""


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, the orders, and what came of them."""

    model: str
    task: str
    horizon_seconds: int
    keys: tuple[str, ...]
    rules: Rules
    worth: Worth
    by_key: dict[str, Worth]
    """Each pair's account on its own."""
    spread_known: float
    """The share of rows whose spread is their own."""
    orders: tuple[Order, ...]
    curve: Curve


def backtest(dataset: Dataset, forecasts: Forecasts, rules: Rules = Rules()) -> Backtest:  # noqa: B008 - frozen
    """Trade one model's forecasts of rows that it did not learn from."""
    where = f"backtest of {forecasts.model}"
    if dataset.task.name == "volatility":
        raise TrainingError(
            where,
            "a forecast of volatility says how far the price goes and not where, so there is nothing to trade",
            "backtest a model of the price or the direction",
        )
    pace = _checked(dataset, forecasts, rules, where)
    wanted, costs, known = _wanted(dataset, forecasts, rules)
    orders: list[Order] = []
    accounts = []
    for place in range(len(dataset.keys)):
        series = _series(dataset, forecasts, place, pace, wanted, costs)
        if series is None:
            continue
        made = orders_of(series, pace)
        orders += made
        accounts.append((series, made, account_of(series, made), account_of(series, made, free=True)))
    if not accounts:
        raise TrainingError(where, "there is no forecast to trade", "give forecasts of at least one row")
    lags = pace.horizon_ms // (dataset.candle_seconds * 1000)
    worth, curve = worth_of(accounts, lags)
    return Backtest(
        model=forecasts.model,
        task=dataset.task.name,
        horizon_seconds=dataset.task.horizon_seconds,
        keys=tuple(series.key for series, *_ in accounts),
        rules=rules,
        worth=worth,
        by_key={one[0].key: worth_of([one], lags)[0] for one in accounts},
        spread_known=known,
        orders=tuple(sorted(orders, key=lambda order: (order.decided_ms, order.key))),
        curve=curve,
    )


def _checked(dataset: Dataset, forecasts: Forecasts, rules: Rules, where: str) -> Pace:
    """Refuse what has no meaning; whole candles from here on."""
    if len(np.unique(forecasts.rows)) != len(forecasts.rows):
        raise DataError(where, "a row has two forecasts", "give the forecasts of one walk, whose test parts are apart")
    if not np.isfinite(forecasts.forecast).all():
        raise DataError(where, "a forecast is no number", "give finite forecasts")
    if not rules.fees or any(before[0] >= after[0] for before, after in pairwise(rules.fees)):
        raise ConfigError("fees", "are not in the order of time", "give each date once, the earliest first")
    for value in [*(fee for _, fee in rules.fees), rules.spread_bps, rules.margin * 1e4]:
        if not 0.0 <= value <= 5000.0:
            raise ConfigError("fees, spread and margin", "have one below zero or above a half", "give small shares")
    candle_ms = dataset.candle_seconds * 1000
    horizon, latency = horizon_ms(dataset.task, dataset.candle_seconds), -(-rules.latency_ms // candle_ms) * candle_ms
    if not 0 <= latency <= horizon:
        what = f"is {rules.latency_ms}, in whole candles {latency}, and the horizon is {horizon}"
        raise ConfigError("latency_ms", what, "give one from 0 to the horizon: later, what was forecast is over")
    return Pace(horizon, latency)


def _wanted(dataset: Dataset, forecasts: Forecasts, rules: Rules) -> tuple[NDArray[np.int8], F8, float]:
    """For each row of the dataset: the position its forecast asks for, what a trade costs, and how many spreads are
    known."""
    spread = np.full(len(dataset), np.nan)
    if SPREAD in dataset.names:
        spread = dataset.column(SPREAD).copy()
    unknown = ~np.isfinite(spread) | (spread < 0)
    spread[unknown] = rules.spread_bps / 1e4
    costs = fees_at(dataset.timestamp_ms, rules.fees) + spread / 2.0
    said = forecasts.forecast
    if dataset.task.name == "price":
        edge, enough = np.expm1(said), 2.0 * costs[forecasts.rows]
        sign = np.where(edge > enough, 1, np.where(edge < -enough, -1, 0))
    else:
        sign = np.where(said > 0.5 + rules.margin, 1, np.where(said < 0.5 - rules.margin, -1, 0))
    wanted = np.full(len(dataset), NO_FORECAST, dtype=np.int8)
    wanted[forecasts.rows] = sign if rules.shorts else np.maximum(sign, 0)
    return wanted, costs, float(1.0 - unknown.mean()) if len(dataset) else 0.0


def fees_at(times: I8, fees: tuple[tuple[int, float], ...]) -> F8:
    """The fee of each time as a share; before the first date the first one counts.

    >>> fees_at(np.array([5, 10, 11]), ((0, 10.0), (10, 5.0))).tolist()
    [0.001, 0.0005, 0.0005]
    """
    from_ms, bps = np.array([date for date, _ in fees]), np.array([fee for _, fee in fees], dtype=np.float64)
    place = np.maximum(np.searchsorted(from_ms, times, side="right") - 1, 0)
    return np.asarray(bps[place] / 1e4)


def _series(
    dataset: Dataset, forecasts: Forecasts, place: int, pace: Pace, wanted: NDArray[np.int8], costs: F8
) -> Series | None:
    """A pair's rows from its first forecast until the last one's horizon has ended; None without a forecast."""
    said = forecasts.rows[dataset.key[forecasts.rows] == place]
    if not len(said):
        return None
    times = dataset.timestamp_ms
    over_ms = times[said].max() + pace.horizon_ms + pace.latency_ms
    rows = np.flatnonzero((dataset.key == place) & (times >= times[said].min()) & (times <= over_ms))
    return Series(dataset.keys[place], times[rows], dataset.close[rows], wanted[rows], costs[rows])
