"""The three streams that features are made of, and ways to hand them in."""

from __future__ import annotations

from typing import Any

from tests.unit.indicators.market import (
    DAY_MS,
    MONDAY_MS,
    Stepper,
    bits,
    candles,
    forgetting_everything,
    in_one_process,
    walk,
)
from tickcast.config import FlowSettings
from tickcast.events import TICKS, Columns, Frame, concat
from tickcast.features.stage import Features
from tickcast.indicators.stage import Indicators

MINUTE_MS = 60_000
START_MS = MONDAY_MS + 10 * 3_600_000
SETTINGS = FlowSettings(candle_seconds=(60, 300))
HOURS = FlowSettings(candle_seconds=(3600,), spike_days=1, volatility_seconds=7200)
"""With these a threshold is known after three candles."""
MARKET = {seconds: walk(700, START_MS, seconds, seed=seconds) for seconds in (60, 300, 3600)}

__all__ = ["DAY_MS", "MONDAY_MS", "bits", "forgetting_everything", "in_one_process"]


def candle(place: int, seconds: int = 60, revision: int = 0, add: float = 0.0, **more: Any) -> Columns:
    """The candle of a place in the made market."""
    row = MARKET[seconds][[place]]
    row[:, 2:5] += add
    found = candles(row, seconds, revision=revision)
    for name, value in more.items():
        found[name][:] = value
    return found


def indicators_of(frames: list[Columns]) -> list[Columns]:
    """What the indicators stage makes of candles, frame by frame."""
    stage = Indicators(SETTINGS)
    state = stage.new()
    outs = [stage.step(state, Frame("candles", "x", "P", 0, columns)) for columns in frames]
    return [out.columns for step in outs for out in step]


def ticks(*at_ms: int) -> Columns:
    """Ticks at times after the start; the midprice tells which one it is."""
    columns = TICKS.rows([{"timestamp_ms": START_MS + at, "trade_id": at, "midprice": float(at)} for at in at_ms])
    for place, name in enumerate(TICKS.columns):
        if name not in ("timestamp_ms", "trade_id", "midprice"):
            columns[name][:] = [at + place for at in at_ms]
    return columns


class Run:
    """A stage and its one state."""

    def __init__(self, step: Stepper = in_one_process, settings: FlowSettings = SETTINGS) -> None:
        self.stage, self.step = Features(settings), step
        self.state = self.stage.new()

    def feed(self, kind: str, columns: Columns, low_ms: int = 0) -> Columns:
        """One frame; the rows that follow."""
        self.state, out = self.step(self.stage, self.state, Frame(kind, "x", "P", low_ms, columns))
        return concat([frame.columns for frame in out]) if out else {}

    def candles(self, *pieces: Columns) -> Columns:
        """Candles and the indicators that follow from them alone."""
        self.feed("candles", concat(list(pieces)))
        return self.feed("technical_indicators", concat(indicators_of(list(pieces))))

    def ticks(self, *at_ms: int, low_ms: int = 0) -> Columns:
        """Ticks, and how far their time has come."""
        return self.feed("ticks_features", ticks(*at_ms), START_MS + low_ms if low_ms else 0)

    @property
    def counts(self) -> dict[str, int]:
        """Only what was counted."""
        return {name: count for name, count in self.stage.counts(self.state).items() if count}
