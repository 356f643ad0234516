"""What really happened, for tests: the archive as the columns that stages would get from a perfect feed."""

from __future__ import annotations

import msgspec
import numpy as np

from tickcast.events import TRADES, Columns
from tickcast.sources.simulated.exchange.archive import Span
from tickcast.sources.simulated.exchange.world import World

TOLD = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")


def trades(world: World, pair: int, from_ms: int, to_ms: int, aggregates: bool = False) -> Columns:
    """The trades in [from_ms, to_ms), or the aggregates that Binance makes of them (`trade_id` is their last).

    `to_ms` 0 is now. Columns as in `events.TRADES`; nobody received them, so `recv_ms` is 0 and quotes are NaN.
    """
    now_us = world.now_us() + 1
    span = world.archives[pair].between(from_ms * 1000, min(to_ms * 1000, now_us) if to_ms else now_us)
    if aggregates:
        span = _joined(span)
    about = world.pairs[pair]
    rows = span.size
    return {
        **TRADES.empty(),
        "trade_id": span.id.copy(),
        "first_id": span.first.copy(),
        "price": span.price / 10.0**about.price.decimals,
        "quantity": span.quantity / 10.0**about.quantity.decimals,
        "timestamp_ms": span.time_us // 1000,
        "recv_ms": np.zeros(rows, np.int64),
        "is_buyer_maker": span.maker == 1,
        "bid": np.full(rows, np.nan),
        "ask": np.full(rows, np.nan),
    }


def _joined(span: Span) -> Span:
    if span.size == 0:
        return span
    first = np.flatnonzero(np.r_[True, span.aggregate[1:] != span.aggregate[:-1]])
    last = np.r_[first[1:], span.size] - 1
    joined = Span(*(column[last] for column in span))
    return joined._replace(quantity=np.add.reduceat(span.quantity, first), first=span.first[first])


def page(pair: str, columns: Columns) -> bytes:
    """The same as JSON."""
    return msgspec.json.encode({"pair": pair, **{name: columns[name].tolist() for name in TOLD}})
