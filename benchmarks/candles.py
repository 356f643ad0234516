"""Candles from trades, beside the group-by of Polars and DuckDB on the same columns.

All on one core; DuckDB is shown on all cores too. The peers add up plain doubles; we also drop doubles, look for holes,
and add up exactly. Aims: >= 1.5 times the better of the two on columns; a small frame costs a few microseconds.
"""

from __future__ import annotations

import math
import os
from functools import partial
from itertools import pairwise

import duckdb
import numpy as np
import polars as pl

from benchmarks.table import best_of, show
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import Columns, Frame

TRADES = 5_000_000
START_MS = 1_723_075_200_000
ROUNDS = 5


def trades(count: int = TRADES, seed: int = 7) -> Columns:
    """A random walk, about a hundred trades a second."""
    rng = np.random.default_rng(seed)
    times = START_MS + np.cumsum(rng.integers(0, 20, count))
    price = np.round(60_000 + np.cumsum(rng.integers(-30, 31, count)) / 100, 2)
    numbers = np.arange(count, dtype=np.int64)
    return {
        "trade_id": numbers,
        "first_id": numbers.copy(),
        "price": price,
        "quantity": np.round(rng.lognormal(-4.0, 1.5, count) + 1e-5, 5),
        "timestamp_ms": times,
        "recv_ms": times,
        "is_buyer_maker": rng.random(count) < 0.5,
        "bid": price,
        "ask": price,
    }


def frames(columns: Columns, size: int) -> list[Frame]:
    """The columns as frames of so many rows."""
    count = len(columns["trade_id"])
    whole = Frame("trades", "binance", "BTCUSDT", 0, columns)
    return [whole.slice(start, stop, 0) for start, stop in pairwise([*range(0, count, size), count])]


def ours(parts: list[Frame], candle_seconds: tuple[int, ...]) -> int:
    """One stage, one state."""
    stage = Candles(FlowSettings(candle_seconds))
    state = stage.new()
    return sum(len(out) for part in parts for out in stage.step(state, part))


def with_polars(table: pl.DataFrame, candle_seconds: tuple[int, ...]) -> int:
    """A group-by for each length; all lengths in one query plan."""
    price, quantity = pl.col("price"), pl.col("quantity")
    plans = [
        table.lazy()
        .group_by((pl.col("timestamp_ms") // (1000 * seconds)).alias("window"), maintain_order=True)
        .agg(
            price.first().alias("open"), price.max().alias("high"), price.min().alias("low"),
            price.last().alias("close"), quantity.sum().alias("volume"),
            (price * quantity).sum().alias("quote_volume"),
            quantity.filter(~pl.col("is_buyer_maker")).sum().alias("buy_volume"), pl.len().alias("trade_count"),
        )
        for seconds in candle_seconds
    ]  # fmt: skip
    return sum(made.height for made in pl.collect_all(plans))


def with_duckdb(database: duckdb.DuckDBPyConnection, candle_seconds: tuple[int, ...], cores: int = 1) -> int:
    """The same in SQL, from a table that is already in its memory; 0 cores are all."""
    database.execute(f"SET threads = {cores or os.cpu_count()}")
    return sum(
        len(
            database.execute(
                f"SELECT timestamp_ms // {1000 * seconds} AS win, first(price), max(price), min(price), last(price), "
                "sum(quantity), sum(price * quantity), sum(quantity) FILTER (WHERE NOT is_buyer_maker), count(*) "
                "FROM trades GROUP BY win ORDER BY win"
            ).fetchnumpy()["win"]
        )
        for seconds in candle_seconds
    )


def main() -> None:
    """Print the tables."""
    columns = trades()
    table = pl.DataFrame(columns)
    database = duckdb.connect()
    database.register("source", table.to_arrow())
    database.execute("CREATE TABLE trades AS SELECT * FROM source")
    whole = frames(columns, TRADES)
    ours(frames({name: column[:1000] for name, column in columns.items()}, 16), (60,))
    for candle_seconds in ((60,), (1,), (1, 60, 300)):
        works = {
            f"Polars {pl.__version__}, one thread": partial(with_polars, table, candle_seconds),
            f"DuckDB {duckdb.__version__}": partial(with_duckdb, database, candle_seconds),
            f"DuckDB {duckdb.__version__}, all cores": partial(with_duckdb, database, candle_seconds, cores=0),
            "ours, one frame": partial(ours, whole, candle_seconds),
        }
        spent = dict.fromkeys(works, math.inf)
        for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all alike
            for name, work in works.items():
                spent[name] = min(spent[name], best_of(work, 1))
        peer = min(seconds for name, seconds in spent.items() if not name.startswith("ours") and "all" not in name)
        rows: list[tuple[object, ...]] = [
            (name, TRADES / seconds, peer / seconds, ">= 1.5" if name.startswith("ours") else "")
            for name, seconds in spent.items()
        ]
        for size in (64, 16):
            parts = frames({name: column[: 10_000 * size] for name, column in columns.items()}, size)
            live = best_of(partial(ours, parts, candle_seconds), ROUNDS)
            rate = 10_000 * size / live
            rows.append((f"ours, frames of {size}, {live / 10_000 * 1e6:.1f} µs each", rate, rate * peer / TRADES, ""))
        show(f"Candles of {', '.join(map(str, candle_seconds))} s", "the better peer", rows)


if __name__ == "__main__":
    main()
