"""From forecasts to orders, and from orders to an account: one pair's part of a backtest.

    forecast at a row ─→ long, flat or short ─→ filled at a row's close ─→ held until the horizon ends ─→ decided again

One position a pair, decided again when its horizon has ended: forecasts in between are not traded, so overlapping
horizons are never counted twice. What is decided at a row depends on that row's forecast, on the position, and on
nothing that comes after.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.training.contract import F8, I8

Why = Literal["forecast", "no forecast", "gap", "end"]


class Order(msgspec.Struct, frozen=True):
    """A change of position."""

    key: str
    decided_ms: int
    """Of a gap: when the row that did not come was due."""
    position: int
    """What is to be held from then on: 1, 0 or -1."""
    why: Why
    filled_ms: int | None
    """None: the data broke off before the fill, and nothing was traded."""
    price: float | None
    cost_rate: float
    """Fee and half of the spread, as a share of what was traded."""


class Series(NamedTuple):
    """The rows of one pair from its first forecast until the last one's horizon has ended."""

    key: str
    times: I8
    closes: F8
    wanted: NDArray[np.int8]
    """1, 0 or -1 where there is a forecast; NO_FORECAST where there is none."""
    cost_rates: F8
    """Of a trade at this row."""


class Pace(NamedTuple):
    """How long a position is held, and how late an order is filled."""

    horizon_ms: int
    latency_ms: int


class Account(NamedTuple):
    """What an account of 1 becomes."""

    equity: F8
    """After each row's trades."""
    exposure: NDArray[np.int8]
    """The position after each row's trades."""
    turnover: float
    """All that was traded, in shares of what the account held at the time."""
    costs: float
    """All that was paid, in shares of the account at the start."""
    round_trips: tuple[float, ...]
    """What each position gained, costs included, as a share of the account before it."""


NO_FORECAST = -2


def orders_of(series: Series, pace: Pace) -> list[Order]:
    """All orders of a pair, in the order of their decisions.

    Rows that follow each other later than the horizon have a gap between them: an order that was to be filled in it is
    not, and what is held is closed at the last price known, with its costs.
    """
    found: list[Order] = []
    breaks = np.flatnonzero(np.diff(series.times) > pace.horizon_ms) + 1
    edges = [0, *breaks.tolist(), len(series.times)]
    for first, stop in pairwise(edges):
        found += _stretch(series, first, stop, pace, "end" if stop == len(series.times) else "gap")
    return found


def _stretch(series: Series, first: int, stop: int, pace: Pace, last: Why) -> list[Order]:
    """Orders over rows without a gap; the loop takes one step a decision, not one a row."""
    found: list[Order] = []
    times, wanted = series.times, series.wanted
    said = np.flatnonzero(wanted[first:stop] != NO_FORECAST) + first
    held, row = 0, first
    while row < stop:
        if wanted[row] == NO_FORECAST and held == 0:
            after = int(np.searchsorted(said, row))
            if after == len(said):
                break
            row = int(said[after])
        position = int(wanted[row]) if wanted[row] != NO_FORECAST else 0
        if position != held:
            why: Why = "forecast" if wanted[row] != NO_FORECAST else "no forecast"
            fill = int(np.searchsorted(times, times[row] + pace.latency_ms))
            found.append(_order(series, int(times[row]), position, why, fill if fill < stop else None))
            held = position if fill < stop else held
        row = max(int(np.searchsorted(times, times[row] + pace.horizon_ms)), row + 1)
    if held:
        missed_ms = int(times[stop - 1]) + pace.horizon_ms
        found.append(_order(series, missed_ms, 0, last, stop - 1))
    return found


def _order(series: Series, decided_ms: int, position: int, why: Why, fill: int | None) -> Order:
    if fill is None:
        return Order(series.key, decided_ms, position, why, None, None, 0.0)
    filled_ms, price = int(series.times[fill]), float(series.closes[fill])
    return Order(series.key, decided_ms, position, why, filled_ms, price, float(series.cost_rates[fill]))


def account_of(series: Series, orders: list[Order], *, free: bool = False) -> Account:
    """Trade the orders with an account of 1; `free`: the same orders without any cost.

    A position is as large as the account when it is opened, costs set aside, and its units do not change while it is
    held. An account that a short position has eaten up stays at zero.
    """
    book = _Book()
    for order in orders:
        if order.filled_ms is None or order.price is None:
            continue
        row = int(np.searchsorted(series.times, order.filled_ms))
        if book.eaten_up(series.closes, row):
            break
        book.trade(row, order.position, order.price, 0.0 if free else order.cost_rate)
    there = np.searchsorted(np.array(book.rows), np.arange(len(series.times)), side="right") - 1
    cash, units, position = (np.array(column)[there] for column in (book.cash, book.units, book.positions))
    equity = np.maximum(cash + units * series.closes, 0.0)
    return Account(equity, position.astype(np.int8), book.turnover, book.costs, tuple(book.trips))


class _Book:
    """Cash and units after each trade; the first line is the start."""

    def __init__(self) -> None:
        self.rows, self.cash, self.units, self.positions = [-1], [1.0], [0.0], [0]
        self.turnover, self.costs, self.opened = 0.0, 0.0, 1.0
        self.trips: list[float] = []

    def eaten_up(self, closes: F8, row: int) -> bool:
        """Whether the position lost the whole account on the way to a row; from then on there is nothing."""
        first = max(self.rows[-1], 0)
        gone = np.flatnonzero(self.cash[-1] + self.units[-1] * closes[first : row + 1] <= 0.0)
        if not len(gone):
            return False
        self.trips.append(-1.0)
        self._write(first + int(gone[0]), 0.0, 0.0, 0)
        return True

    def trade(self, row: int, position: int, price: float, rate: float) -> None:
        """Go from what is held to a position as large as the account, and pay for all that changes hands."""
        held = self.units[-1] * price
        equity = self.cash[-1] + held
        left = max(equity - rate * abs(held), 0.0)
        size = left / (1.0 + rate) if position else 0.0
        if held:
            self.trips.append(left / self.opened - 1.0)
        cost = rate * (abs(held) + size)
        self.opened = left
        self.turnover += (abs(held) + size) / equity
        self.costs += cost
        self._write(row, equity - cost - position * size, position * size / price, position)

    def _write(self, row: int, cash: float, units: float, position: int) -> None:
        self.rows.append(row)
        self.cash.append(cash)
        self.units.append(units)
        self.positions.append(position)
