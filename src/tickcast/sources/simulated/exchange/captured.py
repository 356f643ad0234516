"""A capture as a market: its trades and quotes, told anew by the exchange in all venues' words, at their own pace.

Trades are put in order of their ids, each once; a time that runs backwards within a pair waits for the one before it.
Quotes that the venue sent without a time get the receive time, less how far behind the messages with a time came.
Times are shifted as a whole, so that the capture begins when the exchange does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import DataError, WireError
from tickcast.sources.blocks import decode_line
from tickcast.sources.contract import Event, Mapper, Quote, Trade
from tickcast.sources.recorded import open_recording
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.exchange.making import Made
from tickcast.sources.simulated.market import Pair
from tickcast.sources.simulated.settings import Decimal
from tickcast.sources.simulated.signal import plant

I8 = NDArray[np.int64]
MINUTE_US = 60_000_000
DECIMALS_MAX = 8
EVENTS_MAX = 20_000_000


class Captured:
    """What was recorded, a minute at a time; it ends."""

    def __init__(self, paths: Sequence[Path], exchange: str, from_us: int) -> None:
        events = _read(paths, exchange)
        names = sorted({event.pair for event, _ in events if isinstance(event, Trade)})
        if not names:
            raise DataError(", ".join(map(str, paths)), "holds no trades", "name a capture of trades and best prices")
        behind_ms = _behind_ms(events)
        made = [_pair(at, name, events, behind_ms) for at, name in enumerate(names)]
        self.pairs: tuple[Pair, ...] = tuple(pair for pair, _, _ in made)
        self.first_aggregates = tuple(1 for _ in made)
        rows, first = np.concatenate([part for _, part, _ in made]), np.concatenate([part for _, _, part in made])
        order = np.argsort(rows[:, k.TIME_US], kind="stable")
        self._rows, self._first = rows[order], first[order]
        self.began_us = int(self._rows[0, k.TIME_US])
        """When it began by the venue's clock."""
        self._rows[:, k.TIME_US] += from_us - self.began_us
        self._at_us = from_us

    def next(self) -> Made | None:
        """The next minute that has anything in it, and the quiet before it."""
        times = self._rows[:, k.TIME_US]
        begin = int(np.searchsorted(times, self._at_us))
        if begin == len(times):
            return None
        start_us = self._at_us
        self._at_us = max(start_us, int(times[begin]) // MINUTE_US * MINUTE_US) + MINUTE_US
        end = int(np.searchsorted(times, self._at_us))
        return Made(start_us, self._at_us, self._rows[begin:end], self._first[begin:end])


Seen = tuple[Event, int]
"""An event, and its receive time in milliseconds (0: unknown)."""


def _read(paths: Sequence[Path], exchange: str) -> list[Seen]:
    """All trades and quotes; what no mapper can read is left out, as a replay would."""
    mappers: dict[str, Mapper] = {}
    found: list[Seen] = []
    for block in open_recording(paths, exchange=exchange or None):
        mapper = mappers.setdefault(block.exchange, mapper_for(block.exchange))
        for line in block.lines.splitlines():
            try:
                recv_ns, _, raw = decode_line(line)
                events = mapper.map_message(raw)
            except WireError:
                continue
            found += [(event, recv_ns // 1_000_000) for event in events if isinstance(event, Trade | Quote)]
        if len(found) > EVENTS_MAX:
            where = ", ".join(map(str, paths))
            raise DataError(where, f"holds more than {EVENTS_MAX:,} trades and quotes", "name a shorter capture")
    if len(mappers) > 1:
        where = ", ".join(map(str, paths))
        raise DataError(where, f"holds messages of {', '.join(sorted(mappers))}", "name captures of one exchange")
    return found


def _behind_ms(events: list[Seen]) -> int:
    """How much later than by the venue's clock messages were received, in the middle."""
    behind = [recv_ms - event.timestamp_ms for event, recv_ms in events if recv_ms and event.timestamp_ms]
    return int(np.median(behind)) if behind else 0


def _pair(at: int, name: str, events: list[Seen], behind_ms: int) -> tuple[Pair, I8, I8]:
    """One pair's rows in order of time, and the first id that each trade covers."""
    by_id = {event.trade_id: event for event, _ in events if isinstance(event, Trade) and event.pair == name}
    trades = [by_id[ident] for ident in sorted(by_id)]
    quotes = [
        (event, event.timestamp_ms or recv_ms - behind_ms)
        for event, recv_ms in events
        if isinstance(event, Quote) and event.pair == name and (event.timestamp_ms or recv_ms)
    ]
    sizes = [trade.quantity for trade in trades]
    sizes += [size for quote, _ in quotes for size in (quote.bid_size, quote.ask_size) if size == size]
    price_decimals = decimals([trade.price for trade in trades] + [p for q, _ in quotes for p in (q.bid, q.ask)])
    size_decimals = decimals(sizes)
    rows = np.zeros((len(trades) + len(quotes), k.WIDTH), np.int64)
    rows[:, k.PAIR] = at
    t, q = rows[: len(trades)], rows[len(trades) :]
    t[:, k.KIND], q[:, k.KIND] = k.TRADE, k.QUOTE
    times = np.array([trade.timestamp_ms for trade in trades], np.int64) * 1000
    t[:, k.TIME_US] = np.maximum.accumulate(times)
    t[:, k.ID] = [trade.trade_id for trade in trades]
    t[:, k.PRICE] = _steps([trade.price for trade in trades], price_decimals)
    t[:, k.QUANTITY] = _steps([trade.quantity for trade in trades], size_decimals)
    t[:, k.MAKER] = [trade.is_buyer_maker for trade in trades]
    first = np.r_[np.array([max(trade.first_id, 0) for trade in trades], np.int64), np.zeros(len(q), np.int64)]
    q[:, k.TIME_US] = [ms * 1000 for _, ms in quotes]
    q[:, k.ID] = np.arange(1, len(q) + 1)
    for column, field, places in (
        (k.BID, "bid", price_decimals),
        (k.BID_SIZE, "bid_size", size_decimals),
        (k.ASK, "ask", price_decimals),
        (k.ASK_SIZE, "ask_size", size_decimals),
    ):
        q[:, column] = _steps([getattr(quote, field) for quote, _ in quotes], places)
    order = np.argsort(rows[:, k.TIME_US], kind="stable")
    rows, first = rows[order], first[order]
    _carry(rows)
    price = Decimal(int(t[0, k.PRICE]), price_decimals)
    return Pair(name, price, Decimal(1, size_decimals), plant(0.0, 1e-4, 1.0)), rows, first


def _carry(rows: I8) -> None:
    """Each quote knows the last price, and each trade the best prices, as they were; what was before them, the next."""
    for kind, columns in ((k.TRADE, [k.PRICE]), (k.QUOTE, [k.BID, k.BID_SIZE, k.ASK, k.ASK_SIZE])):
        known = np.flatnonzero(rows[:, k.KIND] == kind)
        if len(known):
            source = known[np.maximum(np.searchsorted(known, np.arange(len(rows)), side="right") - 1, 0)]
            others = rows[:, k.KIND] != kind
            rows[np.ix_(others, columns)] = rows[source[others]][:, columns]


def decimals(values: list[float]) -> int:
    """The fewest decimals that write all of these exactly as they were read; 8 at most.

    >>> decimals([1.25, 3.0]), decimals([7.0]), decimals([0.1 + 0.2])
    (2, 0, 8)
    """
    column = np.array(values, np.float64)
    return next((n for n in range(DECIMALS_MAX) if (np.round(column * 10**n) / 10**n == column).all()), DECIMALS_MAX)


def _steps(values: list[float], places: int) -> I8:
    steps: I8 = np.round(np.nan_to_num(np.array(values, np.float64)) * 10**places).astype(np.int64)
    return steps
