"""What an account was worth over time: return, risk, costs, and the same money simply held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tickcast.scores.compare import long_run_variance, newey_west_lags
from tickcast.scores.rows import ROWS_MIN
from tickcast.training.contract import F8, I8
from tickcast.training.orders import Account, Order, Series

POINTS_MAX = 800
YEAR_MS = 365 * 86_400_000
Traded = tuple[Series, list[Order], Account, Account]
"""A pair's rows, its orders, its account, and that account had trading been free."""


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the money at the start, unless a name says otherwise. None: can not be told, and `note` says why."""

    from_ms: int
    to_ms: int
    total_return: float
    free_return: float
    """Of the same orders without any cost."""
    costs: float
    hold_return: float
    """Of the same money in the same pairs, bought at the start and sold at the end, with the costs of both."""
    matched_return: float
    """The same with as much in the market, on average, as the forecasts had: long minus short."""
    exposure: float
    """The share of rows in the market."""
    net_exposure: float
    """Long minus short."""
    sharpe: float | None
    """A year's, after costs, of returns from row to row."""
    sharpe_error: float | None
    """Its standard error where returns are neither normal nor independent (Lo 2002)."""
    max_drawdown: float
    """The deepest fall from a height, as a share of the height."""
    turnover: float
    """How many times the money was traded."""
    trades: int
    """Positions that were opened and closed."""
    hit_rate: float | None
    """The share of them that gained, costs included."""
    gap_closes: int
    """Positions that a gap in the data closed, at the last price known."""
    unfilled: int
    """Orders that were due in a gap."""
    note: str = ""


class Curve(msgspec.Struct, frozen=True):
    """The money over time, at most `POINTS_MAX` moments: the last of as many equal parts of the rows."""

    times_ms: tuple[int, ...]
    equity: tuple[float, ...]
    hold: tuple[float, ...]
    matched: tuple[float, ...]


class Sharpe(NamedTuple):
    """A ratio and its standard error."""

    ratio: float | None
    error: float | None
    note: str


def sharpe_of(returns: F8, periods: float, lags: int = 1) -> Sharpe:
    """Mean over deviation, times the root of the periods of a year; the error is of Lo (2002) with Bartlett's weights.

    The error is that of mean and variance together, from their long-run covariance: returns that follow each other
    alike make it larger, as they must.

    >>> made = sharpe_of(np.tile([0.02, -0.01], 50), 100.0)
    >>> round(made.ratio, 6)
    3.333333
    """
    rows = len(returns)
    if rows < ROWS_MIN:
        return Sharpe(None, None, f"{rows} returns are too few for a Sharpe ratio, {ROWS_MIN} are needed")
    mean, deviation = float(returns.mean()), float(returns.std())
    if deviation <= 1e-15:
        return Sharpe(None, None, "the account never moved, so there is no Sharpe ratio")
    off = returns - mean
    pull = off / deviation - mean / (2.0 * deviation**3) * (off * off - deviation**2)
    variance = long_run_variance(pull, newey_west_lags(rows, lags))
    return Sharpe(mean / deviation * math.sqrt(periods), math.sqrt(variance / rows * periods), "")


def drawdown_of(equity: F8) -> float:
    """The deepest fall from a height, the start included.

    >>> drawdown_of(np.array([1.0, 2.0, 1.5, 3.0]))
    0.25
    """
    heights = np.maximum.accumulate(np.concatenate([[1.0], equity]))
    return float(np.max(1.0 - np.concatenate([[1.0], equity]) / heights))


def worth_of(traded: Sequence[Traded], lags: int) -> tuple[Worth, Curve]:
    """All pairs' accounts as one, of equal shares at the start that are not evened out later."""
    times: I8 = np.unique(np.concatenate([series.times for series, *_ in traded]))
    equity, free, hold, matched = np.zeros((4, len(times)))
    for series, _, account, no_cost in traded:
        there = np.searchsorted(series.times, times, side="right") - 1
        net = float(np.mean(account.exposure))
        equity += _spread(account.equity, there) / len(traded)
        free += _spread(no_cost.equity, there) / len(traded)
        hold += _spread(_held(series, 1.0), there) / len(traded)
        matched += _spread(_held(series, net), there) / len(traded)
    exposures = np.concatenate([account.exposure for _, _, account, _ in traded])
    trips = np.array([trip for _, _, account, _ in traded for trip in account.round_trips])
    orders = [order for _, made, _, _ in traded for order in made]
    before = np.concatenate([[1.0], equity[:-1]])
    returns = np.divide(equity, before, out=np.ones_like(equity), where=before > 0.0) - 1.0
    sharpe = sharpe_of(returns, _periods(times), lags)
    worth = Worth(
        from_ms=int(times[0]),
        to_ms=int(times[-1]),
        total_return=float(equity[-1] - 1.0),
        free_return=float(free[-1] - 1.0),
        costs=sum(account.costs for _, _, account, _ in traded) / len(traded),
        hold_return=float(hold[-1] - 1.0),
        matched_return=float(matched[-1] - 1.0),
        exposure=float(np.mean(exposures != 0)),
        net_exposure=float(np.mean(exposures)),
        sharpe=sharpe.ratio,
        sharpe_error=sharpe.error,
        max_drawdown=drawdown_of(equity),
        turnover=sum(account.turnover for _, _, account, _ in traded) / len(traded),
        trades=len(trips),
        hit_rate=float(np.mean(trips > 0.0)) if len(trips) else None,
        gap_closes=sum(order.why == "gap" for order in orders),
        unfilled=sum(order.filled_ms is None for order in orders),
        note=sharpe.note,
    )
    return worth, _curve(times, equity, hold, matched)


def _periods(times: I8) -> float:
    """How many returns a year has, going by these."""
    return (len(times) - 1) / max((int(times[-1]) - int(times[0])) / YEAR_MS, 1e-12)


def _spread(values: F8, there: I8) -> F8:
    """A pair's values at the moments of all pairs: the last known, 1 before the first."""
    return np.where(there >= 0, values[np.maximum(there, 0)], 1.0)


def _held(series: Series, share: float) -> F8:
    """An account that bought a share of itself at the first row and sells at the last, costs of both included."""
    paid = abs(share) * series.cost_rates[0]
    equity = 1.0 - paid + share * (series.closes / series.closes[0] - 1.0)
    equity[-1] -= abs(share) * series.cost_rates[-1] * series.closes[-1] / series.closes[0]
    return np.asarray(np.maximum(equity, 0.0))


def _curve(times: I8, *lines: F8) -> Curve:
    rows = len(times)
    parts = min(rows, POINTS_MAX)
    at = (np.arange(1, parts + 1) * rows) // parts - 1
    return Curve(tuple(times[at].tolist()), *(tuple(line[at].tolist()) for line in lines))
