"""Faults of connections, of their dials and of TLS, as a plain client sees them."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.unit.sources.simulated.exchange.faulty import CHANNELS, LIVE_MS, TIMES, VENUES, told
from tests.unit.sources.simulated.exchange.local import (
    PATIENCE_S,
    Local,
    run,
)
from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.faults.kinds import Fault


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
