"""A live system over real sockets: refused in time, several exchanges at once, whole again after a pause."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runners.home import (
    VENUES,
    check_whole,
    clock_of,
    here_and_now,
    is_whole,
    long_ago,
    moved,
    now_s,
    run_until_whole,
    sail,
    settings_for,
)
from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.errors import ConfigError
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.origins import Origins
from tickcast.runners.system import Options, System
from tickcast.sources.history.rest import Patience

pytestmark = pytest.mark.long

NO_PATIENCE = Patience(attempts=1, backoff_s=0.01, backoff_max_s=0.01, wait_max_s=1.0, timeout_s=1.0)


@pytest.fixture(scope="module")
def exchange() -> Iterator[ExchangeProcess]:
    with ExchangeProcess(long_ago()) as running:
        yield running


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can not be reached is given up at once."""
    monkeypatch.setattr("tickcast.runners.origins.CHECK", NO_PATIENCE)
    monkeypatch.setattr("tickcast.runners.origins.START", NO_PATIENCE._replace(timeout_s=5.0, wait_max_s=30.0))
    monkeypatch.setattr("tickcast.runners.fetching.AGAIN_S", 0.5)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_three_exchanges_at_once_and_a_second_start_goes_on_where_the_first_ended(
    exchange: ExchangeProcess, tmp_path: Path
) -> None:
    """
    |---- history ----|-- live --|   pause   |-- live --|      stored = traded, each once; candles of the pause complete
    """
    root = tmp_path / "data"
    first = run_until_whole(root, exchange, VENUES)
    stopped_ms = int(exchange.ask("/status")["now_ms"])
    second = run_until_whole(root, exchange, VENUES)

    check_whole(root, exchange, VENUES)
    assert set(VENUES) == {one.exchange for one in second.live.connections}
    assert second.market_ms > stopped_ms > first.market_ms - 60_000
    assert all(second.counts[kind] > first.counts[kind] for kind in ("candles", "features", "ticks_features"))
    assert {} == second.quarantined


def test_a_stop_in_the_middle_of_history_loses_nothing(exchange: ExchangeProcess, tmp_path: Path) -> None:
    root = tmp_path / "data"
    sail(_system(root, exchange), lambda system: system.shown.phase == "history" and system.shown.messages > 0)
    run_until_whole(root, exchange, VENUES)

    check_whole(root, exchange, VENUES)


def _system(root: Path, exchange: ExchangeProcess) -> System:
    return System(settings_for(root, exchange.address, VENUES), Options(simulated=True), clock_of(exchange))


@pytest.mark.parametrize(
    ("venue", "pairs", "told"),
    [
        ("binance", ("BTCUSD",), "did you mean BTCUSDT"),
        ("kraken", ("BTC/USDT",), "did you mean BTC/USD"),
        ("coinbase", ("BTC-USDC",), "write BTC-USD"),
        ("coinbase", ("BTC-USD", "BTC-USDC"), "leave BTC-USDC out"),
        ("binance", ("BTC-USD",), "write BTCUSDT"),
        ("binance", ("BTCUSDT", "BTCUSDT"), "named twice"),
        ("binnance", ("BTCUSDT",), "did you mean binance"),
    ],
)
def test_what_can_not_be_read_is_refused_before_anything_is_made(
    venue: str, pairs: tuple[str, ...], told: str, exchange: ExchangeProcess, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("tickcast.runners.embedded.Embedded.warm_up", _never)
    settings = asking_for(tmp_path / "data", exchange, venue, pairs)

    with pytest.raises(ConfigError, match=told):
        System(settings, Options(), SystemClock()).run()
    assert not (tmp_path / "data").exists()


def asking_for(root: Path, exchange: ExchangeProcess, venue: str, pairs: tuple[str, ...]) -> Settings:
    known = {name: f"{name}={exchange.base(name)}" for name in VENUES}
    return Settings(
        data_dir=root, exchange=venue, pairs=pairs, endpoints=(known[venue],) if venue in known else (), port=0
    )


def _never(self: object) -> None:
    raise AssertionError("the compiler was started")


def test_an_exchange_that_can_not_be_reached_is_said_and_read_once_it_is_there(tmp_path: Path, hasty: None) -> None:
    port, root = free_port(), tmp_path / "data"
    later: list[ExchangeProcess] = []
    seen: list[Any] = []
    settings = settings_for(root, f"http://127.0.0.1:{port}", VENUES)
    system = System(settings, Options(), SystemClock())

    def come_late(running: System) -> bool:
        live = running.shown.live
        waiting = {one.exchange for one in live.connections if one.state == "waiting"} if live is not None else set()
        if not later and waiting == set(VENUES):
            seen.extend((running.shown, running.watch.ready(), running.watch.health()))
            later.append(ExchangeProcess(moved(here_and_now(), port=port)))
            later[0].start()
        return bool(later) and is_whole(running) and running.watch.ready()["ready"]

    try:
        summary = sail(system, come_late)
        check_whole(root, later[0], VENUES)
    finally:
        for one in later:
            one.stop()

    shown, ready, health = seen
    for venue in VENUES:
        assert any(f"the pairs of {venue} could not be checked" in note for note in shown.notes)
        assert not ready["ready"]
        reason = next(check for check in ready["checks"] if check["name"] == f"connection {venue}/1")
        assert "dials again in" in reason["detail"]
    assert "ok" == health["status"]
    assert set(VENUES) == {one.exchange for one in summary.live.connections if one.state == "open"}


def test_an_exchange_that_takes_the_question_and_says_nothing_does_not_keep_the_start_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickcast.runners.origins.CHECK_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with closing(Origins(settings_for(tmp_path, address, VENUES), SystemClock())) as origins:
            said = origins.check()

    assert 3 == len(said)
    assert all("did not tell its pairs within 0.2 s; they are taken on trust" in one for one in said)


def test_an_exchange_that_dies_and_comes_back_is_repaired_and_dialled_in_between_within_its_limits(
    tmp_path: Path, hasty: None
) -> None:
    port, root = free_port(), tmp_path / "data"
    settings = moved(here_and_now(), port=port)
    exchanges = [ExchangeProcess(settings)]
    exchanges[0].start()
    down_s: list[float] = []
    told: list[Any] = []

    def die_and_come_back(running: System) -> bool:
        if not down_s and is_whole(running):
            exchanges[0].stop()
            down_s.append(now_s())
        elif down_s and len(exchanges) == 1 and now_s() - down_s[0] > 4.0:
            told.extend((running.watch.ready(), running.watch.health()))
            exchanges.append(ExchangeProcess(settings))
            exchanges[1].start()
            down_s.append(SystemClock().now_ns() // 1_000_000)
        return len(down_s) == 2 and is_whole(running, int(down_s[1]))

    system = System(settings_for(root, f"http://127.0.0.1:{port}", VENUES), Options(), SystemClock())
    try:
        summary = sail(system, die_and_come_back)
        check_whole(root, exchanges[1], VENUES)
    finally:
        for one in exchanges:
            one.stop()

    ready, health = told
    assert not ready["ready"]
    assert "ok" == health["status"]
    assert all(one.reconnects <= 20 for one in summary.live.connections)
    assert all(not pair.gaps_lost for pair in summary.live.pairs)
