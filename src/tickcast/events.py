"""The types that cross borders: one frame type, and one table of columns for each kind of event.

A **frame** is a micro-batch of one key (`exchange:pair`) in columns, with `low_ms`: the sender's word that nothing
older follows for this key. An empty frame moves time for a quiet pair. Every row has a deterministic id, its natural
key (`Table.key`, together with exchange and pair); where a table has `revision`, the highest one is the truth.
Units are in the names: milliseconds since the epoch unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]

QUALITY = ("complete", "partial", "repaired")
"""Labels of the `quality` column: all of the window was seen; some was not; it was not, and has since been fetched."""
COMPLETE, PARTIAL, REPAIRED = range(3)

_DTYPES = {"i8": np.int64, "f8": np.float64, "b1": np.bool_, "u1": np.uint8, "str": np.object_}


class Table(NamedTuple):
    """Names and types of one kind of row; `key` is the deterministic id beside exchange and pair."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]

    def empty(self) -> Columns:
        """Columns without rows."""
        return {name: np.empty(0, dtype=_DTYPES[code]) for name, code in self.columns.items()}

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> Columns:
        """Columns from dicts, for tests and small hand-made frames; a missing value is NaN, 0 or False.

        >>> TRADES.rows([{"trade_id": 7, "price": 100.0}])["price"].tolist()
        [100.0]
        """
        listed = list(rows)
        gaps = {"f8": np.nan, "i8": 0, "b1": False, "u1": 0, "str": ""}
        return {
            name: np.array([row.get(name, gaps[code]) for row in listed], dtype=_DTYPES[code])
            for name, code in self.columns.items()
        }


TRADES = Table(
    "trades",
    {
        "trade_id": "i8",  # the venue's id; of an aggregate its last one
        "first_id": "i8",  # the first id an aggregate covers; -1 where the venue's ids are not consecutive
        "price": "f8",
        "quantity": "f8",
        "timestamp_ms": "i8",
        "recv_ms": "i8",
        "is_buyer_maker": "b1",  # true: the buyer was resting, so the taker sold
        "bid": "f8",  # the best prices when this trade arrived; NaN where no quote was seen
        "ask": "f8",
    },
    ("trade_id",),
)

CANDLES = Table(
    "candles",
    {
        "candle_seconds": "i8",
        "window_start_ms": "i8",
        "window_end_ms": "i8",
        "open": "f8",
        "high": "f8",
        "low": "f8",
        "close": "f8",
        "volume": "f8",
        "quote_volume": "f8",
        "buy_volume": "f8",
        "trade_count": "i8",
        "quality": "u1",
        "revision": "i8",
        "known_at_ms": "i8",  # market time at which this revision could first be known
    },
    ("candle_seconds", "window_start_ms"),
)

VENUE_CANDLES = Table("venue_candles", CANDLES.columns, CANDLES.key)
"""Candles that the venue made, as fetched or imported; the candles stage says how they stand beside its own."""

INDICATORS = Table(
    "technical_indicators",
    {
        "candle_seconds": "i8",
        "window_start_ms": "i8",
        "window_end_ms": "i8",
        "close": "f8",
        "sma_7": "f8",
        "sma_14": "f8",
        "sma_21": "f8",
        "ema_12": "f8",
        "ema_26": "f8",
        "rsi_14": "f8",
        "macd": "f8",
        "macd_signal": "f8",
        "macd_histogram": "f8",
        "bollinger_upper": "f8",
        "bollinger_lower": "f8",
        "bollinger_width": "f8",
        "obv": "f8",
        "vwap": "f8",
        "atr_14": "f8",
        "quality": "u1",
        "revision": "i8",
        "known_at_ms": "i8",
        "candle_revision": "i8",  # which revision of its candle this row was computed from
    },
    ("candle_seconds", "window_start_ms"),
)
"""Columns named by the configuration (`ADX:14` gives `adx_14`) follow these in the frame."""

