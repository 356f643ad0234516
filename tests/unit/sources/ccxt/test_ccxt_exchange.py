"""The feed at the local exchange: what it stored of a market whose connections were cut is what happened."""

from __future__ import annotations

import asyncio
import json
import random
import time

import pytest

from tickcast.clock import SystemClock
from tickcast.runners.exchange import ExchangeProcess
from tickcast.sources.ccxt import pauses, work
from tickcast.sources.ccxt.feed import CcxtFeed
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, busy_market, market_before

pytestmark = pytest.mark.long

PATIENCE_S = 60.0
CUTS = 3


def test_after_cuts_every_trade_is_there_once_as_it_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SETTLE_S", 0.3)
    monkeypatch.setattr(pauses, "FIRST_S", 0.2)
    now_ns = time.time_ns()
    now_ms = now_ns // 1_000_000
    market = market_before(busy_market(3, ["BTCUSDT", "ETHUSDT"]), now_ms, 0.1)
    settings = ExchangeSettings(market=market, venues=("binance",), live_from_ms=now_ms, live_at_ns=now_ns)
    stored: dict[str, dict[int, tuple[float, float, int, bool]]] = {"BTC/USDT": {}, "ETH/USDT": {}}
    blind = cuts = 0
    with ExchangeProcess(settings) as exchange:
        loop = asyncio.new_event_loop()
        base = exchange.base("binance")
        urls = {"api": {"public": f"{base}/api/v3", "ws": {"spot": f"{base.replace('http', 'ws')}/ws"}}}
        one_kind = {"name": "aggTrade"}  # else the stream counts trades and the pages aggregates, and they never meet
        kinds = {"fetchMarkets": {"types": ["spot"]}, "watchTrades": one_kind, "watchTradesForSymbols": one_kind}
        options = {"urls": urls, "options": kinds, "rateLimit": 20}
        feed = CcxtFeed(
            "binanceus", list(stored), clock=SystemClock(), loop=loop, chance=random.Random(1), options=options
        )
        ends_s = time.monotonic() + PATIENCE_S
        wanted = 60
        while min(map(len, stored.values())) < wanted:
            assert time.monotonic() < ends_s, (feed.notes(), feed.status())
            for message in feed.poll(0.2):
                said = json.loads(message.raw)
                blind += said.get("tickcast") == "blind"
                if said.get("ccxt") == "trade":
                    told = (float(said["price"]), float(said["amount"]), said["timestamp"], said["side"] == "sell")
                    assert stored[said["symbol"]].setdefault(int(said["id"]), told) == told
            if cuts < CUTS and min(map(len, stored.values())) > 20 * (cuts + 1):
                exchange.inject(Fault(kind="cut", venue="binance"))
                cuts += 1
                wanted += 40
        feed.close()
        loop.close()
        truth = {pair: exchange.truth("binance", pair.replace("/", ""), aggregates=True) for pair in stored}

    assert (CUTS, 0) == (cuts, blind)
    for pair, mine in stored.items():
        names = ("price", "quantity", "timestamp_ms", "is_buyer_maker")
        happened = list(zip(*(truth[pair][name] for name in names), strict=True))
        listed = [mine[number] for number in sorted(mine)]
        start = happened.index(listed[0])
        assert max(mine) - min(mine) + 1 == len(mine)
        assert happened[start : start + len(listed)] == listed
