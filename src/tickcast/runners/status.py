"""What a running system says of itself: rates, newest candles, lags. Plain data."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from tickcast.clock import Clock
from tickcast.events import QUALITY, Frame
from tickcast.runners.pipeline import Outputs

RATE_SPAN_S = 5.0
LAGS_KEPT = 2000


class CandleSeen(msgspec.Struct):
    """The newest candle of one pair and length."""

    exchange: str
    pair: str
    candle_seconds: int
    window_start_ms: int
    close: float
    volume: float
    trade_count: int
    quality: str
    revision: int
    rsi_14: float | None = None
    change: float | None = None


class LagSeen(msgspec.Struct):
    """Milliseconds from a message's arrival until all that follows from it was computed, over the last pumps."""

    p50: float
    p99: float
    worst: float


class Status:
    """Counts as they grow; rates over the last seconds of the machine's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.started_s = clock.monotonic_s()
        self.rows: dict[str, int] = {}
        self.candles: dict[tuple[str, str, int], CandleSeen] = {}
        self.closes: dict[tuple[str, str], deque[float]] = {}
        self.volatility: dict[tuple[str, str], float] = {}
        self.quarantined = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=600)
        self._lags_ms: deque[float] = deque(maxlen=LAGS_KEPT)

    def note(self, exchange: str, outputs: Outputs) -> None:
        """Take in what one block gave."""
        self.quarantined += len(outputs.rejects)
        for frame in outputs.frames:
            self.rows[frame.kind] = self.rows.get(frame.kind, 0) + len(frame)
            if frame.kind == "candles":
                self._candle(exchange, frame)
            elif frame.kind == "technical_indicators":
                self._indicator(exchange, frame)
            elif frame.kind == "ticks_features":
                self.volatility[exchange, frame.pair] = float(frame.columns["rolling_vol_60s"][-1])

    def _candle(self, exchange: str, frame: Frame) -> None:
        columns = frame.columns
        newest: dict[int, int] = {}
        for row, seconds in enumerate(columns["candle_seconds"].tolist()):
            newest[seconds] = row
        for seconds, row in newest.items():
            key = (exchange, frame.pair, seconds)
            seen = CandleSeen(
                exchange,
                frame.pair,
                seconds,
                int(columns["window_start_ms"][row]),
                float(columns["close"][row]),
                float(columns["volume"][row]),
                int(columns["trade_count"][row]),
                QUALITY[int(columns["quality"][row])],
                int(columns["revision"][row]),
            )
            before = self.candles.get(key)
            if before is not None and before.close:
                seen.change = seen.close / before.close - 1.0
            self.candles[key] = seen
        smallest = min(newest)
        track = self.closes.setdefault((exchange, frame.pair), deque(maxlen=60))
        track.extend(columns["close"][columns["candle_seconds"] == smallest][-60:].tolist())

    def _indicator(self, exchange: str, frame: Frame) -> None:
        for seconds, rsi in zip(
            frame.columns["candle_seconds"][-4:].tolist(), frame.columns["rsi_14"][-4:].tolist(), strict=True
        ):
            seen = self.candles.get((exchange, frame.pair, seconds))
            if seen is not None:
                seen.rsi_14 = None if rsi != rsi else rsi

    def spent(self, seconds: float) -> None:
        """Take in how long one pump's messages took."""
        self._lags_ms.append(seconds * 1000)

    def lag(self) -> LagSeen:
        """Over the last pumps; zeros before the first."""
        ranked = sorted(self._lags_ms) or [0.0]
        return LagSeen(*(round(ranked[min(len(ranked) - 1, int(len(ranked) * q))], 3) for q in (0.5, 0.99, 1.0)))

    def rate(self, total: int) -> float:
        """Messages a second over the last seconds, given how many came in all."""
        now = self._clock.monotonic_s()
        self._marks.append((now, total))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_SPAN_S:
            self._marks.popleft()
        (_, before), span = self._marks[0], now - self._marks[0][0]
        return (total - before) / span if span > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For /health and `--json`."""
        return {
            "rows": dict(self.rows),
            "quarantined": self.quarantined,
            "candles": [msgspec.to_builtins(seen) for seen in self.candles.values()],
        }
