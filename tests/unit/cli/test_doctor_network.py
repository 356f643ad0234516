"""The doctor's look at the network, against exchanges on loopback that behave and misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.sources.sockets.servers import certificate
from tickcast.cli import doctor, doctor_network
from tickcast.cli.finding import Finding
from tickcast.clock import ManualClock, SystemClock
from tickcast.config import Settings
from tickcast.sources.sockets.resolving import Resolver
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.contract import Endpoints
from tickcast.sources.venues.registry import VENUES

NOW_MS = 1_762_795_433_123

Handler = Callable[[web.Request], Any]


def times(offset_ms: int = 0) -> dict[str, Handler]:
    """Each venue's answer to what time it is."""
    now_ms = NOW_MS + offset_ms

    async def binance(_: web.Request) -> web.Response:
        return web.json_response({"serverTime": now_ms})

    async def coinbase(_: web.Request) -> web.Response:
        return web.json_response({"iso": "", "epochSeconds": str(now_ms // 1000), "epochMillis": str(now_ms)})

    async def kraken(_: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"unixtime": now_ms // 1000, "rfc1123": ""}})

    return {
        "/binance/api/v3/time": binance,
        "/coinbase/api/v3/brokerage/time": coinbase,
        "/kraken/0/public/Time": kraken,
    }


async def greet(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that says nothing."""
    opened = web.WebSocketResponse()
    await opened.prepare(request)
    async for _ in opened:
        pass
    return opened


SOCKETS: dict[str, Handler] = {"/binance/stream": greet, "/coinbase/ws": greet, "/kraken/v2": greet}


def answering(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(body if body is not None else {}, status=status, headers=headers)

    return handler


@contextmanager
def serving(handlers: dict[str, Handler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The handlers on loopback, in a thread of their own; gives where."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    port = 0

    async def serve() -> None:
        nonlocal port
        app = web.Application()
        for path, handler in handlers.items():
            app.router.add_get(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        ready.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.close()


def look(base: str, *names: str, asked: bool = True) -> dict[str, Finding]:
    endpoints = tuple(f"{name}={base}/{name}" for name in names)
    found = doctor_network.examine_network(
        Settings(endpoints=endpoints), ManualClock(NOW_MS * 1_000_000), names, asked=asked
    )
    assert len({one.check for one in found}) == len(found)
    return {one.check: one for one in found}


def test_exchanges_that_behave_are_well() -> None:
    with serving(times() | SOCKETS) as base:
        found = look(base, "binance", "coinbase", "kraken")

    assert [
        "binance rest", "binance clock", "binance socket",
        "coinbase rest", "coinbase clock", "coinbase socket",
        "kraken rest", "kraken clock", "kraken socket",
    ] == list(found)  # fmt: skip
    assert {"ok"} == {one.state for one in found.values()}
    assert found["binance rest"].found.startswith(f"{base}/binance answered in ")
    assert "opened in" in found["kraken socket"].found
    told = "this machine is 0.00 s behind the venue, give or take 0.00 s"
    assert [told, told] == [found[f"{name} clock"].found for name in ("binance", "coinbase")]


@pytest.mark.parametrize(
    ("offset_ms", "state", "text"),
    [
        (-5_000, "warn", "this machine is 5.00 s ahead of the venue, give or take 0.00 s"),
        (1_400, "warn", "this machine is 1.40 s behind the venue, give or take 0.00 s"),
        (900, "ok", "this machine is 0.90 s behind the venue, give or take 0.00 s"),
    ],
)
def test_a_wrong_clock_is_a_warning_that_says_that_data_are_not_affected(offset_ms: int, state: str, text: str) -> None:
    with serving(times(offset_ms) | SOCKETS) as base:
        found = look(base, "binance")["binance clock"]

    assert (state, text) == (found.state, found.found)
    assert ("the data are not affected" in found.remedy) == (state == "warn")


def test_a_venue_that_tells_whole_seconds_is_not_blamed_for_what_it_can_not_know() -> None:
    """Kraken says 17:23:52 all second long, at 52.223 too: by that this machine is 0.1 to 1.1 s ahead."""
    with serving(times(-900) | SOCKETS) as base:
        found = look(base, "kraken")["kraken clock"]
        assert ("ok", "this machine is 0.62 s ahead of the venue, give or take 0.50 s") == found[1:3]
    for offset_ms in (-2_500, 2_500):
        with serving(times(offset_ms) | SOCKETS) as base:
            assert "warn" == look(base, "kraken")["kraken clock"].state


@pytest.mark.parametrize("status", [451, 403])
def test_a_refusal_of_a_country_names_the_setting_that_leads_round_it(status: int) -> None:
    """REST and socket alike; the address is the user's own, so the venue's is named and not dialled."""
    no = answering(status, {"code": 0, "msg": "Service unavailable from a restricted location"})
    with serving({"/binance/api/v3/time": no, "/binance/stream": no}) as base:
        found = look(base, "binance")

    assert ["fail", "fail"] == [one.state for one in found.values()]
    rest = found["binance rest"]
    assert f"HTTP {status}: Service unavailable from a restricted location" in rest.found
    assert all("so a country or an address is refused" in one.found for one in found.values())
    assert {
        'write endpoints = ["binance=https://data-api.binance.vision"] into tickcast.toml'
        " (or set TICKCAST_ENDPOINTS=binance=https://data-api.binance.vision)"
    } == {one.remedy for one in found.values()}


def test_the_way_round_is_tried_where_the_venues_usual_address_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    no = answering(451)
    usual = {"/usual/api/v3/time": no, "/usual/stream": no}
    for way, told in ((times()["/binance/api/v3/time"], "answers"), (no, "does not answer")):
        with serving({**usual, "/way/api/v3/time": way}) as base:
            ws = base.replace("http", "ws")
            monkeypatch.setattr(
                Binance,
                "endpoints",
                (Endpoints(f"{ws}/usual/stream", f"{base}/usual"), Endpoints(f"{ws}/way/stream", f"{base}/way")),
            )
            found = doctor_network.examine_network(
                Settings(), ManualClock(NOW_MS * 1_000_000), ("binance",), asked=True
            )

        setting = f'write endpoints = ["binance={base}/way"] into tickcast.toml'
        assert [(setting, f"it {told} from here")] * 2 == [
            (one.remedy[: len(setting)], one.remedy.rpartition("; ")[2]) for one in found
        ]


def test_a_venue_without_other_hosts_says_so() -> None:
    with serving({"/kraken/0/public/Time": answering(451), "/kraken/v2": greet}) as base:
        found = look(base, "kraken")

    assert "the venue has no other hosts" in found["kraken rest"].remedy
    assert "ok" == found["kraken socket"].state


@pytest.mark.parametrize(
    ("handler", "state", "told"),
    [
        (answering(429, headers={"Retry-After": "7"}), "warn", "is asked too often from this address (HTTP 429)"),
        (answering(418, headers={"Retry-After": "120"}), "warn", "has locked this address out (HTTP 418)"),
        (answering(503), "warn", "is down or overloaded (HTTP 503)"),
        (answering(404), "fail", "does not answer as the venue does (HTTP 404)"),
        (answering(200, ["no time"]), "fail", "time"),
    ],
)
def test_other_refusals_are_named_with_what_to_do(handler: Handler, state: str, told: str) -> None:
    with serving({"/binance/api/v3/time": handler, "/binance/stream": greet}) as base:
        found = look(base, "binance")

    assert (state, "ok") == (found["binance rest"].state, found["binance socket"].state)
    assert told in found["binance rest"].found
    assert found["binance rest"].remedy


def test_a_wait_that_a_venue_asks_for_is_told() -> None:
    no = answering(418, headers={"Retry-After": "120"})
    with serving({"/binance/api/v3/time": no, "/binance/stream": greet}) as base:
        assert look(base, "binance")["binance rest"].remedy.startswith("wait 120 s")


def test_nobody_there_is_a_finding_for_each_road() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        found = look(f"http://127.0.0.1:{held.getsockname()[1]}", "binance")

    assert {"binance rest": "fail", "binance socket": "fail"} == {name: one.state for name, one in found.items()}
    assert "can not be reached" in found["binance rest"].found
    assert "nothing listens there" in found["binance socket"].found


def test_an_exchange_that_never_answers_does_not_hold_up_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and says nothing; the other exchange is looked at meanwhile."""
    monkeypatch.setattr(doctor_network, "STEP_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, serving(times() | SOCKETS) as base:
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/binance"
        settings = Settings(endpoints=(f"binance={mute}", f"kraken={base}/kraken"))
        found = doctor_network.examine_network(
            settings, ManualClock(NOW_MS * 1_000_000), ("binance", "kraken"), asked=True
        )

    states = {one.check: one.state for one in found}
    assert ["fail", "fail", "ok", "ok"] == [
        states[check] for check in ("binance rest", "binance socket", "kraken rest", "kraken socket")
    ]
    assert any("within 0.3 s" in one.found for one in found)


def test_a_step_that_nobody_bounded_is_bounded_by_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(_: Any) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(doctor_network, "WHOLE_S", 0.1)
    monkeypatch.setattr(doctor_network, "_venue", forever)

    assert "could not be looked at within 0.1 s" == look("http://127.0.0.1:1", "binance")["binance"].found


def test_a_port_that_speaks_no_tls_is_no_traceback() -> None:
    with serving(times() | SOCKETS) as base:
        found = look(base.replace("http", "https"), "binance")

    assert {"binance rest": "fail", "binance socket": "fail"} == {name: one.state for name, one in found.items()}
    assert "can not be reached" in found["binance rest"].found
    assert "speaks no TLS that we understand" in found["binance socket"].found


def test_a_certificate_that_is_not_trusted_points_at_the_clock_and_the_authorities(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "IP:127.0.0.1")
    with serving(times() | SOCKETS, context) as base:
        found = look(base.replace("http", "https"), "binance")

    assert ["fail", "fail"] == [one.state for one in found.values()]
    assert all("authorities" in one.remedy for one in found.values())


def unresolvable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(Resolver, "addresses", fail)


def test_without_a_network_it_says_so_once_and_does_not_fail_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolvable(monkeypatch)
    for asked, state in ((False, "warn"), (True, "fail")):
        [found] = doctor_network.examine_network(Settings(), SystemClock(), tuple(VENUES), asked=asked)

        assert ("network", state) == found[:2]
        assert "no exchange's name can be resolved (binance, coinbase, kraken)" == found.found
        assert "need no network" in found.remedy


def test_one_exchange_whose_names_do_not_resolve_is_named_with_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolvable(monkeypatch)
    [found] = doctor_network.examine_network(Settings(), SystemClock(), ("binance",), asked=True)

    assert ("binance names", "fail") == found[:2]
    assert (
        "api.binance.com and stream.binance.com can not be resolved (Temporary failure in name resolution)"
        == found.found
    )


def test_names_and_settings_that_are_wrong_are_findings() -> None:
    clock = ManualClock()

    [unknown] = doctor_network.examine_network(Settings(), clock, ("binnance",), asked=True)
    assert ("fail", "did you mean binance") == (unknown.state, unknown.remedy)
    [wrong] = doctor_network.examine_network(Settings(endpoints=("kraken=ftp://x",)), clock, ("kraken",), asked=True)
    assert "fail" == wrong.state
    assert "endpoints" in wrong.found


def test_the_command_looks_where_it_is_told_and_leaves_the_network_alone_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tickcast.cli.main import main

    monkeypatch.chdir(tmp_path)
    with serving(times() | SOCKETS) as base:
        flags = ["--exchange", "binance", "--endpoints", f"binance={base}/binance"]
        main(["doctor", "--json", *flags])
    told = {one["check"]: one for one in json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]}
    assert {"binance rest", "binance clock", "binance socket"} <= told.keys()
    assert "coinbase rest" not in told
    assert "warn" == told["binance clock"]["state"]  # the fake's clock stands still

    assert 0 == main(["doctor", "--json", "--offline", *flags])
    told = {one["check"]: one for one in json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]}
    assert "not looked at" == told["network"]["found"]


def test_an_exchange_that_is_asked_for_and_gone_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tickcast.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKCAST_ENDPOINTS", "kraken=http://127.0.0.1:1/kraken")

    assert 1 == main(["doctor", "--json", "--exchange", "kraken"])
    assert not json.loads(capsys.readouterr().out.splitlines()[-1])["healthy"]


def test_unasked_exchanges_are_all_three() -> None:
    assert tuple(VENUES) == doctor.EXCHANGES
