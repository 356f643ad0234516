"""Rows for tests of the store."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tickcast.events import CANDLES, TICKS, Columns, Frame, Table
from tickcast.store.contract import KINDS

DAY_MS = 86_400_000
DAY = 1_723_161_600_000
"""2024-08-09 00:00 UTC."""

HARD_FLOATS = [
    0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308,
    0.1, 1 / 3, 1e22, 1e23, 9007199254740993.0, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip


def frame(table: Table, columns: Columns, pair: str = "BTCUSDT", exchange: str = "binance") -> Frame:
    return Frame(table.name, exchange, pair, 0, columns)


def candle(minute: int, close: float = 1.0, *, revision: int = 0, pair: str = "BTCUSDT", seconds: int = 60) -> Frame:
    start_ms = DAY + minute * seconds * 1000
    row = {"candle_seconds": seconds, "window_start_ms": start_ms, "close": close, "revision": revision}
    return frame(CANDLES, CANDLES.rows([row]), pair)


def ticks(*ids: int, start_ms: int = DAY, mid: float = 100.0, pair: str = "BTCUSDT") -> Frame:
    """One tick a millisecond from `start_ms + id` on."""
    rows = [{"timestamp_ms": start_ms + i, "trade_id": i, "midprice": mid, "spread": np.nan} for i in ids]
    return frame(TICKS, TICKS.rows(rows), pair)


def filled(table: Table, count: int, seed: int = 0, wide: tuple[str, ...] = ()) -> Columns:
    """Rows full of numbers, with an id each; every float column has its share of hard ones."""
    rng = np.random.default_rng(seed)
    columns = table.empty()
    for name, code in table.columns.items():
        if code == "f8":
            columns[name] = _floats(rng, count)
        elif code == "str":
            columns[name] = np.array(["set-1"] * count, dtype=np.object_)
        else:
            columns[name] = rng.integers(0, 3, count).astype(columns[name].dtype)
    for name in wide:
        columns[name] = _floats(rng, count)
    columns[table.key[0]] = columns[table.key[0]] * 0 + (60 if table.key[0] == "candle_seconds" else DAY)
    columns[table.key[1]] = np.arange(count, dtype=np.int64) * 60_000 + DAY
    return columns


def _floats(rng: np.random.Generator, count: int) -> Any:
    return np.where(rng.random(count) < 0.3, rng.choice(HARD_FLOATS, count), rng.normal(size=count))


WIDE = {"technical_indicators": ("adx_14", "cci_20"), "features": ("close", "rsi_14", "hour_sin"), "candles": ()}


def one_of_each(count: int, pair: str = "BTCUSDT", seed: int = 0) -> list[Frame]:
    """A frame of every kind."""
    return [frame(table, filled(table, count, seed, WIDE.get(kind, ())), pair) for kind, table in KINDS.items()]


def bits(columns: Columns) -> dict[str, list[Any]]:
    """Columns as values that compare bit by bit (NaN equals NaN, 0.0 is not -0.0)."""
    return {
        name: [struct.pack("<d", v) if v == v else "nan" for v in column.tolist()]
        if column.dtype.kind == "f"
        else column.tolist()
        for name, column in columns.items()
    }
