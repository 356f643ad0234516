"""Ctrl-C at any moment: it ends, says how, and the next start has every trade once.

To look for more, in all states and with their times: `python -m tests.simulation.test_stops 100 120`.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tickcast.runners.system
import tickcast.sources.binance_scan  # noqa: F401 - its kernels
from tests.unit.runners.home import NAMES, PATIENCE_S, VENUES, check_whole, flags_for, here_and_now, now_s, settings_for
from tickcast.clock import SystemClock
from tickcast.errors import TickcastError
from tickcast.journal.journal import Journal
from tickcast.kernels import warm_up
from tickcast.runners.datadir import STORE_FILE
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.verify import verify
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.store.client import QueryClient
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

STATES = ("starting", "history", "live", "half_open", "mute", "sealing", "demo")
"""`compiling` takes long: the hunt alone goes there."""
KEPT = (33,)
STOP_S = 30.0
"""Who takes longer does not end; five seconds are promised, and printed is what it was."""
CODES = (0, 130)
OLD_DAY_MS = 1_577_836_800_000
OLD_LINES, OLD_BYTES = 400, 100_000
"""Tens of megabytes of a day that is long over, to be sealed."""


class Stopped(NamedTuple):
    state: str
    phase: str
    code: int
    seconds: float
    last_words: str


@pytest.mark.parametrize("seed", KEPT)
def test_a_system_stopped_at_any_moment_ends_and_has_every_trade_once_in_the_end(seed: int, tmp_path: Path) -> None:
    """
    start - ^C  history - ^C  live - ^C  mute - ^C  sealing - ^C ---- start, whole, ^C: stored = traded, each once
    """
    hunt(seed, tmp_path, random.Random(seed).sample(STATES, 3))


def hunt(seed: int, folder: Path, states: list[str]) -> list[Stopped]:
    """Stop it once in each of the states; AssertionError says where it did not end as it should."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # who is started in the background hands on that it ignores
    warm_up()
    chance, found = random.Random(seed), []
    root = folder / "data"
    _old_day(root)
    with ExchangeProcess(here_and_now(seed)) as exchange, _mute() as nobody:
        for state in states:
            exchange.calm()
            where = nobody if state == "mute" else exchange.address
            command = [sys.executable, "-m", "tickcast", "up", *flags_for(settings_for(root, where, VENUES))]
            place = root
            if state == "demo":
                place = folder / "demo"
                command = [sys.executable, "-m", "tickcast", "demo", "--speed", "50", "--port", "0"]
                command += ["--data-dir", str(place), "--candle-seconds", "1,60"]
            found.append(_stopped(state, command, place, exchange, chance, folder))
            print(f"seed {seed}: {found[-1]}", flush=True)
            assert found[-1].code in CODES, found
        exchange.calm()
        command = [sys.executable, "-m", "tickcast", "up", *flags_for(settings_for(root, exchange.address, VENUES))]
        _end_well(command, root, folder)
        check_whole(root, exchange, VENUES)
    if (folder / "demo" / STORE_FILE).exists():
        verdict = verify(folder / "demo")
        assert verdict.holds, verdict.sentence
    return found


def _stopped(
    state: str, command: list[str], root: Path, exchange: ExchangeProcess, chance: random.Random, folder: Path
) -> Stopped:
    more = {"NUMBA_CACHE_DIR": tempfile.mkdtemp(dir=folder)} if state == "compiling" else {}
    with (folder / "said").open("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder, env=os.environ | more)
        try:
            phase = _let_be(state, child, root, exchange, chance)
            assert child.poll() is None, (folder / "said").read_text()
            began_s = now_s()
            child.send_signal(signal.SIGINT)
            code = child.wait(STOP_S)
        finally:
            child.kill()
            child.wait()
    words = (folder / "said").read_text().strip().splitlines() or [""]
    return Stopped(state, phase, code, round(now_s() - began_s, 2), words[-1])


def _let_be(
    state: str, child: subprocess.Popen[bytes], root: Path, exchange: ExchangeProcess, chance: random.Random
) -> str:
    """Until it is in that state, and a while; says in which phase it then is."""
    if state in ("starting", "mute", "compiling"):
        _wait(child, chance.uniform(0.7, 6.0))  # before that Python itself is starting, and has no handlers yet
    elif state == "sealing":
        _until(child, lambda: any(root.glob("raw/*/.*.tmp")) or _phase(root) == "live")
        _wait(child, chance.uniform(0.0, 0.2))
    else:
        wanted = {"history": ("history", "live")}.get(state, ("live",))
        _until(child, lambda: _phase(root) in wanted)
        if state == "half_open":
            exchange.inject(*(Fault(kind="half_open", venue=venue) for venue in VENUES))
        _wait(child, chance.uniform(0.0, 3.0))
    return _phase(root) or "starting"


def _until(child: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    deadline_s = now_s() + PATIENCE_S
    while not reached() and child.poll() is None and now_s() < deadline_s:
        _wait(child, 0.02)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _phase(root: Path) -> str:
    return str(_asked(root).get("phase", "")).partition(" ")[0]


def _asked(root: Path) -> dict[str, Any]:
    """What the process says of itself; nothing where there is none."""
    try:
        return QueryClient(root, timeout_s=5.0).health()
    except (TickcastError, OSError):
        return {}


def _old_day(root: Path) -> None:
    """A journal with a large day of long ago, which was carried through, and is not sealed yet."""
    with Journal(root, fsync_ms=1000, clock=SystemClock(), keep_days=0) as journal:
        for number in range(OLD_LINES):
            raw = own.alive(OLD_DAY_MS + number, ("XX/YY",), os.urandom(OLD_BYTES // 2).hex().encode())
            journal.append([Message((OLD_DAY_MS + number) * 1_000_000, "kraken", raw)])
        at = journal.position("kraken")
    with DuckStore(root / STORE_FILE) as store:
        store.commit([], Checkpoint({"kraken": (at.day, at.offset)}, {}))


@contextmanager
def _mute() -> Iterator[str]:
    """Somebody who takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _end_well(command: list[str], root: Path, folder: Path) -> None:
    """Let it become whole beyond what was stopped, and end it."""
    since_ms = SystemClock().now_ns() // 1_000_000
    with (folder / "said").open("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder)
        try:
            _until(child, lambda: _is_whole(_asked(root), since_ms))
            assert _is_whole(_asked(root), since_ms), (_asked(root), (folder / "said").read_text())
            child.send_signal(signal.SIGINT)
            assert 0 == child.wait(STOP_S), (folder / "said").read_text()
        finally:
            child.kill()
            child.wait()


def _is_whole(health: dict[str, Any], since_ms: int) -> bool:
    pairs = health.get("pairs", [])
    seconds = [candle["window_start_ms"] for candle in health.get("candles", []) if candle["candle_seconds"] == 1]
    return (
        len(pairs) == len(VENUES) * len(NAMES) == len(seconds)
        and all(one["state"] == "live" and not one["gaps_open"] for one in pairs)
        and min(seconds) > since_ms
    )


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        order = random.Random(f"states {number}").sample((*STATES, "compiling"), len(STATES) + 1)
        with tempfile.TemporaryDirectory() as place:
            try:
                stops = hunt(number, Path(place), order)
            except (AssertionError, subprocess.TimeoutExpired) as exc:
                print(f"FAILED seed {number}: {exc}", flush=True)
            else:
                print(f"ok seed {number}: at most {max(stop.seconds for stop in stops)} s", flush=True)
