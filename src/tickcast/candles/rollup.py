"""Small candles into bigger ones: bars from a venue's file, or our own, for any length that is a multiple of theirs.

1 s   | 5 7 | 6   |     | 8 8 |  ...60 of them
1 min | open 5, high 8, low 5, close 8: one candle
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tickcast.candles.sums import POWERS, add, digits_of, units, value_of
from tickcast.errors import DataError
from tickcast.events import CANDLES, COMPLETE, PARTIAL, REPAIRED, Columns
from tickcast.kernels import kernel, warms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_PRICES = ("open", "high", "low", "close")
_SUMS = ("volume", "quote_volume", "buy_volume")


def roll_up(columns: Columns, to_seconds: int, *, absent_is_quiet: bool = False) -> Columns:
    """Fold the candles of one key and one length into candles of `to_seconds`; only whole windows come out.

    A window is whole if each of its parts is there. Where bars exist only if something was traded, say so with
    `absent_is_quiet`: then a window is whole if it lies between the first bar and the last, and quiet ones are flat.
    Of several revisions the highest counts. `quality` is partial if any part's is; sums of NaN are NaN.

    >>> parts = [{"candle_seconds": 30, "window_start_ms": ms, "window_end_ms": ms + 30_000, "open": 5.0, "high": 7.0,
    ...           "low": 4.0, "close": 6.0, "volume": 0.1, "trade_count": 1} for ms in (60_000, 90_000, 120_000)]
    >>> whole = roll_up(CANDLES.rows(parts), 60)
    >>> whole["window_start_ms"].tolist(), whole["volume"].tolist(), whole["trade_count"].tolist()
    ([60000], [0.2], [2])
    """
    if not len(columns["candle_seconds"]):
        return CANDLES.empty()
    parts = _last_revisions(columns)
    seconds = int(parts["candle_seconds"][0])
    if (parts["candle_seconds"] != seconds).any() or to_seconds % seconds:
        lengths = ",".join(map(str, np.unique(parts["candle_seconds"])))
        raise DataError(
            f"candles of {lengths} s",
            f"can not be folded into candles of {to_seconds} s, so nothing was made",
            "give candles of one length, and ask for a multiple of it",
        )
    return _fold(parts, 1000 * seconds, 1000 * to_seconds, absent_is_quiet)


def _last_revisions(columns: Columns) -> Columns:
    """Sorted by window, of each only the highest revision."""
    start = columns["window_start_ms"]
    order = np.lexsort((columns["revision"], start))
    last = np.append(start[order][1:] != start[order][:-1], True)
    return {name: column[order[last]] for name, column in columns.items()}


def _fold(parts: Columns, small_ms: int, big_ms: int, absent_is_quiet: bool) -> Columns:
    start = parts["window_start_ms"]
    window = start // big_ms * big_ms
    first = np.flatnonzero(np.append(True, window[1:] != window[:-1]))
    stop = np.append(first[1:], len(start))
    prices = np.stack([parts[name] for name in _PRICES])
    sums = np.stack([parts[name] for name in _SUMS])
    active = (parts["trade_count"] > 0) | (parts["volume"] > 0)
    made_prices, made_sums = np.empty((4, len(first))), np.empty((3, len(first)))
    _fold_windows(first, stop, prices, sums, active, made_prices, made_sums)
    quality = np.array([COMPLETE, REPAIRED, PARTIAL])[np.maximum.reduceat(_badness(parts["quality"]), first)]
    made: Columns = {
        "candle_seconds": np.full(len(first), big_ms // 1000),
        "window_start_ms": window[first],
        "window_end_ms": window[first] + big_ms,
        **dict(zip(_PRICES, made_prices, strict=True)),
        **dict(zip(_SUMS, made_sums, strict=True)),
        "trade_count": np.add.reduceat(parts["trade_count"], first),
        "quality": quality.astype(np.uint8),
        "revision": np.add.reduceat(parts["revision"], first),
        "known_at_ms": np.maximum(np.maximum.reduceat(parts["known_at_ms"], first), window[first] + big_ms),
    }
    if absent_is_quiet:
        whole = (made["window_start_ms"] >= start[0]) & (made["window_end_ms"] <= start[-1] + small_ms)
        return _with_quiet({name: column[whole] for name, column in made.items()}, big_ms)
    whole = stop - first == big_ms // small_ms
    return {name: column[whole] for name, column in made.items()}


def _badness(quality: NDArray[np.uint8]) -> Ints:
    """The labels in the order in which one spoils the other."""
    return np.array([0, 2, 1])[quality]


def _with_quiet(made: Columns, big_ms: int) -> Columns:
    """Flat candles at the last close, where there is no bar at all between two."""
    start = made["window_start_ms"]
    if not len(start):
        return made
    place = (start - start[0]) // big_ms
    source = np.repeat(np.arange(len(start)), np.diff(np.append(place, place[-1] + 1)))
    filled = {name: column[source] for name, column in made.items()}
    every = start[0] + np.arange(len(source)) * big_ms
    quiet = every != filled["window_start_ms"]
    filled["window_start_ms"], filled["window_end_ms"] = every, every + big_ms
    filled["known_at_ms"] = np.where(quiet, every + big_ms, filled["known_at_ms"])
    for name in _PRICES:
        filled[name] = np.where(quiet, filled["close"], filled[name])
    for name in (*_SUMS, "trade_count", "revision"):
        filled[name] = np.where(quiet & ~np.isnan(filled[name]), 0, filled[name]).astype(made[name].dtype)
    filled["quality"][quiet] = COMPLETE
    return filled


@kernel
def _fold_windows(
    first: Ints, stop: Ints, prices: Floats, sums: Floats, active: NDArray[np.bool_], to_prices: Floats, to_sums: Floats
) -> None:
    """Prices of the bars in which something was traded, or of the flat ones where none was; sums exact to the digit."""
    for k in range(len(first)):
        begun = False
        for row in range(first[k], stop[k]):
            if begun and not active[row]:
                continue
            if (active[row] and not begun) or row == first[k]:
                for field in range(4):
                    to_prices[field, k] = prices[field, row]
                begun = active[row]
            to_prices[1, k] = max(to_prices[1, k], prices[1, row])
            to_prices[2, k] = min(to_prices[2, k], prices[2, row])
            to_prices[3, k] = prices[3, row]
        for field in range(3):
            to_sums[field, k] = _sum(sums[field], first[k], stop[k])


@kernel
def _sum(values: Floats, start: int, stop: int) -> float:
    """The double nearest to the decimal sum."""
    digits = 0
    for row in range(start, stop):
        digits = max(digits, digits_of(values[row], digits))
    total = np.zeros(2)
    for row in range(start, stop):
        whole, rest = units(values[row], digits)
        add(total, 0, 1, whole, rest)
    return float(value_of(total[0], total[1], POWERS[digits]))


@warms
def _warm() -> None:
    roll_up(CANDLES.rows([{"candle_seconds": 1, "window_start_ms": 0, "volume": 1.0}]), 1)
