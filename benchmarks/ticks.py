"""Tick features: three windows of time and one of sixty ticks, five measures each, beside Polars' rolling kernels.

Polars works on all the cores it finds; we use one. Aims: >= 3 times Polars on columns, <= 1 µs a tick in frames of 16.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import polars as pl

from benchmarks.table import best_of, show
from tickcast.config import FlowSettings
from tickcast.events import Columns, Frame
from tickcast.ticks.stage import Ticks

TRADES = 2_000_000
START_MS = 1_723_075_200_000
SPANS = ("30s", "60s", "300s")


def trades(count: int = TRADES, seed: int = 7) -> Columns:
    """A random walk with quotes, about twenty trades a second."""
    rng = np.random.default_rng(seed)
    times = START_MS + np.cumsum(rng.exponential(50.0, count)).astype(np.int64)
    bid = np.round(60_000 + np.cumsum(rng.integers(-30, 31, count)) / 100, 2)
    numbers = np.arange(count, dtype=np.int64)
    return {
        "trade_id": numbers,
        "first_id": numbers.copy(),
        "price": bid.copy(),
        "quantity": np.round(rng.lognormal(-4.0, 1.5, count) + 1e-5, 5),
        "timestamp_ms": times,
        "recv_ms": times,
        "is_buyer_maker": rng.random(count) < 0.5,
        "bid": bid,
        "ask": np.round(bid + 0.01, 2),
    }


def frames(columns: Columns, size: int) -> list[Frame]:
    """The columns as frames of so many rows."""
    count = len(columns["trade_id"])
    whole = Frame("trades", "binance", "BTCUSDT", 0, columns)
    return [whole.slice(start, stop, 0) for start, stop in pairwise([*range(0, count, size), count])]


def ours(parts: list[Frame]) -> int:
    """One stage, one state."""
    stage = Ticks(FlowSettings())
    state = stage.new()
    return sum(len(out) for part in parts for out in stage.step(state, part))


def with_polars(columns: Columns) -> int:
    """The same measures of the same windows; the returns are made once."""
    mid = (pl.col("bid") + pl.col("ask")) / 2
    change = (mid / mid.shift(1)).log()
    table = pl.DataFrame({name: columns[name] for name in ("timestamp_ms", "bid", "ask")}).lazy()
    table = table.with_columns(
        pl.from_epoch("timestamp_ms", "ms").alias("t").set_sorted(), mid.log().alias("log"), change.alias("r"),
        pl.lit(1, pl.Int64).alias("one"), (change * change).alias("rr"),
        (pl.col("ask") - pl.col("bid")).alias("spread"),
    )  # fmt: skip
    made = []
    for span in SPANS:
        made += [
            pl.col("r").rolling_sum_by("t", span).alias(f"midprice_return_{span}"),
            pl.col("rr").rolling_sum_by("t", span).sqrt().alias(f"rolling_vol_{span}"),
            pl.col("r").rolling_mean_by("t", span).alias(f"ret_mean_{span}"),
            pl.col("r").rolling_std_by("t", span).alias(f"ret_std_{span}"),
            pl.col("one").rolling_sum_by("t", span).alias(f"n_{span}"),
        ]
    made += [
        (pl.col("log") - pl.col("log").shift(60)).alias("midprice_return_60t"),
        pl.col("rr").rolling_sum(60).sqrt().alias("rolling_vol_60t"),
        pl.col("r").rolling_mean(60).alias("ret_mean_60t"),
        pl.col("r").rolling_std(60).alias("ret_std_60t"),
    ]
    return table.select("timestamp_ms", "spread", *made).collect().height


def main() -> None:
    """Print the table."""
    columns = trades()
    ours(frames({name: column[:1000] for name, column in columns.items()}, 16))
    whole, live = frames(columns, TRADES), {name: column[:200_000] for name, column in columns.items()}
    polars, single = math.inf, math.inf
    for _ in range(3):
        polars = min(polars, best_of(lambda: with_polars(columns), 1))
        single = min(single, best_of(lambda: ours(whole), 1))
    rows: list[tuple[object, ...]] = [
        (f"Polars {pl.__version__}, rolling, one thread", TRADES / polars, 1.0, ""),
        ("ours, one frame", TRADES / single, polars / single, ">= 3"),
    ]
    for size in (50_000, 64, 16):
        parts = frames(columns if size > 64 else live, size)
        spent = best_of(lambda parts=parts: ours(parts), 3)  # type: ignore[misc]
        count = sum(len(part) for part in parts)
        each = f", {spent / count * 1e6:.2f} µs a tick"
        rows.append((f"ours, frames of {size}{each}", count / spent, count / spent / (TRADES / polars), "<= 1 µs"))
    show("Tick features: 3 windows of time, 1 of ticks", "Polars", rows)


if __name__ == "__main__":
    main()
