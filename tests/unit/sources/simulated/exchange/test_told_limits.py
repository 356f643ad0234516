"""What the exchange puts up with from a client: its talk, its dials, its silence and its slowness."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.unit.sources.simulated.exchange.asking import HOUR_MS
from tests.unit.sources.simulated.exchange.local import (
    START_MS,
    Local,
    run,
)
from tickcast.sources.simulated.exchange.settings import Limits


def test_binance_pings_every_twenty_seconds_and_cuts_who_stays_silent() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance", "/stream?streams=btcusdt@trade") as peer:
            local.passes(20.0)
            local.passes(20.0)
            message = await peer.receive()
            while message.type == aiohttp.WSMsgType.TEXT:
                message = await peer.receive()
            assert (aiohttp.WSMsgType.PING, str(START_MS + HOUR_MS + 20_000).encode()) == (message.type, message.data)
            for _ in range(3):
                local.passes(21.0)
            end = await peer.end()

        assert 1008 == end.data

    run(test)


def test_binance_keeps_who_answers_its_pings() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance", "/stream?streams=btcusdt@trade") as peer:
            for _ in range(10):
                local.passes(20.0)
                await peer.waiting()
                await peer.waiting()  # the answer to the ping is on its way: ours comes behind it

    run(test)


def test_binance_cuts_after_a_day() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance") as peer:
            local.passes(61.0)
            end = await peer.end()

        assert 1001 == end.data

    run(test, limits=Limits(binance_max_age_s=60.0))


@pytest.mark.parametrize(("venue", "count"), [("binance", 5), ("coinbase", 8)])
def test_who_talks_too_much_is_cut(venue: str, count: int) -> None:
    async def test(local: Local) -> None:
        async with local.dial(venue) as peer:
            for _ in range(count):
                await peer.send({"method": "LIST_SUBSCRIPTIONS", "id": 1, "type": "?"})
            for _ in range(count):
                await peer.text()
            await peer.send({"id": 1})
            end = await peer.end()

        assert 1008 == end.data

    run(test, limits=Limits())


def test_pings_of_a_client_count_as_its_messages() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance") as peer:
            for _ in range(6):
                await peer.socket.ping(b"")
            message = await peer.receive()
            while message.type == aiohttp.WSMsgType.PONG:
                message = await peer.receive()

        assert 1008 == message.data

    run(test, limits=Limits())


def test_who_dials_too_often_is_refused_with_the_time_to_wait() -> None:
    async def test(local: Local) -> None:
        for _ in range(8):
            async with local.dial("coinbase"):
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with local.dial("coinbase"):
                pass
        local.clock.sleep(1.1)
        async with local.dial("coinbase"):
            pass

        assert 429 == refused.value.status
        assert "Retry-After" in (refused.value.headers or {})

    run(test, limits=Limits())


def test_coinbase_closes_who_subscribes_to_nothing_within_five_seconds() -> None:
    async def test(local: Local) -> None:
        async with local.dial("coinbase") as peer:
            local.passes(4.9)
            assert [] == await peer.waiting()
            local.passes(0.2)
            end = await peer.end()

        assert 1008 == end.data

    run(test)


def test_a_reader_that_is_too_far_behind_is_cut_and_counted() -> None:
    async def test(local: Local) -> None:
        async with local.listen("kraken", "trade", "ticker"):
            hall = local.exchange.halls["kraken"]
            for _ in range(600):
                local.passes(60)
                if not hall.sessions:
                    break
                await asyncio.sleep(0)

        assert 1 == hall.cut_slow
        assert 1 == local.exchange.status()["venues"]["kraken"]["cut_slow"]

    run(test, limits=Limits(backlog_bytes=100_000))
