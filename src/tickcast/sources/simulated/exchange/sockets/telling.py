"""The three venues' messages, in the layout of what was captured from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.exchange.sockets.tellers import (
    BATCH_US,
    SENT,
    Plan,
    Teller,
    streams_of,
    with_aggregates,
)
from tickcast.sources.simulated.exchange.world import Happened
from tickcast.sources.simulated.market import Pair

I8 = NDArray[np.int64]

BINANCE_TRADE = (
    '{"stream":"%(low)s@trade","data":{"e":"trade","E":<sent_us:ms>,"s":"%(name)s","t":<id>,"p":"<price:8>",'
    '"q":"<quantity:8>","T":<time_us:ms>,"m":<maker:true|false>,"M":true}}'
)
BINANCE_QUOTE = (
    '{"stream":"%(low)s@bookTicker","data":{"u":<id>,"s":"%(name)s","b":"<bid:8>","B":"<bid_size:8>",'
    '"a":"<ask:8>","A":"<ask_size:8>"}}'
)
BINANCE_AGGREGATE = (
    '{"stream":"%(low)s@aggTrade","data":{"e":"aggTrade","E":<sent_us:ms>,"s":"%(name)s","a":<aggregate>,'
    '"p":"<price:8>","q":"<quantity:8>","f":<first>,"l":<id>,"T":<time_us:ms>,"m":<maker:true|false>,"M":true}}'
)
KRAKEN_TRADE = (
    '{"symbol":"%(name)s","side":"<maker:sell|buy>","price":<price:.>,"qty":<quantity:8>,'
    '"ord_type":"limit","trade_id":<id>,"timestamp":"<time_us:iso>"}'
)
KRAKEN_QUOTE = (
    '{"symbol":"%(name)s","bid":<bid:.>,"bid_qty":<bid_size:8>,"ask":<ask:.>,"ask_qty":<ask_size:8>,'
    '"last":<price:.>,"volume":0.00000000,"vwap":<price:.>,"low":<bid:.>,"high":<ask:.>,"change":0.0,'
    '"change_pct":0.00,"timestamp":"<time_us:iso>"}'
)
COINBASE_TRADE = (
    '{"product_id":"%(name)s","trade_id":"<id>","price":"<price:trim>","size":"<quantity:trim>",'
    '"time":"<time_us:iso>","side":"<maker:BUY|SELL>"}'
)
COINBASE_QUOTE = (
    '{"type":"ticker","product_id":"%(name)s","price":"<price:trim>","volume_24_h":"0",'
    '"low_24_h":"<bid:trim>","high_24_h":"<ask:trim>","low_52_w":"<bid:trim>","high_52_w":"<ask:trim>",'
    '"price_percent_chg_24_h":"0","best_bid":"<bid:trim>","best_ask":"<ask:trim>",'
    '"best_bid_quantity":"<bid_size:trim>","best_ask_quantity":"<ask_size:trim>"}'
)


class BinanceTeller(Teller):
    """A message a trade, an aggregate and a quote."""

    def __init__(self, pairs: tuple[Pair, ...], names: Sequence[str]) -> None:
        super().__init__(pairs, names)
        self._templates = self.templates(BINANCE_TRADE, BINANCE_QUOTE, BINANCE_AGGREGATE)

    def plan(self, block: Happened) -> Plan:
        """Each row is a message."""
        rows = with_aggregates(block)
        return Plan(rows[:, k.TIME_US].copy(), streams_of(rows, len(self.pairs)), rows, np.arange(len(rows)))

    def write(self, plan: Plan, begin: int, end: int) -> list[bytes]:
        """As combined streams; a connection that wants them bare unwraps them."""
        rows = plan.rows[begin:end]
        rows[:, SENT] = rows[:, k.TIME_US] + self.shift_us
        return self.rows_written(self._templates, plan, begin, end)[0]


class KrakenTeller(Teller):
    """A message an order and a quote."""

    def __init__(self, pairs: tuple[Pair, ...], names: Sequence[str]) -> None:
        super().__init__(pairs, names)
        quote = '{"channel":"ticker","type":"update","data":[' + KRAKEN_QUOTE + "]}"
        self._templates = self.templates(KRAKEN_TRADE, quote)

    def plan(self, block: Happened) -> Plan:
        """The fills of an order go together."""
        rows = block.rows
        same = (rows[1:, [k.TIME_US, k.PAIR, k.KIND]] == rows[:-1, [k.TIME_US, k.PAIR, k.KIND]]).all(axis=1)
        first = np.flatnonzero(np.r_[True, ~same | (rows[1:, k.KIND] == k.QUOTE)][: len(rows)])
        return Plan(rows[first, k.TIME_US], streams_of(rows[first], len(self.pairs)), rows, first)

    def write(self, plan: Plan, begin: int, end: int) -> list[bytes]:
        """Trades oldest first."""
        texts, first = self.rows_written(self._templates, plan, begin, end)
        cuts = [*first.tolist(), len(texts)]
        trades = len(self.pairs)
        return [
            b'{"channel":"trade","type":"update","data":[' + b",".join(texts[cuts[i] : cuts[i + 1]]) + b"]}"
            if stream < trades
            else texts[cuts[i]]
            for i, stream in enumerate(plan.streams[begin:end].tolist())
        ]


class CoinbaseTeller(Teller):
    """The events of messages; each connection puts its own envelope with its own number around them."""

    def __init__(self, pairs: tuple[Pair, ...], names: Sequence[str]) -> None:
        super().__init__(pairs, names)
        quote = '{"type":"update","tickers":[' + COINBASE_QUOTE + "]}"
        self._templates = self.templates(COINBASE_TRADE, quote)

    def plan(self, block: Happened) -> Plan:
        """Batches of trades at the end of their quarter second, quotes when they are."""
        rows = block.rows
        trade = rows[:, k.KIND] == k.TRADE
        ends = np.minimum((rows[:, k.TIME_US] // BATCH_US + 1) * BATCH_US, block.end_us)
        sent = np.where(trade, ends, rows[:, k.TIME_US])
        group = np.where(trade, rows[:, k.PAIR], -1)
        order = np.lexsort((group, sent))
        rows, sent, group = rows[order], sent[order], group[order]
        fresh = (sent[1:] != sent[:-1]) | (group[1:] != group[:-1]) | (group[1:] < 0)
        first = np.flatnonzero(np.r_[True, fresh][: len(rows)])
        return Plan(sent[first], streams_of(rows[first], len(self.pairs)), rows, first)

    def write(self, plan: Plan, begin: int, end: int) -> list[bytes]:
        """Trades newest first."""
        texts, first = self.rows_written(self._templates, plan, begin, end)
        cuts = [*first.tolist(), len(texts)]
        trades = len(self.pairs)
        return [
            b'{"type":"update","trades":[' + b",".join(texts[cuts[i] : cuts[i + 1]][::-1]) + b"]}"
            if stream < trades
            else texts[cuts[i]]
            for i, stream in enumerate(plan.streams[begin:end].tolist())
        ]
