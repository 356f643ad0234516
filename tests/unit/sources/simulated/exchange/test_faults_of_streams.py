"""Faults of what streams tell, as a plain client sees them."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.unit.sources.simulated.exchange.faulty import CHANNELS, LIVE_MS, TIMES, VENUES, told
from tests.unit.sources.simulated.exchange.local import (
    PAIRS,
    Local,
    Peer,
    events_of,
    rows_of,
    run,
    trades_of,
)
from tickcast.errors import WireError
from tickcast.events import Columns
from tickcast.sources.contract import Alive
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.faults.kinds import Fault


def true(local: Local, venue: str, at: int = 0, **span: Any) -> Columns:
    return local.exchange.truth(venue, PAIRS[venue][at], span.get("from_ms", LIVE_MS))


@pytest.mark.parametrize("venue", VENUES)
def test_a_stalled_pair_is_silent_while_the_others_go_on(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            fault = Fault(kind="stall", venue=venue, pair=PAIRS[venue][0], seconds=120)
            local.exchange.faults.inject(fault)
            local.passes(60)
            raws = await peer.waiting()
            events = events_of(venue, raws)
            assert [] == trades_of(events, PAIRS[venue][0])
            assert rows_of(true(local, venue, 1))[:5] == trades_of(events, PAIRS[venue][1])[:5]
            if venue == "coinbase":  # nothing gives it away
                numbers = [msgspec.json.decode(raw)["sequence_num"] for raw in raws]
                assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
            local.passes(60.1)
            await peer.waiting()
            assert await told(local, peer, venue, 60)

    run(test)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("how", ["gentle", "stubborn"])
def test_a_gentle_stall_ends_when_the_pair_is_subscribed_anew_and_a_stubborn_one_lasts(venue: str, how: str) -> None:
    async def test(local: Local) -> None:
        pair, channel = PAIRS[venue][0], CHANNELS[venue]
        async with local.listen(venue, channel) as peer:
            local.exchange.faults.inject(Fault(kind="stall", pair="BTCUSDT", how=how))
            assert [] == await told(local, peer, venue, 60)
            await again(peer, venue, channel, pair)
            assert (how == "gentle") == bool(await told(local, peer, venue, 60))
            assert await told(local, peer, venue, 1, at=1) is not None
        async with local.listen(venue, channel) as peer:
            assert (how == "gentle") == bool(await told(local, peer, venue, 60))

    run(test)


async def again(peer: Peer, venue: str, channel: str, pair: str) -> None:
    """Unsubscribe and subscribe one pair."""
    for method in ("unsubscribe", "subscribe"):
        if venue == "binance":
            await peer.send({"method": method.upper(), "params": [f"{pair.lower()}@{channel}"], "id": 5})
        elif venue == "coinbase":
            await peer.send({"type": method, "product_ids": [pair], "channel": channel})
        else:
            await peer.send({"method": method, "params": {"channel": channel, "symbol": [pair]}})
    await peer.waiting()


def test_one_channel_of_a_pair_can_stall_alone() -> None:
    async def test(local: Local) -> None:
        async with local.listen("kraken", "trade", "ticker") as peer:
            local.exchange.faults.inject(Fault(kind="stall", venue="kraken", pair="BTC/USD", channel="trades"))
            local.passes(60)
            raws = [raw for raw in await peer.waiting() if b"BTC/USD" in raw]

        assert {b"ticker"} == {raw[12:18] for raw in raws}

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_skipped_messages_are_missing(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            (number,) = local.exchange.faults.inject(Fault(kind="skip", venue=venue, chance=0.3))
            local.passes(120)
            raws = await peer.waiting()
        found = trades_of(events_of(venue, raws), PAIRS[venue][0])
        expected = rows_of(true(local, venue))

        assert len(expected) > len(found) > 0
        assert set(found) < set(expected)
        assert local.exchange.faults.list()[0]["hits"] > 5
        assert number == local.exchange.faults.list()[0]["number"]
        if venue == "coinbase":
            numbers = [msgspec.json.decode(raw)["sequence_num"] for raw in raws]
            assert len(numbers) < numbers[-1] - numbers[0] + 1

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_doubled_messages_come_twice(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            local.exchange.faults.inject(Fault(kind="double", venue=venue, count=7))
            local.passes(120)
            raws = [raw for raw in await peer.waiting() if b"heartbeat" not in raw]

        assert 7 == len(raws) - len(set(raws))
        assert all(one == two for one, two in zip(raws[0:14:2], raws[1:14:2], strict=True))

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_reordered_messages_all_come_but_late(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            local.exchange.faults.inject(Fault(kind="reorder", venue=venue, chance=0.2))
            local.passes(120)
            local.passes(2)
            found = trades_of(events_of(venue, await peer.waiting()), PAIRS[venue][0])
        ids = [row[0] for row in found]

        assert ids != sorted(ids)
        assert sorted(found) == [row for row in rows_of(true(local, venue)) if row in set(found)]
        assert len(found) >= len(rows_of(true(local, venue))) - 8

    run(test)


@pytest.mark.parametrize("how", ["json", "utf8"])
def test_malformed_messages_can_not_be_read(how: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "trade") as peer:
            local.exchange.faults.inject(Fault(kind="malformed", how=how, count=1))
            local.passes(30)
            message = await peer.receive()
            if how == "utf8":
                assert aiohttp.WSMsgType.ERROR == message.type
                return
            with pytest.raises(WireError):
                mapper_for("binance").map_message(str(message.data).encode())
            assert events_of("binance", await peer.waiting())

    run(test)


def test_a_malformed_frame_breaks_the_connection() -> None:
    async def test(local: Local) -> None:
        async with local.listen("kraken", "trade") as peer:
            local.exchange.faults.inject(Fault(kind="malformed", how="frame", count=1))
            local.passes(30)
            message = await peer.receive()

        assert aiohttp.WSMsgType.ERROR == message.type
        assert isinstance(message.data, aiohttp.WebSocketError)

    run(test)


def test_an_oversized_message_is_as_large_as_it_says_and_still_true() -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "trade", pairs=["BTCUSDT"]) as peer:
            local.exchange.faults.inject(Fault(kind="oversized", count=1))
            local.passes(60)
            first = await peer.text()

        assert 20 << 20 == len(first)
        assert trades_of(events_of("binance", [first]), "BTCUSDT") == rows_of(true(local, "binance"))[:1]

    run(test)


def test_bytes_can_trickle() -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "trade", pairs=["BTCUSDT"]) as peer:
            local.passes(1)
            await peer.waiting()
            local.exchange.faults.inject(Fault(kind="drip", venue="binance", size=100, seconds=60))
            before = len(rows_of(true(local, "binance")))
            for _ in range(10):
                local.passes(1.0)
            assert 1000 > sum(map(len, [await peer.text() for _ in range(5)])) > 700
            local.passes(51)
            rest = await peer.waiting()
        happened = len(rows_of(true(local, "binance"))) - before

        assert happened == 5 + len(rest)

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_clock_can_be_wrong_in_messages_alone(venue: str) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="clock", venue=venue, how="messages", ms=-7000, seconds=10))
        clean = (await local.answer(venue, TIMES[venue]))[2]
        async with local.listen(venue, CHANNELS[venue]) as peer:
            if venue == "kraken":
                await peer.send({"method": "ping"})
                assert [Alive("", LIVE_MS - 7000)] == list(mapper_for(venue).map_message(await peer.text()))
            local.passes(9)
            raws = [raw for raw in await peer.waiting() if b"heartbeat" not in raw]
            found = trades_of(events_of(venue, raws), PAIRS[venue][0])
            assert found == rows_of(true(local, venue))[: len(found)]  # when a trade happened is as true as ever
            if venue == "binance":
                times = [msgspec.json.decode(raw)["data"] for raw in raws]
                assert {-7000} == {one["E"] - one["T"] for one in times}
            if venue == "coinbase":
                assert b'"timestamp":"2025-01-01T00:59:' in raws[0]
            local.passes(1.5)
        after = (await local.answer(venue, TIMES[venue]))[2]

        assert clean != after
        for body in (clean, after):
            assert b"2024" not in body

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_clock_can_be_wrong_in_rest_alone(venue: str) -> None:
    def read(raw: bytes) -> float:
        found = msgspec.json.decode(raw)
        if venue == "binance":
            return float(found["serverTime"]) / 1000
        return float(found["epochMillis"]) / 1000 if venue == "coinbase" else float(found["result"]["unixtime"])

    async def test(local: Local) -> None:
        (number,) = local.exchange.faults.inject(Fault(kind="clock", venue=venue, how="time", ms=60_000))
        assert LIVE_MS / 1000 + 60 == read(await local.raw(venue, TIMES[venue]))
        assert 0 == local.exchange.halls[venue].wrong_us
        local.exchange.faults.remove(number)
        assert LIVE_MS / 1000 == read(await local.raw(venue, TIMES[venue]))

    run(test)
