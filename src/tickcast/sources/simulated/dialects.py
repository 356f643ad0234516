"""How exchanges tell of the market: raw messages, in the layout of what was captured from them.

A dialect belongs to one connection: Coinbase numbers its messages. To add one, write a class with the three members of
`Dialect` and name it in DIALECTS; a mapper of the same exchange has to read the market's numbers back (tested).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import ConfigError
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.market import MarketBlock, Pair
from tickcast.sources.simulated.templates import Templates, compile_templates, render

SECOND_US = 1_000_000

T = TypeVar("T")


class Wire(NamedTuple):
    """Messages and when the venue sent each, in order; none is sent after the block's end."""

    time_us: NDArray[np.int64]
    raws: list[bytes]


class Dialect(Protocol):
    """One connection of one venue."""

    @property
    def numbered(self) -> bool:
        """Whether messages depend on how many went before: then blocks are passed over with `skip`."""
        ...

    def wire(self, block: MarketBlock) -> Wire:
        """The messages of a block."""
        ...

    def skip(self, block: MarketBlock) -> None:
        """Go on as if the block's messages had been sent."""
        ...


class Binance:
    """Binance spot, combined streams `@trade` and `@bookTicker`.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
     "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}
    """

    numbered = False

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self._templates = _by_kind_and_pair(
            pairs,
            '{"stream":"%(low)s@trade","data":{"e":"trade","E":<time_us:ms>,"s":"%(name)s","t":<id>,"p":"<price:8>",'
            '"q":"<quantity:8>","T":<time_us:ms>,"m":<maker:true|false>,"M":true}}',
            '{"stream":"%(low)s@bookTicker","data":{"u":<id>,"s":"%(name)s","b":"<bid:8>","B":"<bid_size:8>",'
            '"a":"<ask:8>","A":"<ask_size:8>"}}',
        )

    def wire(self, block: MarketBlock) -> Wire:
        """One message a row."""
        return Wire(block.rows[:, k.TIME_US].copy(), render(self._templates, _which(block), block.rows))

    def skip(self, block: MarketBlock) -> None:
        """Nothing is numbered by connection."""


class Kraken:
    """Kraken v2 `trade`, `ticker` and `heartbeat`; prices are JSON numbers, an order's fills come in one message.

    {"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1774.14,"qty":0.00147959,
     "ord_type":"limit","trade_id":64175815,"timestamp":"2026-07-07T23:00:04.585581Z"}]}

    A ticker's bid, ask and last are the market's; its day's figures are decoration.
    """

    numbered = False

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self._templates = _by_kind_and_pair(
            pairs,
            '{"symbol":"%(name)s","side":"<maker:sell|buy>","price":<price:.>,"qty":<quantity:8>,'
            '"ord_type":"limit","trade_id":<id>,"timestamp":"<time_us:iso>"}',
            '{"channel":"ticker","type":"update","data":[{"symbol":"%(name)s","bid":<bid:.>,"bid_qty":<bid_size:8>,'
            '"ask":<ask:.>,"ask_qty":<ask_size:8>,"last":<price:.>,"volume":0.00000000,"vwap":<price:.>,'
            '"low":<bid:.>,"high":<ask:.>,"change":0.0,"change_pct":0.00}]}',
        )

    def wire(self, block: MarketBlock) -> Wire:
        """An order a message, a quote a message, a heartbeat a second."""
        rows = block.rows
        texts = render(self._templates, _which(block), rows)
        same = rows[1:, [k.TIME_US, k.PAIR, k.KIND]] == rows[:-1, [k.TIME_US, k.PAIR, k.KIND]]
        first = np.flatnonzero(np.r_[True, ~same.all(axis=1) | (rows[1:, k.KIND] == k.QUOTE)][: len(rows)])
        last = np.r_[first[1:], len(rows)][: len(first)]
        raws = [
            texts[a]
            if kind == k.QUOTE
            else b'{"channel":"trade","type":"update","data":[' + b",".join(texts[a:b]) + b"]}"
            for a, b, kind in zip(first.tolist(), last.tolist(), rows[first, k.KIND].tolist(), strict=True)
        ]
        beats = [b'{"channel":"heartbeat"}'] * 60
        return Wire(*interleave(rows[first, k.TIME_US], raws, seconds_of(block), beats))

    def skip(self, block: MarketBlock) -> None:
        """Nothing is numbered by connection."""


