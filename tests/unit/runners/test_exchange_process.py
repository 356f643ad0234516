"""The local exchange as a process of its own: it starts, tells where it is, and never outlives who started it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from itertools import pairwise

import aiohttp
import msgspec
import psutil
import pytest

from tickcast.runners.exchange import ExchangeError, ExchangeProcess
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, busy_market
from tickcast.sources.simulated.settings import MarketSettings

START_MS = 1_735_689_600_000
LIVE_MS = START_MS + 600_000
SETTINGS = ExchangeSettings(market=MarketSettings(seed=3), live_from_ms=LIVE_MS)
PATIENCE_S = 60.0


async def get(url: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.read()


def test_it_tells_where_its_venues_are_and_what_is_true() -> None:
    with ExchangeProcess(SETTINGS) as exchange:
        told = msgspec.json.decode(asyncio.run(get(exchange.base("binance") + "/api/v3/time")))["serverTime"]
        early = exchange.truth("kraken", "BTC/USD", START_MS, LIVE_MS)
        same = exchange.truth("binance", "BTCUSDT", START_MS, LIVE_MS)
        exchange.inject(Fault(kind="maintenance", venue="kraken"))
        faults = exchange.ask("/faults")
        exchange.calm()
        storm = exchange.storm(5, 60)

        assert LIVE_MS <= told
        assert (LIVE_MS, 1.0) == (exchange.status_at_start["live_from_ms"], exchange.status_at_start["speed"])
        assert early["trade_id"] == same["trade_id"]
        assert len(early["trade_id"]) > 500
        assert ["running"] == [fault["state"] for fault in faults]
        assert all(isinstance(fault, Fault) for fault in storm)
        with pytest.raises(ExchangeError, match="refused"):
            exchange.truth("kraken", "DOGE/EUR")
        pid = exchange.pid
    assert not psutil.pid_exists(pid)


def test_what_is_wrong_with_its_settings_is_said_here() -> None:
    with ExchangeProcess(SETTINGS) as one:
        port = int(one.address.rpartition(":")[2])
        two = ExchangeProcess(msgspec.structs.replace(SETTINGS, port=port))
        with pytest.raises(ExchangeError, match="can not be listened on"):
            two.start()


def test_it_ends_with_its_parent_even_if_that_is_killed() -> None:
    code = f"""if True:
        import sys
        from tickcast.runners.exchange import ExchangeProcess
        from tickcast.sources.simulated.exchange.settings import ExchangeSettings
        exchange = ExchangeProcess(ExchangeSettings(live_from_ms={LIVE_MS}))
        exchange.start()
        print(exchange.pid, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()

    child.wait(PATIENCE_S)  # TimeoutExpired, if it lives on
    parent.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly_when_it_is_told_to(number: signal.Signals) -> None:
    words = [
        "--history-hours",
        "0.1",
        "--pairs",
        "BTC-USD,ETH-USD",
        "--venue",
        "kraken",
        "--storm",
        "3",
        "--fault",
        "deaf",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "tickcast", "exchange", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.split()[1]
    faults = msgspec.json.decode(asyncio.run(get(url.rpartition("/")[0] + "/faults")))
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)

    assert line.startswith("kraken    http://127.0.0.1:")
    assert 0 == process.returncode
    assert "Traceback" not in said
    assert "storm 3:" in said
    assert "deaf" in [fault["fault"]["kind"] for fault in faults]
    assert len(faults) == 1 + said.count('{"kind":')


def test_a_load_is_told_over_one_connection_without_a_hole() -> None:
    """Some seconds of it; how many a second is the benchmark's business."""
    settings = ExchangeSettings(market=busy_market(3), live_from_ms=START_MS + 1000, load=20_000.0)

    async def listen(base: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{base}/stream?streams=btcusdt@aggTrade") as socket,
        ):
            while len(spans) < 2000:
                data = (await socket.receive_json(timeout=PATIENCE_S))["data"]
                spans.append((data["f"], data["l"]))
        return spans

    with ExchangeProcess(settings) as exchange:
        spans = asyncio.run(listen(exchange.base("binance")))
        true = exchange.truth("binance", "BTCUSDT")["trade_id"]

    assert all(one[1] + 1 == two[0] for one, two in pairwise(spans))
    assert set(range(spans[0][0], spans[-1][1] + 1)) <= set(true)
