"""Scores of an interval that was forecast: does it hold what it promises, and how wide must it be for that."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.errors import DataError
from tickcast.scores.rows import F8, aligned, mean


class Tercile(msgspec.Struct, frozen=True):
    """A third of the rows, by the volatility that was known when the forecast was made."""

    rows: int
    volatility_max: float
    coverage: float | None
    """None: no row."""
    width: float | None


class IntervalScores(msgspec.Struct, frozen=True):
    """All scores of intervals that promise `level`."""

    rows: int
    level: float
    coverage: float
    rolling_min: float | None
    """The worst and the best coverage over any `rolling_rows` rows in a row; None: there are fewer."""
    rolling_max: float | None
    rolling_rows: int
    terciles: tuple[Tercile, ...]
    """Calm, middle, wild; empty where no volatility was given."""
    width: float
    width_relative: float | None
    """The mean of width / price, for bounds that are prices."""
    pinball: float
    """The mean pinball loss of both bounds, as quantiles (1 - level) / 2 and (1 + level) / 2."""
    winkler: float


def covered(truth: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.bool_]:
    """Whether what came lies between the bounds, both included.

    >>> covered([1.0, 5.0], [0.0, 0.0], [1.0, 1.0]).tolist()
    [True, False]
    """
    came, bottom, top = _bounds(truth, low, high)
    inside: NDArray[np.bool_] = (came >= bottom) & (came <= top)
    return inside


def _bounds(truth: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[F8, F8, F8]:
    came, bottom, top = aligned("interval scores", truth=truth, low=low, high=high)
    if (bottom > top).any():
        first = int(np.argmax(bottom > top))
        what = f"low {bottom[first]} is above high {top[first]} in row {first}"
        raise DataError("interval scores", what, "give the lower bound first")
    return came, bottom, top


def rolling_coverage(inside: ArrayLike, rows: int) -> F8:
    """Coverage over the last `rows` rows, from the first row that has as many; empty where none has.

    >>> rolling_coverage([True, False, True, True], 2).tolist()
    [0.5, 0.5, 1.0]
    """
    total = np.concatenate([[0], np.cumsum(np.asarray(inside, dtype=np.int64))])
    return (total[rows:] - total[:-rows]) / rows if len(total) > rows else np.empty(0)


def by_tercile(inside: ArrayLike, width: ArrayLike, volatility: ArrayLike) -> tuple[Tercile, ...]:
    """Coverage and width in three thirds of the rows, calm first. Rows whose volatility is NaN are in none.

    >>> thirds = by_tercile([True, True, False], [1.0, 1.0, 2.0], [0.1, 0.2, 0.3])
    >>> [third.coverage for third in thirds]
    [1.0, 1.0, 0.0]
    """
    known = np.asarray(volatility, dtype=np.float64)
    held, wide = aligned("terciles", inside=inside, width=width)
    if known.shape != held.shape:
        what = f"{len(held)} intervals stand beside {len(known)} volatilities"
        raise DataError("terciles", what, "give the volatility known at each forecast")
    there = np.isfinite(known)
    if not there.any():
        return ()
    cuts = np.quantile(known[there], (1 / 3, 2 / 3), method="inverted_cdf")
    third = np.where(there, np.searchsorted(cuts, known, side="left"), -1)
    made = []
    for place, edge in enumerate((*cuts, known[there].max())):
        rows = third == place
        any_row = bool(rows.any())
        coverage, mean_width = (mean(held[rows]), mean(wide[rows])) if any_row else (None, None)
        made.append(Tercile(int(rows.sum()), float(edge), coverage, mean_width))
    return tuple(made)


def pinball_losses(truth: ArrayLike, quantile: ArrayLike, level: float) -> F8:
    """`level * (truth - quantile)` above the quantile, `(1 - level) * (quantile - truth)` below, row by row.

    >>> pinball_losses([1.0, 0.0], [0.5, 0.5], 0.9).round(6).tolist()
    [0.45, 0.05]
    """
    came, said = aligned("pinball loss", truth=truth, quantile=quantile)
    miss = came - said
    return np.maximum(level * miss, (level - 1.0) * miss)


def winkler_losses(truth: ArrayLike, low: ArrayLike, high: ArrayLike, level: float) -> F8:
    """The width, plus 2 / (1 - level) for each unit outside of it, row by row.

    >>> winkler_losses([0.5, 1.5], [0.0, 0.0], [1.0, 1.0], 0.9).round(6).tolist()
    [1.0, 11.0]
    """
    came, bottom, top = _bounds(truth, low, high)
    outside = np.maximum(bottom - came, 0.0) + np.maximum(came - top, 0.0)
    return top - bottom + 2.0 / (1.0 - level) * outside


def score_interval(
    truth: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    level: float,
    volatility: ArrayLike | None = None,
    price: ArrayLike | None = None,
    rolling_rows: int = 500,
) -> IntervalScores:
    """All scores of intervals. The volatility is the one known at the forecast, never the one that came.

    >>> scores = score_interval([0.5, 1.5], [0.0, 0.0], [1.0, 1.0], level=0.9)
    >>> scores.coverage, scores.width, round(scores.winkler, 6)
    (0.5, 1.0, 6.0)
    """
    came, bottom, top = _bounds(truth, low, high)
    inside, width = covered(came, bottom, top), top - bottom
    rolling = rolling_coverage(inside, rolling_rows)
    tail = (1.0 - level) / 2.0
    pinball = (mean(pinball_losses(came, bottom, tail)) + mean(pinball_losses(came, top, 1.0 - tail))) / 2.0
    return IntervalScores(
        rows=len(came),
        level=level,
        coverage=mean(inside),
        rolling_min=float(rolling.min()) if len(rolling) else None,
        rolling_max=float(rolling.max()) if len(rolling) else None,
        rolling_rows=rolling_rows,
        terciles=() if volatility is None else by_tercile(inside, width, volatility),
        width=mean(width),
        width_relative=None if price is None else mean(width / aligned("price", price=price, width=width)[0]),
        pinball=pinball,
        winkler=mean(winkler_losses(came, bottom, top, level)),
    )
