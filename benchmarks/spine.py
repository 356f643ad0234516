"""The whole way, one core: raw Binance journal → trades → candles, tick features, indicators.

References in the same run: msgspec's typed decode of the same bytes alone, and the usual Python way (json, dicts,
deques, TA-Lib over a window). Aims: >= 0.45 of decode alone, >= 6 times the usual way.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import numpy as np
import talib

from benchmarks.table import best_of, show
from tickcast.config import FlowSettings
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.contract import Block

TRADES = 400_000
START_MS = 1_723_075_200_000


def journal(count: int = TRADES, seed: int = 7) -> bytes:
    """Journal lines of a random walk as Binance sends it, about four trades a second: more than a day of candles."""
    rng = np.random.default_rng(seed)
    times = START_MS + np.cumsum(rng.exponential(250.0, count)).astype(np.int64)
    cents = 6_000_000 + np.cumsum(rng.integers(-40, 41, count))
    sizes = np.maximum(1, rng.lognormal(5.0, 1.5, count).astype(np.int64))
    makers = rng.random(count) < 0.5
    lines = []
    rows = zip(times.tolist(), cents.tolist(), sizes.tolist(), makers.tolist(), strict=True)
    for number, (time_ms, price, size, maker) in enumerate(rows, start=3_735_683_259):
        lines.append(
            b'{"r":%d,"x":"binance","m":{"stream":"btcusdt@trade","data":{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,'
            b'"p":"%d.%02d000000","q":"%d.%05d000","T":%d,"m":%s,"M":true}}}\n'
            % (
                (time_ms + 3) * 1_000_000, time_ms + 1, number, price // 100, price % 100, size // 100_000,
                size % 100_000, time_ms, b"true" if maker else b"false",
            )
        )  # fmt: skip
    return b"".join(lines)


class _Data(msgspec.Struct, gc=False):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Combined(msgspec.Struct, gc=False):
    data: _Data


class _Line(msgspec.Struct, gc=False):
    r: int
    x: str
    m: _Combined


def decode_alone(lines: bytes) -> int:
    """Typed decode of each line, and nothing done with it."""
    decode = msgspec.json.Decoder(_Line).decode
    count = 0
    for line in lines.splitlines():
        decode(line)
        count += 1
    return count


def pieces(lines: bytes, size: int) -> Iterator[Block]:
    """Blocks of whole lines, of about `size` bytes."""
    start = 0
    while start < len(lines):
        stop = lines.find(b"\n", min(start + size, len(lines) - 1)) + 1
        yield Block("binance", lines[start:stop])
        start = stop


def ours(lines: bytes, size: int) -> int:
    """Every stage but the sink."""
    intake = Intake(Pipeline(FlowSettings()))
    return sum(len(frame) for block in pieces(lines, size) for frame in intake.take(block).frames)


def usual(lines: bytes) -> int:
    """What one finds in tutorials: json, a dict a candle, a deque a window, TA-Lib over the last hundred closes."""
    candle: dict[str, Any] = {}
    closes: deque[float] = deque(maxlen=100)
    highs: deque[float] = deque(maxlen=100)
    lows: deque[float] = deque(maxlen=100)
    volumes: deque[float] = deque(maxlen=100)
    windows: dict[int, deque[tuple[int, float]]] = {30: deque(), 60: deque(), 300: deque()}
    last, rows = 0.0, 0
    for line in lines.splitlines():
        trade = json.loads(line)["m"]["data"]
        price, quantity, time_ms = float(trade["p"]), float(trade["q"]), int(trade["T"])
        start = time_ms - time_ms % 60_000
        if candle and start > candle["start"]:
            for kept, name in ((closes, "close"), (highs, "high"), (lows, "low"), (volumes, "volume")):
                kept.append(candle[name])
            usual_indicators(*(np.array(kept) for kept in (highs, lows, closes, volumes)))
            rows += 1
            candle = {}
        if not candle:
            candle = {"start": start, "open": price, "high": price, "low": price, "close": price, "volume": 0.0}
        candle["high"] = max(candle["high"], price)
        candle["low"] = min(candle["low"], price)
        candle["close"] = price
        candle["volume"] += quantity
        if last:
            change = math.log(price / last)
            for span, window in windows.items():
                window.append((time_ms, change))
                while window[0][0] <= time_ms - span * 1000:
                    window.popleft()
        last, rows = price, rows + 1
    return rows


def usual_indicators(high: Any, low: Any, close: Any, volume: Any) -> None:
    """The design's set, over the window."""
    for period in (7, 14, 21):
        talib.SMA(close, period)
    for period in (12, 26):
        talib.EMA(close, period)
    talib.RSI(close, 14)
    talib.MACD(close)
    talib.BBANDS(close, 20)
    talib.OBV(close, volume)
    talib.ATR(high, low, close, 14)


def main() -> None:
    """Print the table."""
    lines = journal()
    ours(lines[: 1 << 20][: lines[: 1 << 20].rfind(b"\n") + 1], 1 << 18)
    alone = best_of(lambda: decode_alone(lines))
    rows: list[list[Any]] = [["msgspec typed decode alone", TRADES / alone, 1.0, ""]]
    sizes = (("whole way, blocks of 1 MiB", 1 << 20, ">= 0.45"), ("whole way, blocks of 64 trades", 64 * 185, ""))
    for label, size, aim in sizes:
        spent = best_of(partial(ours, lines, size))
        rows.append([label, TRADES / spent, alone / spent, aim])
    part = lines[: lines.find(b"\n", len(lines) // 8) + 1]
    usual_s = best_of(lambda: usual(part), times=2)
    usual_rate = part.count(b"\n") / usual_s
    rows.append(["usual way (json, dicts, deques, TA-Lib window)", usual_rate, usual_rate * alone / TRADES, ""])
    show("raw journal → candles, tick features, indicators", "decode alone", rows)
    print(f"whole way / usual way: {rows[1][1] / usual_rate:.1f} (aim >= 6)")


if __name__ == "__main__":
    main()
