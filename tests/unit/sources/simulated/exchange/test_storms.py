"""Storms are drawn from a seed, written down, played again, and end with calm."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.simulated.exchange.local import PAIRS, Local, rows_of, run
from tickcast.sources.simulated.exchange.faults.kinds import KINDS, lines_of, read_lines
from tickcast.sources.simulated.exchange.faults.storms import CALM_SHARE, storm


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**40), seconds=st.floats(1.0, 600.0))
def test_a_storm_ends_with_calm_and_is_read_back_as_it_was_written(seed: int, seconds: float) -> None:
    drawn = storm(seed, seconds, pairs=["BTCUSDT", "ETH/USD"])

    assert drawn == storm(seed, seconds, pairs=["BTCUSDT", "ETH/USD"])
    assert list(drawn) == list(read_lines(lines_of(drawn)))
    ends_s = [fault.after_s + fault.seconds for fault in drawn]
    assert max(ends_s, default=0.0) <= seconds * (1 - CALM_SHARE) + 0.11
    assert all(fault.seconds > 0 or KINDS[fault.kind].once for fault in drawn)


def test_storms_know_all_kinds_that_need_no_further_means() -> None:
    drawn = {fault.kind for seed in range(200) for fault in storm(seed, 120)}

    assert KINDS.keys() - {"tls", "checksum", "anew"} == drawn


def test_a_storm_meets_the_venues_and_pairs_it_was_drawn_for() -> None:
    drawn = [fault for seed in range(50) for fault in storm(seed, 60, venues=["kraken"], pairs=["BTC/USD"])]

    assert {"kraken"} == {fault.venue for fault in drawn}
    assert {"", "BTC/USD"} == {fault.pair for fault in drawn}


@pytest.mark.parametrize("seed", range(4))
def test_an_exchange_lives_through_a_storm_and_tells_the_truth_after_it(seed: int) -> None:
    """Clients that come and go all the time; afterwards a new one gets everything again."""

    async def client(local: Local, venue: str, chance: random.Random) -> None:
        while not local.exchange.faults.calm():
            try:
                async with local.dial(venue) as peer:
                    for said in hello(venue):
                        await peer.send(said)
                    for _ in range(chance.randint(1, 30)):
                        await asyncio.wait_for(peer.socket.receive(), 0.05)
            except Exception:  # noqa: BLE001 (whatever a storm does to a client)
                pass
            await asyncio.sleep(0)

    async def rough(local: Local) -> list[list[tuple[object, ...]]]:
        drawn = local.exchange.storm(seed, 60)
        assert drawn
        chance = random.Random(seed)
        tasks = [asyncio.create_task(client(local, venue, chance)) for venue in PAIRS]
        for _ in range(600):
            local.passes(0.1)
            await asyncio.sleep(0)
        assert local.exchange.faults.calm()
        await asyncio.gather(*tasks)
        async with local.listen("kraken", "trade") as peer:
            local.passes(60)
            assert await peer.waiting()
        assert 0 == local.exchange.halls["binance"].wrong_us
        return [rows_of(local.exchange.truth("binance", pair)) for pair in PAIRS["binance"]]

    async def calm(local: Local) -> list[list[tuple[object, ...]]]:
        local.passes(120)
        return [rows_of(local.exchange.truth("binance", pair)) for pair in PAIRS["binance"]]

    assert run(calm, hours=0.1) == run(rough, hours=0.1)


def hello(venue: str) -> list[dict[str, object]]:
    if venue == "binance":
        return [{"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@bookTicker"], "id": 1}]
    if venue == "coinbase":
        return [{"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"}]
    return [{"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}]


def test_a_storm_is_ordered_over_http() -> None:
    async def test(local: Local) -> None:
        async with local.http.post(f"{local.server.address}/storm", json={"seed": 3, "seconds": 30}) as answer:
            told = await answer.read()
        drawn = storm(3, 30, pairs=[pair.name for pair in local.exchange.world.pairs])
        assert msgspec.json.encode(drawn) == told
        assert len(drawn) == len(local.exchange.faults.list())
        async with local.http.post(f"{local.server.address}/storm", json={"sed": 3}) as answer:
            assert 400 == answer.status

    run(test)
