"""Indicators beside TA-Lib itself: its batch functions over the whole series, and its bare handles.

Aims: in bulk, on anchors, >= 0.5 of TA-Lib's own calls; a live candle through the default set >= 0.5 of the bare
handles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import talib
from talib import stream

from benchmarks.table import best_of, show
from tickcast.config import FlowSettings
from tickcast.events import CANDLES, Columns, Frame
from tickcast.indicators.ring import F8
from tickcast.indicators.spec import ANCHOR
from tickcast.indicators.stage import Indicators
from tickcast.indicators.values import DESIGN, Values

DAYS = 60
MINUTES = DAYS * 1440
START_MS = 1_704_067_200_000
LIVE = 20_000


def minutes(count: int = MINUTES, seed: int = 7) -> Columns:
    """Candles of a random walk."""
    rng = np.random.default_rng(seed)
    close = np.round(60_000.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, count))), 2)
    opened = np.concatenate([close[:1], close[:-1]])
    columns = CANDLES.rows([{"candle_seconds": 60, "trade_count": 9}] * count)
    columns["window_start_ms"] += START_MS + np.arange(count) * 60_000
    columns["window_end_ms"] += columns["window_start_ms"] + 60_000
    columns["known_at_ms"] += columns["window_end_ms"]
    columns["open"], columns["close"] = opened, close
    columns["high"], columns["low"] = np.maximum(opened, close) + 1.0, np.minimum(opened, close) - 1.0
    columns["volume"] = np.round(rng.lognormal(0.0, 1.0, count), 5)
    return columns


def frame(columns: Columns, first: int, stop: int) -> Frame:
    """Some of the candles."""
    cut = {name: column[first:stop] for name, column in columns.items()}
    return Frame("candles", "binance", "BTCUSDT", int(cut["window_end_ms"][-1]), cut)


def talib_alone(columns: Columns) -> None:
    """The same indicators over the whole series, and nothing done with them."""
    high, low, close, volume = (columns[name] for name in ("high", "low", "close", "volume"))
    for period in (7, 14, 21):
        talib.SMA(close, period)
    for period in (12, 26):
        talib.EMA(close, period)
    talib.RSI(close, 14)
    talib.MACD(close, 12, 26, 9)
    talib.BBANDS(close, 20, 2.0, 2.0)
    talib.OBV(close, volume)
    talib.VWAP(high, low, close, volume)
    talib.ATR(high, low, close, 14)


def handles_alone(bars: Any) -> Callable[..., None]:
    """The bare handles of the same indicators, fed one candle, their answers dropped."""
    _, high, low, close, volume = bars
    sma_7, sma_14, sma_21 = (stream.SMA(close, period).update for period in (7, 14, 21))
    ema_12, ema_26 = (stream.EMA(close, period).update for period in (12, 26))
    rsi, macd, bbands = stream.RSI(close, 14).update, stream.MACD(close).update, stream.BBANDS(close, 20).update
    obv, vwap = stream.OBV(close, volume).update, stream.VWAP(high, low, close, volume).update
    atr = stream.ATR(high, low, close, 14).update

    def update(_o: float, h: float, l: float, c: float, v: float) -> None:  # noqa: E741
        sma_7(c)
        sma_14(c)
        sma_21(c)
        ema_12(c)
        ema_26(c)
        rsi(c)
        macd(c)
        bbands(c)
        obv(c, v)
        vwap(h, l, c, v)
        atr(h, l, c)

    return update


def each(update: Callable[..., object], bars: list[tuple[float, ...]]) -> None:
    """One call a candle."""
    for o, h, l, c, v in bars:  # noqa: E741
        update(o, h, l, c, v)


def bulk(columns: Columns) -> None:
    """From nothing to all rows, a month a frame."""
    stage = Indicators(FlowSettings())
    state = stage.new()
    for first in range(0, MINUTES, 30 * 1440):
        stage.step(state, frame(columns, first, first + 30 * 1440))


def values_alone(bars: F8, out: F8) -> None:
    """TA-Lib over each day and its anchor, into one table: what anchoring costs, without the stage."""
    values = Values(())
    for first in range(1440, MINUTES, 1440):
        values.fill(out[:, first : first + 1440], bars[:, first - ANCHOR : first + 1440], anchored=True, whole=True)


def talib_on_anchors(columns: Columns) -> None:
    """TA-Lib's own calls on the very segments that we need: each day behind its anchor, the answers dropped."""
    for first in range(1440, MINUTES, 1440):
        talib_alone({name: columns[name][first - ANCHOR : first + 1440] for name in ("high", "low", "close", "volume")})


def live_step(columns: Columns) -> float:
    """Seconds for frames of one candle each, all of the step around the handles included."""
    stage = Indicators(FlowSettings())
    state = stage.new()
    stage.step(state, frame(columns, 0, 1440))
    frames = [frame(columns, at, at + 1) for at in range(1440, 1440 + LIVE // 4)]

    def run() -> None:
        again = stage.restore(saved)
        for one in frames:
            stage.step(again, one)

    saved = stage.snapshot(state)
    return best_of(run) * 4


def main() -> None:
    """Print the tables."""
    columns = minutes()
    bulk(columns)
    talib_s, bulk_s = best_of(lambda: talib_alone(columns), 5), best_of(lambda: bulk(columns), 5)
    bars = np.stack([columns[name] for name in ("open", "high", "low", "close", "volume")])
    out = np.empty((len(DESIGN), MINUTES))
    values_s = best_of(lambda: values_alone(bars, out), 5) * DAYS / (DAYS - 1)
    same_s = best_of(lambda: talib_on_anchors(columns), 5) * DAYS / (DAYS - 1)
    rows = [
        ["TA-Lib's functions over the whole series", MINUTES / talib_s, 1.0, ""],
        ["TA-Lib's functions on the same anchored segments", MINUTES / same_s, talib_s / same_s, ""],
        ["each day on its anchor of 512 candles, one table", MINUTES / values_s, talib_s / values_s, ">= 0.5"],
        ["the stage: frames of 30 days in, frames of rows out", MINUTES / bulk_s, talib_s / bulk_s, ""],
    ]
    show(f"{DAYS} days of 1-minute candles → the design's indicators", "TA-Lib's own calls", rows)

    history, fed = np.ascontiguousarray(bars[:, : ANCHOR + 1]), list(zip(*bars[:, -LIVE:].tolist(), strict=True))
    ours = Values(()).open(history, anchored=True, whole=True)
    alone_s, ours_s = best_of(lambda: each(handles_alone(history), fed), 5), best_of(lambda: each(ours, fed), 5)
    step_s = live_step(columns)
    rows = [
        ["TA-Lib's handles alone", LIVE / alone_s, 1.0, ""],
        ["the default set, live: a candle → a row's values", LIVE / ours_s, alone_s / ours_s, ">= 0.5"],
        ["the stage, frames of one candle → a frame of one row", LIVE / step_s, alone_s / step_s, ""],
    ]
    show("one candle at a time", "the handles alone", rows)


if __name__ == "__main__":
    main()
