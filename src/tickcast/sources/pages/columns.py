"""Whole columns, checked at once: the same checks as the mappers', and the same rules as an import's for candles.

A page that breaks one is refused as a whole, with one exception: candles that do not lie on their grid (Binance has
some after outages of its first years) are left out, as an import leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import WireError
from tickcast.events import COMPLETE, Columns
from tickcast.sequences import in_order, is_one
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.decimals import ID_MAX, MICROSECONDS_FROM, REMEDY, Unreadable, guarded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PRICES = ("open", "high", "low", "close")


def guarded_page(exchange: str, read: Callable[[bytes], Columns], raw: bytes) -> Columns:
    """Call a page's reader; whatever makes the page unreadable becomes one WireError with a short, stable reason."""
    found: list[Columns] = []

    def reader(page: bytes) -> Sequence[Any]:
        found.append(read(page))
        return ()

    try:
        guarded(f"{exchange}/page", reader, raw)
    except (OverflowError, MemoryError) as exc:
        raise WireError(f"{exchange}/page", "has a number that does not fit", REMEDY) from exc
    return found[0]


def numbers(texts: Sequence[str], field: str) -> Floats:
    """Each text as `float()` reads it, without what only Python takes for a number.

    >>> numbers(["61837.63000000", "0.1"], "p").tolist()
    [61837.63, 0.1]
    """
    try:
        values = np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError:
        raise Unreadable(f"{field} is not a number") from None
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():
        raise Unreadable(f"{field} is not a number")
    return values


def above_zero(values: Floats, field: str) -> Floats:
    """Let pass only prices and quantities that are finite and above zero."""
    if not np.all((values > 0.0) & (values < np.inf)):
        raise Unreadable(f"{field} is not a positive, finite number")
    return values


def not_below_zero(values: Floats, field: str) -> Floats:
    """Let pass only volumes: finite, and zero or more."""
    if not np.all((values >= 0.0) & (values < np.inf)):
        raise Unreadable(f"{field} is negative or not finite")
    return values + 0.0  # -0.0 becomes 0.0


def checked_times_ms(values: Ints, field: str) -> Ints:
    """Let pass only times at which a coin can have been traded."""
    if not np.all((values >= TIME_MIN_MS) & (values <= TIME_MAX_MS)):
        raise Unreadable(f"{field} is not a time between 2009 and 2100")
    return values


def epoch_times_ms(values: Sequence[int] | Ints, field: str) -> Ints:
    """Epoch times in milliseconds, or in microseconds where they can be nothing else; cut, never rounded."""
    times = np.asarray(values, dtype=np.int64)
    return checked_times_ms(np.where(times >= MICROSECONDS_FROM, times // 1000, times), field)


class TradeFields(NamedTuple):
    """What a page says of its trades, in any order."""

    trade_id: Sequence[int] | Ints
    first_id: Sequence[int] | Ints
    price: Floats
    quantity: Floats
    timestamp_ms: Ints
    is_buyer_maker: Sequence[bool] | NDArray[np.bool_]


def trade_columns(fields: TradeFields) -> Columns:
    """Columns of `events.TRADES`, ascending by id; an id that stands twice is kept once.

    Where ids begin anew in the page, the older sequence comes first, and each ascends.
    """
    trade_id = np.asarray(fields.trade_id, dtype=np.int64)
    if not np.all((trade_id >= 0) & (trade_id <= ID_MAX)):
        raise Unreadable("a trade's id is not one")
    count = len(trade_id)
    columns: Columns = {
        "trade_id": trade_id,
        "first_id": np.asarray(fields.first_id, dtype=np.int64),
        "price": above_zero(fields.price, "price"),
        "quantity": above_zero(fields.quantity, "quantity"),
        "timestamp_ms": fields.timestamp_ms,
        "recv_ms": np.zeros(count, np.int64),
        "is_buyer_maker": np.asarray(fields.is_buyer_maker, dtype=np.bool_),
        "bid": np.full(count, np.nan),
        "ask": np.full(count, np.nan),
    }
    if not is_one(fields.timestamp_ms[np.argsort(trade_id)]):
        order = in_order(trade_id, fields.timestamp_ms)
        order = order[np.diff(trade_id[order], prepend=-1) != 0]
        return {name: column[order] for name, column in columns.items()}
    return _ascending(columns, "trade_id")


class CandleFields(NamedTuple):
    """What a page says of its candles, in any order; None: the venue does not tell."""

    start_ms: Ints
    prices_and_volume: Sequence[Floats]
    """open, high, low, close, volume"""
    quote_volume: Floats | None = None
    buy_volume: Floats | None = None
    trade_count: Sequence[int] | Ints | None = None


def candle_columns(fields: CandleFields, seconds: int) -> Columns:
    """Columns of `events.CANDLES`, ascending: complete, first revision, known when their window had ended."""
    if seconds < 1 or 86_400 % seconds:
        raise Unreadable(f"candles of {seconds} seconds do not divide a day")
    start_ms = checked_times_ms(fields.start_ms, "time")
    count = len(start_ms)
    unknown = np.full(count, np.nan)
    counts = np.zeros(count, np.int64) if fields.trade_count is None else np.asarray(fields.trade_count, np.int64)
    *prices, volume = fields.prices_and_volume
    columns: Columns = {
        "candle_seconds": np.full(count, seconds, np.int64),
        "window_start_ms": start_ms,
        "window_end_ms": start_ms + seconds * 1000,
        **{name: above_zero(values, name) for name, values in zip(PRICES, prices, strict=True)},
        "volume": not_below_zero(volume, "volume"),
        "quote_volume": _told(fields.quote_volume, "quote_volume", unknown),
        "buy_volume": _told(fields.buy_volume, "buy_volume", unknown),
        "trade_count": counts,
        "quality": np.full(count, COMPLETE, np.uint8),
        "revision": np.zeros(count, np.int64),
        "known_at_ms": start_ms + seconds * 1000,
    }
    _check_prices(columns)
    if np.any(counts < 0):
        raise Unreadable("trade_count is negative")
    on_grid = start_ms % (seconds * 1000) == 0
    if not on_grid.all():
        columns = {name: column[on_grid] for name, column in columns.items()}
    return _ascending(columns, "window_start_ms")


def _told(values: Floats | None, field: str, unknown: Floats) -> Floats:
    return unknown if values is None else not_below_zero(values, field)


def _check_prices(columns: Columns) -> None:
    high, low = columns["high"], columns["low"]
    if np.any(high < low):
        raise Unreadable("high is below low")
    for name in ("open", "close"):
        if np.any((columns[name] > high) | (columns[name] < low)):
            raise Unreadable(f"{name} is outside low to high")


def _ascending(columns: Columns, key: str) -> Columns:
    keys = columns[key]
    steps = np.diff(keys)
    if np.all(steps > 0):
        return columns
    if np.all(steps < 0):
        return {name: np.ascontiguousarray(column[::-1]) for name, column in columns.items()}
    _, first = np.unique(keys, return_index=True)
    return {name: column[first] for name, column in columns.items()}
