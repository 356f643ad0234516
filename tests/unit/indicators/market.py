"""Candles for tests: real ones, made ones, and the ways to run a stage over them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.config import FlowSettings
from tickcast.events import CANDLES, Columns, Frame, concat
from tickcast.indicators.stage import Indicators

DAY_MS = 86_400_000
MONDAY_MS = 1_618_790_400_000
"""2021-04-19, a midnight."""

Stepper = Callable[[Any, Any, Frame], tuple[Any, list[Frame]]]
"""How a stage is fed: stage, state and frame to state and frames."""


def real_candles(shared_data: Path, coin: str = "BTC") -> Columns:
    """A month of minutes from Binance; on 2021-04-25 the exchange was away for 284 of them."""
    with gzip.open(shared_data / f"history/binance_1m_202104-05/{coin}_USDT-1m.json.gz") as file:
        return candles(np.array(json.load(file), dtype=np.float64))


def candles(rows: NDArray[np.float64], seconds: int = 60, revision: int = 0, quality: int = 0) -> Columns:
    """Rows of [start ms, open, high, low, close, volume] as a frame has them."""
    columns = CANDLES.rows([{}] * len(rows))
    columns["candle_seconds"][:] = seconds
    columns["window_start_ms"][:] = rows[:, 0]
    columns["window_end_ms"][:] = columns["known_at_ms"][:] = rows[:, 0] + seconds * 1000
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        columns[name][:] = rows[:, place]
    columns["quote_volume"][:] = columns["buy_volume"][:] = 1.0
    columns["revision"][:], columns["quality"][:] = revision, quality
    return columns


def walk(count: int, start_ms: int, seconds: int = 3600, seed: int = 1) -> NDArray[np.float64]:
    """A made market: rows for `candles`."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count))), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) + 0.25, np.minimum(opened, close) - 0.25
    starts = start_ms + np.arange(count) * seconds * 1000
    return np.column_stack([starts, opened, high, low, close, rng.integers(0, 50, count) / 8.0])


def cut(columns: Columns, edges: Iterable[int] = ()) -> list[Columns]:
    """The rows in several pieces."""
    places = [0, *edges, len(columns["volume"])]
    return [{name: c[a:b] for name, c in columns.items()} for a, b in pairwise(places) if b > a]


def frame(columns: Columns, low_ms: int = 0, whole_from_ms: int = 0) -> Frame:
    """Candles of BTCUSDT."""
    return Frame("candles", "binance", "BTCUSDT", low_ms, columns, whole_from_ms=whole_from_ms)


def in_one_process(stage: Any, state: Any, one: Frame) -> tuple[Any, list[Frame]]:
    """As the embedded runner does."""
    return state, stage.step(state, one)


def forgetting_everything(stage: Any, state: Any, one: Frame) -> tuple[Any, list[Frame]]:
    """As a runner does that keeps states as bytes, or was killed between any two frames."""
    state = stage.restore(stage.snapshot(state))
    out = stage.step(state, one)
    return stage.restore(stage.snapshot(state)), out


class Run:
    """A stage and its one state, fed piece by piece."""

    def __init__(self, step: Stepper, *indicators: str) -> None:
        self.stage = Indicators(FlowSettings(candle_seconds=(60, 3600), indicators=indicators))
        self.step, self.state = step, self.stage.new()

    def __call__(self, *pieces: Columns) -> Columns:
        """Rows that follow from some pieces, in their order."""
        found: list[Columns] = []
        for piece in pieces:
            self.state, out = self.step(self.stage, self.state, frame(piece))
            found += [one.columns for one in out]
        return concat(found) if found else {}

    @property
    def counts(self) -> dict[str, int]:
        """Only what was counted."""
        return {name: count for name, count in self.stage.counts(self.state).items() if count}


def bits(columns: Columns) -> list[tuple[Any, ...]]:
    """Rows as tuples that compare by bits: NaN equals NaN, 0.0 is not -0.0."""
    parts = [c.view(np.int64) if c.dtype == np.float64 else c for c in columns.values()]
    return list(zip(*(part.tolist() for part in parts), strict=True))


def final(columns: Columns) -> dict[tuple[int, int], tuple[Any, ...]]:
    """The row of the highest revision of each window, without its revision and times of knowledge."""
    if not columns:
        return {}
    names = [name for name in columns if name not in ("revision", "known_at_ms", "candle_revision")]
    rows = bits({name: columns[name] for name in names})
    return {(row[0], row[1]): row for _, row in sorted(zip(columns["revision"].tolist(), rows, strict=True))}


def said(columns: Columns, *names: str) -> list[Sequence[Any]]:
    """Some columns, as rows to compare with what a test expects."""
    return list(zip(*(columns[name].tolist() for name in names), strict=True)) if columns else []
