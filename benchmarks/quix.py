"""Trades → 1-minute candles: our stage beside a QuixStreams tumbling window on librdkafka's mock cluster.

The window gets one JSON message a trade, as its users send them; its time counts from the first trade it handles to
the last, without the group's join. Aim: >= 20 times as many trades a second.
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer
from tests.conformance.kafka import MockCluster

from benchmarks.table import best_of, show
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import TRADES, Columns, Frame

QUIX_TRADES = 20_000
OURS_TRADES = 1_000_000
START_MS = 1_723_075_200_000


def trades(count: int, seed: int = 5) -> Columns:
    """A random walk, about four trades a second."""
    rng = np.random.default_rng(seed)
    return TRADES.empty() | {
        "trade_id": np.arange(1, count + 1),
        "first_id": np.arange(1, count + 1),
        "price": (6_000_000 + np.cumsum(rng.integers(-40, 41, count))) / 100,
        "quantity": np.maximum(1, rng.lognormal(5.0, 1.5, count).astype(np.int64)) / 1e5,
        "timestamp_ms": START_MS + np.cumsum(rng.exponential(250.0, count)).astype(np.int64),
        "recv_ms": np.zeros(count, dtype=np.int64),
        "is_buyer_maker": rng.random(count) < 0.5,
        "bid": np.full(count, np.nan),
        "ask": np.full(count, np.nan),
    }


def ours(columns: Columns, size: int) -> None:
    """The stage alone, in frames of `size` trades."""
    stage = Candles(FlowSettings())
    state = stage.new()
    times = columns["timestamp_ms"]
    whole = Frame("trades", "binance", "BTCUSDT", 0, columns)
    for start in range(0, len(times), size):
        stop = min(start + size, len(times))
        stage.step(state, whole.slice(start, stop, int(times[stop - 1])))


def window(columns: Columns) -> float:
    """Seconds that the tumbling window takes for all trades."""
    from quixstreams.dataframe.windows import First, Last, Max, Min, Sum

    cluster = MockCluster()
    producer = Producer({"bootstrap.servers": cluster.address, "log_level": 0})
    rows = zip(*(columns[name].tolist() for name in ("price", "quantity", "timestamp_ms")), strict=True)
    for price, quantity, time_ms in rows:
        value = json.dumps({"price": price, "quantity": quantity, "timestamp_ms": time_ms})
        producer.produce("bench-trades", value, "binance:BTCUSDT", timestamp=time_ms)
        producer.poll(0)
    producer.flush(30)
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        app = cluster.application("bench", Path(folder))
        seen = 0

        def count(_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen in (1, QUIX_TRADES):
                marks.append(time.perf_counter())
            if seen == QUIX_TRADES:
                app.stop()

        stream = app.dataframe(app.topic("bench-trades", value_deserializer="json"))
        candle = stream.tumbling_window(60_000).agg(
            open=First("price"), high=Max("price"), low=Min("price"), close=Last("price"), volume=Sum("quantity")
        )
        candle.current().update(count)
        with cluster.stopped_at(app, 120.0):
            app.run()
    if len(marks) != 2:
        raise TimeoutError(f"the window handled {seen} of {QUIX_TRADES} trades")
    return marks[1] - marks[0]


def main() -> None:
    """Print the table."""
    many, few = trades(OURS_TRADES), trades(QUIX_TRADES)
    ours(few, 64)
    rate = QUIX_TRADES / window(few)
    rows: list[list[Any]] = [["QuixStreams tumbling window, a message a trade", rate, 1.0, ""]]
    for size in (16, 64, OURS_TRADES):
        spent = best_of(partial(ours, many, size))
        rows.append([f"ours, frames of {size}", OURS_TRADES / spent, OURS_TRADES / spent / rate, ">= 20"])
    show("trades → 1-minute candles", "the window", rows)


if __name__ == "__main__":
    main()