TICK_SPANS = ("30s", "60s", "300s", "60t")
"""Windows of the tick features: seconds of market time, and the last sixty ticks."""
TICK_MEASURES = ("midprice_return", "rolling_vol", "ret_mean", "ret_std", "n")

TICKS = Table(
    "ticks_features",
    {
        "timestamp_ms": "i8",
        "trade_id": "i8",
        "midprice": "f8",
        "spread": "f8",
        **{f"{m}_{span}": ("i8" if m == "n" else "f8") for span in TICK_SPANS for m in TICK_MEASURES},
    },
    ("timestamp_ms", "trade_id"),
)

FEATURES = Table(
    "features",
    {
        "candle_seconds": "i8",
        "timestamp_ms": "i8",  # the end of the candle: the moment of which the row tells
        "known_at_ms": "i8",
        "feature_set": "str",
        "quality": "u1",
        "revision": "i8",
    },
    ("candle_seconds", "timestamp_ms"),
)
"""The values follow these as one float column a feature, in the order of the feature set's names."""

FETCHED = Table(
    "fetched",
    {
        "candle_seconds": "i8",  # 0: trades
        "from_ms": "i8",
        "to_ms": "i8",
        "first_id": "i8",  # of trades, the least and the greatest id that came; -1 where none did
        "last_id": "i8",
        "row_count": "i8",
        "fetched_ms": "i8",  # when it was fetched, by our clock
    },
    ("candle_seconds", "from_ms", "to_ms"),
)
"""History that was fetched: all of the key's trades or candles in [from_ms, to_ms) have come."""

TABLES = {table.name: table for table in (TRADES, VENUE_CANDLES, CANDLES, INDICATORS, TICKS, FEATURES, FETCHED)}


class Frame:
    """A micro-batch of one key, in columns.

    `blind_from_ms` is 0, or says that nothing of this key was observed from then until this frame's rows: the sender
    was away, and only consecutive trade ids can prove that nothing was missed. `whole_from_ms` is 0, or says that
    these rows were fetched from history, and are the whole truth from then up to `low_ms`; what follows from such a
    frame says so too.

    >>> frame = Frame("trades", "binance", "BTCUSDT", 60_000, TRADES.empty())
    >>> frame.key, len(frame)
    ('binance:BTCUSDT', 0)
    """

    __slots__ = ("blind_from_ms", "columns", "exchange", "kind", "low_ms", "pair", "whole_from_ms")

    def __init__(
        self,
        kind: str,
        exchange: str,
        pair: str,
        low_ms: int,
        columns: Columns,
        blind_from_ms: int = 0,
        whole_from_ms: int = 0,
    ) -> None:
        self.kind, self.exchange, self.pair = kind, exchange, pair
        self.low_ms, self.columns = low_ms, columns
        self.blind_from_ms, self.whole_from_ms = blind_from_ms, whole_from_ms

    @property
    def key(self) -> str:
        """What state belongs to, and the key of the topic."""
        return f"{self.exchange}:{self.pair}"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __repr__(self) -> str:
        return f"Frame({self.kind!r}, {self.key!r}, rows={len(self)}, low_ms={self.low_ms})"

    def with_columns(self, kind: str, columns: Columns) -> Frame:
        """Another kind of rows for the same key at the same time."""
        return Frame(kind, self.exchange, self.pair, self.low_ms, columns, whole_from_ms=self.whole_from_ms)

    def slice(self, start: int, stop: int, low_ms: int) -> Frame:
        """Some of the rows, with the word that holds after them."""
        cut = {name: column[start:stop] for name, column in self.columns.items()}
        return Frame(self.kind, self.exchange, self.pair, low_ms, cut, self.blind_from_ms if start == 0 else 0)


def concat(parts: list[Columns]) -> Columns:
    """Join columns of the same names, in order.

    >>> concat([{"a": np.array([1])}, {"a": np.array([2, 3])}])["a"].tolist()
    [1, 2, 3]
    """
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
