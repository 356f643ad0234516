"""A pair that is delisted and listed anew: nothing in between, ids from 1 on, and REST tells it as the sockets do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tickcast.clock import ManualClock
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.rest.answers import Asked
from tickcast.sources.simulated.exchange.settings import UNLIMITED, ExchangeSettings
from tickcast.sources.simulated.settings import MarketSettings

START_MS = 1_735_689_600_000


@pytest.mark.parametrize("pair", ["BTCUSDT", ""])
def test_ids_of_a_pair_that_is_listed_anew_begin_with_1_after_a_pause(pair: str) -> None:
    clock = ManualClock(START_MS * 1_000_000)
    market = MarketSettings(seed=3, start_ms=START_MS - 120_000, trades_per_second=10.0)
    exchange = Exchange(ExchangeSettings(market=market, live_from_ms=START_MS, limits=UNLIMITED), clock)
    exchange.faults.inject(Fault(kind="anew", pair=pair, ms=20_000))
    for _ in range(4):
        clock.sleep(60.0)
        exchange.tick()

    found = exchange.truth("kraken", "BTC/USD")
    ids, times = found["trade_id"], found["timestamp_ms"]
    at = int(np.flatnonzero(np.diff(ids) < 0)[0]) + 1
    assert list(range(1, len(ids) - at + 1)) == ids[at:].tolist()
    assert np.all(np.diff(ids[:at]) == 1)
    assert times[at] - times[at - 1] >= 20_000
    other = exchange.truth("kraken", "ETH/USD")["trade_id"]
    assert (pair == "") == bool(np.any(np.diff(other) < 0))
    now_us = exchange.world.now_us()
    params = {"symbol": "BTCUSDT", "fromId": "3", "limit": "2"}
    answer = exchange.desks["binance"].answer(Asked("/api/v3/historicalTrades", params, "me", now_us, now_us, 0.0))
    assert [3, 4] == [row["id"] for row in json.loads(answer.body)]
