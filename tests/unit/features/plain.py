"""The memory of a lane, told plainly: all candles in a dict, each column looked up and computed by numpy when asked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tickcast.features.memory import Memory, Spike
from tickcast.features.names import CANDLE, MEMORY, TRAILING
from tickcast.features.volatility import horizon_candles
from tickcast.indicators.ring import F8

DAY_MS, SLOT_MS, MINUTE_MS = 86_400_000, 300_000, 60_000


class Row(NamedTuple):
    """One candle as it is issued."""

    window: int
    quality: int
    candle: F8


def market(count: int, first: int, seed: int = 1) -> list[Row]:
    """A made one: eleven of a hundred candles are partial, one of a hundred is not there, some have no volume."""
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, count)))
    rows = []
    for place, close in enumerate(closes.tolist()):
        high, low = close * (1 + rng.random() / 500), close * (1 - rng.random() / 500)
        volume = 0.0 if rng.random() < 0.1 else float(rng.integers(1, 50)) / 8
        candle = np.array([close, high, low, close, volume, 1.0, volume * rng.random(), 3.0])
        if rng.random() > 0.01:
            rows.append(Row(first + place, int(rng.random() < 0.11), candle))
    return rows


def took(memory: Memory, rows: list[Row]) -> F8:
    """What a memory gives for some rows at once: a column a row, in the order of TRAILING and MEMORY."""
    out = np.empty((len(TRAILING) + len(MEMORY), len(rows)))
    windows, quality = np.array([row.window for row in rows]), np.array([row.quality for row in rows])
    candles = np.stack([row.candle for row in rows], axis=1)
    memory.take(windows, quality, candles, out[: len(TRAILING)], out[len(TRAILING) :])
    return out


class Plain:
    """See the module."""

    def __init__(self, seconds: int, spike: Spike) -> None:
        self.step_ms, self.spike = seconds * 1000, spike
        self.horizon = horizon_candles(spike.volatility_seconds, seconds)
        self.candles: dict[int, F8] = {}
        self.newest = -1

    def keep(self, row: Row) -> bool:
        """Keep a candle; whether it is newer than all."""
        fresh, self.newest = row.window > self.newest, max(self.newest, row.window)
        self.candles.pop(row.window, None)
        if row.quality != 1:
            self.candles[row.window] = row.candle
        return fresh

    def take(self, row: Row) -> dict[str, float]:
        """Keep a candle; the columns of its row."""
        fresh = self.keep(row)
        found = {name: self._one(name, row.window) for name in MEMORY}
        found["spike_threshold"] = self._threshold(row.window) if fresh else np.nan
        found["log_tod"] = self._time_of_day(row.window) if fresh else np.nan
        return found

    def _value(self, name: str, window: int) -> float:
        candle = self.candles.get(window)
        return float(candle[CANDLE.index(name)]) if candle is not None else np.nan

    def _square(self, window: int) -> float:
        return float(np.log(self._value("close", window) / self._value("close", window - 1)) ** 2)

    def _range(self, window: int) -> float:
        return float(np.log(self._value("high", window) / self._value("low", window)) ** 2 / (4 * np.log(2)))

    def _mean(self, values: list[float]) -> float:
        known = [value for value in values if not np.isnan(value)]
        return float(np.mean(known)) if len(known) >= 0.75 * len(values) else np.nan

    def _one(self, name: str, window: int) -> float:
        kind, _, rest = name.rpartition("_")
        last = range(window - int(rest) + 1, window + 1)
        if kind == "return":
            return float(np.log(self._value("close", window) / self._value("close", window - int(rest))))
        if kind in ("log_rv", "log_range"):
            of = self._square if kind == "log_rv" else self._range
            return float(np.log(np.sqrt(self._mean([of(one) for one in last])) + 1e-5))
        if kind == "log_ewma":
            squares = np.array([self._square(one) for one in last])
            weights = np.where(np.isnan(squares), 0.0, 0.94 ** np.arange(int(rest))[::-1])
            known = np.count_nonzero(weights) >= 0.75 * len(squares)
            return float(np.log(np.sqrt(np.nansum(weights * squares) / weights.sum()) + 1e-5)) if known else np.nan
        bought = [self._value("buy_volume", one) for one in last]
        volume = self._mean([self._value("volume", one) for one in last])
        if kind == "buy_share":
            return self._mean(bought) / volume if volume else np.nan
        short = int(kind.removeprefix("volume_"))
        few = self._mean([self._value("volume", one) for one in last[-short:]])
        return float(np.log(few / volume)) if few and volume else np.nan

    def _threshold(self, window: int) -> float:
        variance = self._range if self.step_ms >= MINUTE_MS else self._square
        end, grain = (window + 1) * self.step_ms, max(self.step_ms, MINUTE_MS)
        size = self.spike.days * DAY_MS // grain
        samples = []
        for number in range(end // grain - size + 1, end // grain + 1):
            last = -(-number * grain // self.step_ms) - 1  # the first window that ends at or after that time
            if (last + 1) * self.step_ms <= end:
                total = 0.0
                for one in range(last - self.horizon + 1, last + 1):
                    total += variance(one)
                samples.append(np.sqrt(total))
        known = [value for value in samples if not np.isnan(value)]
        return float(np.quantile(known, self.spike.percentile)) if len(known) >= size / 14 else np.nan

    def _time_of_day(self, window: int) -> float:
        slot = (window + 1) * self.step_ms // SLOT_MS
        squares = []
        for days in range(1, 8):
            from_ms = slot * SLOT_MS - days * DAY_MS
            first = -(-from_ms // self.step_ms)
            squares += [self._square(one) for one in range(first, -(-(from_ms + SLOT_MS) // self.step_ms))]
        known = [value for value in squares if not np.isnan(value)]
        return float(np.log(np.sqrt(np.mean(known)) + 1e-5)) if known else np.nan