class Coinbase:
    """Coinbase Advanced Trade `market_trades` (a pair's trades of 250 ms in one message), `ticker`, `heartbeats`.

    {"channel":"market_trades","timestamp":"2026-09-30T02:39:56.25330544Z","sequence_num":115,"events":[{"type":
     "update","trades":[{"product_id":"ETH-USD","trade_id":"846155152","price":"2666.64","size":"0.00007427",
     "time":"2026-09-30T02:39:56.164307Z","side":"SELL"}]}]}

    `side` is the maker's; the newest trade comes first. A ticker's best bid, best ask and price are the market's; its
    day's figures are decoration. Sequence numbers start at 0 and run over all channels of the connection.
    """

    numbered = True
    BATCH_US = 250_000

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self.sequence = 0
        self.beats = 0
        self._templates = _by_kind_and_pair(
            pairs,
            '{"product_id":"%(name)s","trade_id":"<id>","price":"<price:trim>","size":"<quantity:trim>",'
            '"time":"<time_us:iso>","side":"<maker:BUY|SELL>"}',
            '{"type":"ticker","product_id":"%(name)s","price":"<price:trim>","volume_24_h":"0",'
            '"low_24_h":"<bid:trim>","high_24_h":"<ask:trim>","low_52_w":"<bid:trim>","high_52_w":"<ask:trim>",'
            '"price_percent_chg_24_h":"0","best_bid":"<bid:trim>","best_ask":"<ask:trim>",'
            '"best_bid_quantity":"<bid_size:trim>","best_ask_quantity":"<ask_size:trim>"}',
        )
        self._stamp = compile_templates([("<time_us:iso>", {})])

    def wire(self, block: MarketBlock) -> Wire:
        """Batches of trades at the end of their quarter second, quotes when they are, a heartbeat a second."""
        rows = block.rows
        texts = render(self._templates, _which(block), rows)
        sent, order, first = self._batches(rows)
        last = np.r_[first[1:], len(rows)][: len(first)]
        events: list[tuple[bytes, bytes]] = []
        for a, b in zip(first.tolist(), last.tolist(), strict=True):
            parts = [texts[i] for i in order[a:b]]
            if rows[order[a], k.KIND] == k.QUOTE:
                events.append((b"ticker", b'{"type":"update","tickers":[' + parts[0] + b"]}"))
            else:
                events.append((b"market_trades", b'{"type":"update","trades":[' + b",".join(reversed(parts)) + b"]}"))
        beats = [self._beat(second) for second in seconds_of(block).tolist()]
        times_us, merged = interleave(sent[order[first]], events, seconds_of(block), beats)
        return Wire(times_us, self._enveloped(times_us, merged))

    def skip(self, block: MarketBlock) -> None:
        """Count the messages that would have been sent."""
        _, _, first = self._batches(block.rows)
        self.sequence += len(first) + 60
        self.beats += 60

    def _batches(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """When each row is sent, the rows in the order of sending, and where in it each message begins."""
        trade = rows[:, k.KIND] == k.TRADE
        sent = np.where(trade, (rows[:, k.TIME_US] // self.BATCH_US + 1) * self.BATCH_US, rows[:, k.TIME_US])
        group = np.where(trade, rows[:, k.PAIR], -1)
        order = np.lexsort((group, sent))
        s, g = sent[order], group[order]
        fresh = (s[1:] != s[:-1]) | (g[1:] != g[:-1]) | (g[1:] < 0)
        return sent, order, np.flatnonzero(np.r_[True, fresh][: len(rows)])

    def _beat(self, time_us: int) -> tuple[bytes, bytes]:
        self.beats += 1
        return b"heartbeats", b'{"current_time":"%b +0000 UTC","heartbeat_counter":%d}' % (
            self._stamps(np.array([time_us]))[0].replace(b"T", b" ").replace(b"Z", b""),
            self.beats,
        )

    def _stamps(self, times_us: NDArray[np.int64]) -> list[bytes]:
        rows = np.zeros((len(times_us), k.WIDTH), np.int64)
        rows[:, k.TIME_US] = times_us
        return render(self._stamp, np.zeros(len(rows), np.int64), rows)

    def _enveloped(self, times_us: NDArray[np.int64], events: list[tuple[bytes, bytes]]) -> list[bytes]:
        begin = self.sequence
        self.sequence += len(events)
        return [
            b'{"channel":"%b","timestamp":"%b","sequence_num":%d,"events":[%b]}' % (channel, stamp, number, event)
            for number, (stamp, (channel, event)) in enumerate(zip(self._stamps(times_us), events, strict=True), begin)
        ]


DIALECTS: dict[str, Callable[[tuple[Pair, ...]], Dialect]] = {
    "binance": Binance,
    "coinbase": Coinbase,
    "kraken": Kraken,
}


def dialect(exchange: str, pairs: tuple[Pair, ...]) -> Dialect:
    """A new connection to an exchange by name."""
    if exchange not in DIALECTS:
        raise ConfigError("simulated exchange", f"was {exchange!r}", f"choose one of {', '.join(DIALECTS)}")
    return DIALECTS[exchange](pairs)


def _by_kind_and_pair(pairs: tuple[Pair, ...], trade: str, quote: str) -> Templates:
    """Templates of all trades, then of all quotes."""
    texts = []
    for text in (trade, quote):
        for pair in pairs:
            sizes = dict.fromkeys(("quantity", "bid_size", "ask_size"), pair.quantity.decimals)
            prices = dict.fromkeys(("price", "bid", "ask"), pair.price.decimals)
            texts.append((text % {"name": pair.name, "low": pair.name.lower()}, sizes | prices))
    return compile_templates(texts)


def _which(block: MarketBlock) -> NDArray[np.int64]:
    """The template of each row."""
    which: NDArray[np.int64] = (block.rows[:, k.KIND] - k.TRADE) * len(block.pairs) + block.rows[:, k.PAIR]
    return which


def seconds_of(block: MarketBlock) -> NDArray[np.int64]:
    """The ends of a block's seconds."""
    ends: NDArray[np.int64] = block.start_ms * 1000 + SECOND_US * np.arange(1, 61)
    return ends


def interleave(
    times_us: NDArray[np.int64], items: list[T], other_times_us: NDArray[np.int64], others: list[T]
) -> tuple[NDArray[np.int64], list[T]]:
    """Put the others where their times belong, after the items of the same time.

    >>> interleave(np.array([1, 3]), ["a", "b"], np.array([3]), ["x"])
    (array([1, 3, 3]), ['a', 'b', 'x'])
    """
    cuts = np.searchsorted(times_us, other_times_us, side="right").tolist()
    merged: list[T] = []
    at = 0
    for cut, other in zip(cuts, others, strict=True):
        merged += items[at:cut]
        merged.append(other)
        at = cut
    merged += items[at:]
    return np.insert(times_us, cuts, other_times_us), merged
