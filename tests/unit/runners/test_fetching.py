"""What pairs need of the past: nobody waits for another's, and what could not be had is asked for until it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.unit.runners.home import (
    FAST_REST,
    START_MS,
    a_market,
    clock_of,
    is_whole,
    pairs_of,
    sail,
    settings_for,
)
from tickcast.runners.datadir import STORE_FILE
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.system import Options, System
from tickcast.runners.verify import verify
from tickcast.sources.history.rest import Patience
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.settings import ExchangeSettings
from tickcast.store.duckdb import DuckStore

pytestmark = pytest.mark.long

HOUR_MS = 3_600_000
QUICK = Patience(attempts=1, backoff_s=0.01, backoff_max_s=0.01, wait_max_s=60.0, timeout_s=10.0)
AWAY = Fault(kind="status", code=503, ms=1)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can not be had is given up at once, and asked for again soon."""
    monkeypatch.setattr("tickcast.runners.origins.CHECK", QUICK)
    monkeypatch.setattr("tickcast.runners.origins.START", QUICK)
    monkeypatch.setattr("tickcast.sources.live.exchange.STUCK_S", 1.0)
    monkeypatch.setattr("tickcast.runners.fetching.AGAIN_S", 0.5)
    monkeypatch.setattr("tickcast.runners.fetching.AGAIN_S_MAX", 2.0)


def an_exchange(**more: object) -> ExchangeProcess:
    """An hour of history, a long time ago."""
    market = a_market(5)
    settings = ExchangeSettings(market=market, live_from_ms=START_MS + HOUR_MS, speed=2.0, limits=FAST_REST)
    return ExchangeProcess(msgspec.structs.replace(settings, **more))


def a_system(root: Path, exchange: ExchangeProcess, venues: tuple[str, ...]) -> System:
    settings = settings_for(root, exchange.address, venues, candle_seconds=(60,))
    return System(settings, Options(simulated=True), clock_of(exchange))


def run(root: Path, exchange: ExchangeProcess, venues: tuple[str, ...], reached: Callable[[System], bool]) -> System:
    system = a_system(root, exchange, venues)
    sail(system, reached)
    return system


def minutes(root: Path, venue: str) -> dict[str, list[int]]:
    """Which minutes since the market's start the store has of each pair, up to ten minutes before the live ones."""
    store = DuckStore(root / STORE_FILE, read_only=True)
    try:
        return {
            pair: [
                (start_ms - START_MS) // 60_000
                for (start_ms,) in store.query(
                    f"SELECT window_start_ms FROM candles WHERE exchange = '{venue}' AND pair = '{pair}' ORDER BY 1"
                ).rows
            ]
            for pair in pairs_of((venue,))[venue]
        }
    finally:
        store.close()


def check_minutes(root: Path, exchange: ExchangeProcess, venue: str) -> None:
    """There is a candle of each minute that had a trade; whoever lists candles may leave the others out."""
    for pair, found in minutes(root, venue).items():
        times = exchange.truth(venue, pair, START_MS, START_MS + HOUR_MS)["timestamp_ms"]
        traded = {(time_ms - START_MS) // 60_000 for time_ms in times}
        assert not traded - set(found), (venue, pair, sorted(traded - set(found)))
    assert verify(root).holds


def is_live(system: System) -> bool:
    live = system.shown.live
    return live is not None and bool(live.pairs) and all(one.state == "live" for one in live.pairs)


@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_history_that_could_not_be_had_at_the_start_is_asked_for_while_live(venue: str, tmp_path: Path) -> None:
    """Of Kraken trades are fetched all the way, of the others candles."""
    seen: list[System] = []
    with an_exchange() as exchange:
        exchange.inject(AWAY)

        def recovers(system: System) -> bool:
            live = system.shown.live
            if not seen and live is not None and any(one.state == "open" for one in live.connections):
                seen.append(system)
                exchange.calm()
            return bool(seen) and is_whole(system)

        run(tmp_path, exchange, (venue,), recovers)

        check_minutes(tmp_path, exchange, venue)


def test_history_that_could_not_be_had_is_asked_for_at_the_next_start(tmp_path: Path) -> None:
    with an_exchange() as exchange:
        exchange.inject(AWAY)
        first = run(tmp_path, exchange, ("binance",), _has_waited)
        before = minutes(tmp_path, "binance")
        exchange.calm()
        run(tmp_path, exchange, ("binance",), is_whole)

        assert any("gave no answer" in note for note in first.shown.notes)
        assert all(not found or found[0] > 40 for found in before.values())
        check_minutes(tmp_path, exchange, "binance")


def _has_waited(system: System) -> bool:
    live = system.shown.live
    opened = live is not None and any(one.state == "open" for one in live.connections)
    return opened and bool(system.shown.fetching)


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    with an_exchange() as exchange:
        run(tmp_path, exchange, ("binance",), is_whole)
        phases: list[str] = []

        def reached(system: System) -> bool:
            phases.append(system.shown.phase)
            assert () == system.shown.fetching
            return is_whole(system)

        run(tmp_path, exchange, ("binance",), reached)

        assert "history" not in phases


def test_an_exchange_whose_history_takes_long_keeps_no_other_from_going_live(tmp_path: Path) -> None:
    with an_exchange() as exchange:
        exchange.inject(Fault(kind="slow", venue="kraken", ms=4000))
        seen: list[System] = []

        def reached(system: System) -> bool:
            shown = system.shown
            if not seen and is_live(system) and shown.fetching and shown.live:
                seen.append(system)
                assert {"binance"} == {one.exchange for one in shown.live.pairs}
                assert {("kraken", False)} == {(one.exchange, one.live) for one in shown.fetching}
                assert "history" == shown.phase
                exchange.calm()
            return bool(seen) and is_whole(system)

        run(tmp_path, exchange, ("binance", "kraken"), reached)

        assert seen
        for venue in ("binance", "kraken"):
            check_minutes(tmp_path, exchange, venue)


def test_a_pair_that_went_on_is_live_before_one_that_is_new(tmp_path: Path) -> None:
    """The new one's history is long; it comes over a connection of its own."""
    with an_exchange() as exchange:
        old, new = pairs_of(("kraken",))["kraken"]
        settings = settings_for(tmp_path, exchange.address, ("kraken",), candle_seconds=(60,))
        one = msgspec.structs.replace(settings, pairs=(f"kraken:{old}",))
        sail(System(one, Options(simulated=True), clock_of(exchange)), is_whole)
        exchange.inject(Fault(kind="slow", venue="kraken", ms=2000))
        seen: list[set[str]] = []

        def reached(system: System) -> bool:
            shown = system.shown
            if not seen and is_live(system) and shown.fetching and shown.live:
                seen.append({pair.pair for pair in shown.live.pairs})
                exchange.calm()
            return is_whole(system)

        summary = sail(System(settings, Options(simulated=True), clock_of(exchange)), reached)

        assert [{old}] == seen
        assert [(1, (old,)), (2, (new,))] == [(one.number, one.pairs) for one in summary.live.connections]
