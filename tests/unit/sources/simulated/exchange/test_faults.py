"""Each fault is seen to happen by a plain client, ends when it should, and changes nothing of what is true."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.unit.sources.simulated.exchange.local import (
    PAIRS,
    PATIENCE_S,
    START_MS,
    Local,
    Peer,
    events_of,
    rows_of,
    run,
    trades_of,
)
from tickcast.errors import ConfigError, WireError
from tickcast.events import Columns
from tickcast.sources.contract import Alive
from tickcast.sources.pages.registry import read_page
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.faults.kinds import KINDS, Fault, read_fault_flag, read_faults
from tickcast.sources.simulated.settings import MarketSettings

HOUR_MS = 3_600_000
LIVE_MS = START_MS + HOUR_MS
CHANNELS = {"binance": "trade", "coinbase": "market_trades", "kraken": "trade"}
VENUES = sorted(PAIRS)
MARKET = "/api/v3/brokerage/market/products"
TIMES = {"binance": "/api/v3/time", "coinbase": "/api/v3/brokerage/time", "kraken": "/0/public/Time"}
TRADES: dict[str, tuple[str, dict[str, Any]]] = {
    "binance": ("/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": 100}),
    "coinbase": (f"{MARKET}/BTC-USD/ticker", {"limit": 100}),
    "kraken": ("/0/public/Trades", {"pair": "XBTUSD", "count": 100}),
}


def true(local: Local, venue: str, at: int = 0, **span: Any) -> Columns:
    return local.exchange.truth(venue, PAIRS[venue][at], span.get("from_ms", LIVE_MS))


async def told(local: Local, peer: Peer, venue: str, seconds: float, at: int = 0) -> list[tuple[object, ...]]:
    """Trades of one pair that come while time passes."""
    local.passes(seconds)
    return trades_of(events_of(venue, await peer.waiting()), PAIRS[venue][at])


async def trades_page(local: Local, venue: str) -> Columns:
    path, params = TRADES[venue]
    return read_page(venue, "trades", PAIRS[venue][0], 0, await local.raw(venue, path, **params))


# connections


@pytest.mark.parametrize("venue", VENUES)
def test_a_cut_says_goodbye_with_its_code(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            local.exchange.faults.inject(Fault(kind="cut", venue=venue, code=1012))
            end = await peer.end()
        assert (aiohttp.WSMsgType.CLOSE, 1012) == (end.type, end.data)
        async with local.listen(venue, CHANNELS[venue]) as peer:
            assert await told(local, peer, venue, 60)

    run(test)


def test_a_cut_meets_its_venue_alone_and_as_many_connections_as_it_says() -> None:
    async def test(local: Local) -> None:
        async with (
            local.listen("binance", "trade") as one,
            local.listen("binance", "trade") as two,
            local.listen("kraken", "trade") as other,
        ):
            local.exchange.faults.inject(Fault(kind="cut", venue="binance", count=1))
            assert 1001 == (await one.end()).data
            assert await told(local, two, "binance", 60)
            assert await told(local, other, "kraken", 1)

    run(test)


def test_a_reset_comes_without_a_goodbye() -> None:
    async def test(local: Local) -> None:
        async with local.listen("kraken", "trade") as peer:
            local.exchange.faults.inject(Fault(kind="cut", how="reset"))
            end = await peer.end()

        assert (aiohttp.WSMsgType.CLOSED, 1006) == (end.type, peer.socket.close_code)

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_half_open_connection_stays_and_answers_nothing(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            local.exchange.faults.inject(Fault(kind="half_open", venue=venue))
            await peer.socket.ping(b"alive?")
            for _ in range(10):
                local.passes(60)
            async with local.listen(venue, CHANNELS[venue]) as other:  # a round trip later, nothing has come
                assert await told(local, other, venue, 60)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.socket.receive(), 0.05)
            assert not peer.socket.closed

    run(test)


def test_a_half_open_connection_may_end_with_a_reset_at_last() -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "trade") as peer:
            local.exchange.faults.inject(Fault(kind="half_open", ms=50))

            assert aiohttp.WSMsgType.CLOSED == (await peer.end()).type

    run(test)


def test_binance_says_that_it_shuts_down_before_it_does() -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "trade") as peer:
            local.exchange.faults.inject(Fault(kind="shutdown", venue="binance", ms=50))
            assert {"e": "serverShutdown", "E": LIVE_MS} == await peer.json()
            assert 1001 == (await peer.end()).data

    run(test)


def test_the_cut_after_a_day_can_be_made_short() -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="age", venue="kraken", ms=30_000))
        async with local.listen("kraken", "trade") as peer:
            assert await told(local, peer, "kraken", 29.0)
            local.passes(1.5)
            assert 1001 == (await peer.end()).data

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_maintenance_closes_and_refuses_until_it_is_over(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, CHANNELS[venue]) as peer:
            local.exchange.faults.inject(Fault(kind="maintenance", venue=venue, seconds=30))
            if venue == "kraken":
                assert "maintenance" == (await peer.json())["data"][0]["system"]
            assert 1012 == (await peer.end()).data
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with local.dial(venue):
                pass
        assert 503 == refused.value.status
        status, _, body = await local.answer(venue, TIMES[venue])
        assert (status == 503) or b"EService:Unavailable" in body
        local.passes(30.1)
        async with local.listen(venue, CHANNELS[venue]) as peer:
            assert await told(local, peer, venue, 60)
        assert b"error" not in (await local.raw(venue, TIMES[venue])).replace(b'"error":[]', b"")

    run(test)


@pytest.mark.parametrize(("how", "code"), [("reset", 0), ("status", 429)])
def test_dials_are_refused_as_often_as_it_says(how: str, code: int) -> None:
    async def test(local: Local) -> None:
        count = 2 if code else 4  # this client dials once more by itself after a reset
        local.exchange.faults.inject(Fault(kind="refuse", venue="binance", how=how, code=code, count=count, ms=7000))
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError) as refused:
                async with local.dial("binance"):
                    pass
            if code:
                assert isinstance(refused.value, aiohttp.WSServerHandshakeError)
                assert (429, "7") == (refused.value.status, dict(refused.value.headers or ())["Retry-After"])
            else:
                assert not isinstance(refused.value, aiohttp.WSServerHandshakeError)
        async with local.dial("binance"):
            pass

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_country_is_refused_with_451(venue: str) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="geo", venue=venue))
        assert 451 == (await local.answer(venue, TIMES[venue]))[0]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with local.dial(venue):
                pass

        assert 451 == refused.value.status

    run(test)


def test_a_deaf_venue_answers_no_subscription_but_pings() -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="deaf", venue="binance", count=1))
        async with local.dial("binance") as peer:
            await peer.send({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
            assert [] == await peer.waiting()
            await peer.send({"method": "LIST_SUBSCRIPTIONS", "id": 2})
            assert {"result": [], "id": 2} == await peer.json()

    run(test)


# streams


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


# requests


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("code", [418, 429, 500, 502])
def test_requests_are_answered_with_a_status(venue: str, code: int) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="status", venue=venue, code=code, ms=3000, count=2))
        for _ in range(2):
            status, headers, body = await local.answer(venue, TIMES[venue])
            if venue == "kraken" and code == 429:
                assert (200, {"error": ["EAPI:Rate limit exceeded"]}) == (status, msgspec.json.decode(body))
                continue
            assert code == status
            if code == 429 or (venue == "binance" and code == 418):
                assert "3" == headers["retry-after"]
        assert 200 == (await local.answer(venue, TIMES[venue]))[0]

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_fault_of_one_pair_meets_requests_for_it_alone(venue: str) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="status", venue=venue, pair="BTC-USD", code=500))
        path, params = TRADES[venue]
        assert 500 == (await local.answer(venue, path, **params))[0]
        other = {name: str(value).replace("BTC", "ETH").replace("XBT", "ETH") for name, value in params.items()}
        assert 200 == (await local.answer(venue, path.replace("BTC", "ETH"), **other))[0]

    run(test)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("how", ["json", "body"])
def test_a_page_can_end_early(venue: str, how: str) -> None:
    async def test(local: Local) -> None:
        whole = await trades_page(local, venue)
        local.exchange.faults.inject(Fault(kind="truncated", venue=venue, how=how, count=1))
        with pytest.raises(WireError if how == "json" else aiohttp.ClientPayloadError):
            await trades_page(local, venue)
        assert rows_of(whole) == rows_of(await trades_page(local, venue))

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_page_can_have_fewer_rows_than_there_are(venue: str) -> None:
    async def test(local: Local) -> None:
        whole = rows_of(await trades_page(local, venue))
        local.exchange.faults.inject(Fault(kind="fewer", venue=venue, count=1))
        fewer = rows_of(await trades_page(local, venue))

        assert (100, 50) == (len(whole), len(fewer))
        assert set(fewer) < set(whole)
        assert whole == rows_of(await trades_page(local, venue))

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_pages_can_lag_behind(venue: str) -> None:
    async def test(local: Local) -> None:
        (number,) = local.exchange.faults.inject(Fault(kind="lag", venue=venue, ms=60_000))
        lagging = rows_of(await trades_page(local, venue))
        local.exchange.faults.remove(number)
        whole = rows_of(await trades_page(local, venue))

        assert LIVE_MS - 60_000 >= lagging[-1][4]
        assert whole[-1] not in lagging

    run(test)


def test_an_answer_can_be_late() -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="slow", venue="kraken", ms=200, count=1))
        loop = asyncio.get_running_loop()
        late = asyncio.create_task(local.answer("kraken", TIMES["kraken"]))
        began_s = loop.time()
        await late

        assert loop.time() - began_s >= 0.2

    run(test)


def test_a_file_can_be_damaged_so_that_its_checksum_tells() -> None:
    async def test(local: Local) -> None:
        path = "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-01-01.zip"
        local.exchange.faults.inject(Fault(kind="checksum", count=1))
        damaged = await local.raw("binance", path)
        digest = (await local.raw("binance", path + ".CHECKSUM")).split()[0].decode()
        whole = await local.raw("binance", path)

        assert digest != hashlib.sha256(damaged).hexdigest()
        assert digest == hashlib.sha256(whole).hexdigest()

    run(test, hours=24.1, market=MarketSettings(seed=7, trades_per_second=0.05))


# tls


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of our own, that nobody trusts unless told to."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    try:
        subprocess.run([*words, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl to make a certificate")
    return str(cert), str(key)


def test_a_certificate_that_nobody_trusts_is_a_failure_and_a_trusted_one_is_not(certificate: tuple[str, str]) -> None:
    cert, key = certificate

    async def test(local: Local) -> None:
        url = local.server.base("binance") + "/api/v3/time"
        assert url.startswith("https://")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await local.http.get(url)
        async with local.http.get(url, ssl=ssl.create_default_context(cafile=cert)) as answer:
            assert 200 == answer.status

    run(test, tls_cert=cert, tls_key=key)


def test_a_handshake_can_be_broken_and_heals(certificate: tuple[str, str]) -> None:
    cert, key = certificate

    async def test(local: Local) -> None:
        context = ssl.create_default_context(cafile=cert)
        url = local.server.base("kraken").replace("https", "wss") + "/v2"
        local.exchange.faults.inject(Fault(kind="tls", seconds=5))
        with pytest.raises(aiohttp.ClientConnectorError):
            await local.http.ws_connect(url, ssl=context)
        local.passes(6)
        async with local.http.ws_connect(url, ssl=context) as socket:
            assert b"online" in (await socket.receive(PATIENCE_S)).data.encode()

    run(test, tls_cert=cert, tls_key=key)


def test_a_certificate_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")

    async def test(local: Local) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match=r"cert\.pem"):
        run(test, tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "cert.pem"))


# how they are handled


def test_faults_wait_for_their_time_end_with_it_and_are_listed() -> None:
    async def test(local: Local) -> None:
        faults = local.exchange.faults
        assert faults.calm()
        faults.inject(Fault(kind="lag", after_s=10, seconds=5, venue="kraken", ms=100))
        assert ("waiting", 15.0) == (faults.list()[0]["state"], faults.list()[0]["left_s"])
        local.passes(10.5)
        assert ("running", 4.5) == (faults.list()[0]["state"], faults.list()[0]["left_s"])
        await local.raw("kraken", "/0/public/Trades", pair="XBTUSD")
        local.passes(4.5)
        assert {"kind": "lag", "venue": "kraken", "after_s": 10.0, "seconds": 5.0, "ms": 100} == faults.list()[0][
            "fault"
        ]
        assert ("ended", 1, None) == tuple(faults.list()[0][name] for name in ("state", "hits", "left_s"))
        assert faults.calm()

    run(test)


def test_faults_are_injected_listed_and_taken_away_over_http() -> None:
    async def test(local: Local) -> None:
        address = local.server.address
        several = [{"kind": "status", "venue": "binance", "code": 500}, {"kind": "lag", "after_s": 60}]
        async with local.http.post(f"{address}/faults", json=several) as answer:
            assert {"numbers": [1, 2]} == await answer.json()
        assert 500 == (await local.answer("binance", TIMES["binance"]))[0]
        async with local.http.get(f"{address}/faults") as answer:
            listed = await answer.json()
        assert [("running", 1), ("waiting", 0)] == [(one["state"], one["hits"]) for one in listed]
        async with local.http.delete(f"{address}/faults/1"):
            pass
        assert 200 == (await local.answer("binance", TIMES["binance"]))[0]
        async with local.http.delete(f"{address}/faults"):
            pass
        assert local.exchange.faults.calm()
        for wrong in (b'{"kind":"stal"}', b'{"kind":"stall","pair":"DOGE-USD"}', b"[", b'{"kind":"cut","speed":1}'):
            async with local.http.post(f"{address}/faults", data=wrong) as answer:
                assert (400, ["error"]) == (answer.status, list(await answer.json()))

    run(test)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind":"stal"}', "did you mean stall"),
        ('{"kind":"stall","how":"gently"}', "knows no way 'gently'"),
        ('{"kind":"stall","venue":"bitstamp"}', "there is no venue 'bitstamp'"),
        ('{"kind":"skip","chance":0}', "chance was 0.0"),
        ('{"kind":"skip","channel":"books"}', "channel was 'books'"),
        ('{"kind":"skip","seconds":-1}', "seconds was -1.0"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_nearest_right_word(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_faults(text.encode())


@pytest.mark.parametrize("text", ["stall,venue", "stall,venue=", "skip,chance=much", "nothing"])
def test_a_flag_that_is_no_fault_is_refused(text: str) -> None:
    if text == "stall,venue=":
        assert Fault(kind="stall") == read_fault_flag(text)
        return
    with pytest.raises(ConfigError):
        read_fault_flag(text)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_fault_changes_what_is_true(kind: str) -> None:
    async def market(local: Local, faults: list[Fault]) -> list[tuple[object, ...]]:
        local.exchange.faults.inject(*faults)
        for _ in range(30):
            local.passes(1.0)
        return rows_of(local.exchange.truth("kraken", "BTC/USD"))

    async def calm(local: Local) -> list[tuple[object, ...]]:
        return await market(local, [])

    async def rough(local: Local) -> list[tuple[object, ...]]:
        async with local.listen("kraken", "trade", "ticker"):
            return await market(local, [Fault(kind=kind, seconds=20, chance=0.5)])

    assert run(calm, hours=0.1) == run(rough, hours=0.1)
