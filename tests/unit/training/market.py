"""A made market: candles of a random walk, and feature rows beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tickcast.events import CANDLES, FEATURES, PARTIAL, Columns
from tickcast.training.contract import Task
from tickcast.training.dataset import Request
from tickcast.training.rows import Rows

START_MS = 1_723_161_600_000
"""2024-08-09 00:00 UTC."""
MINUTE_MS = 60_000
SET = "aaaabbbbcccc"
VOLATILITY, PRICE, DIRECTION = Task("volatility", 60), Task("price", 300), Task("direction", 300)


def at(minute: int) -> int:
    """The end of a minute's candle, counted from 0."""
    return START_MS + (minute + 1) * MINUTE_MS


def candles(closes: Any, seconds: int = 60, partial: tuple[int, ...] = (), missing: tuple[int, ...] = ()) -> Columns:
    """One candle a close, each opened by the close before it; some of them partial, some not there."""
    close = np.asarray(closes, dtype=np.float64)
    before = np.append(close[0], close[:-1])
    starts = START_MS + np.arange(len(close), dtype=np.int64) * seconds * 1000
    found = CANDLES.rows([{}] * len(close)) | {
        "candle_seconds": np.full(len(close), seconds),
        "window_start_ms": starts,
        "window_end_ms": starts + seconds * 1000,
        "open": before,
        "high": np.maximum(before, close) * 1.0001,
        "low": np.minimum(before, close) * 0.9999,
        "close": close,
        "volume": np.ones(len(close)),
        "known_at_ms": starts + seconds * 1000,
    }
    found["quality"][list(partial)] = PARTIAL
    return {name: np.delete(column, list(missing)) for name, column in found.items()}


def features(of: Columns, **columns: Any) -> Columns:
    """A feature row for each candle; further columns as given."""
    count = len(of["window_end_ms"])
    fixed = {
        "candle_seconds": of["candle_seconds"],
        "timestamp_ms": of["window_end_ms"],
        "known_at_ms": of["known_at_ms"],
        "feature_set": np.full(count, SET, dtype=np.object_),
        "quality": of["quality"],
        "revision": of["revision"],
    }
    assert fixed.keys() == FEATURES.columns.keys()
    return fixed | {
        name: np.broadcast_to(np.asarray(value, dtype=np.float64), count) for name, value in columns.items()
    }


def walk(count: int, seed: int = 0, pair: str = "BTCUSDT", **how: Any) -> Rows:
    """A random walk with two features of chance, the candle's close, and a threshold that 30 % exceed or so."""
    chance = np.random.default_rng(seed)
    bars = candles(100.0 * np.exp(np.cumsum(chance.normal(0.0, 0.001, count))), **how)
    made = len(bars["close"])
    given = features(
        bars,
        close=bars["close"],
        noise=chance.normal(size=made),
        wobble=chance.normal(size=made),
        spike_threshold=0.001,
    )
    return Rows("binance", pair, int(bars["candle_seconds"][0]), bars, given)


def request(task: Task = VOLATILITY, **more: Any) -> Request:
    """Small data is enough here."""
    return Request(task=task, **({"rows_min": 10} | more))
