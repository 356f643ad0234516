"""`tickcast up`, shot at random moments while its exchanges fail: started again, it has every trade once.

To look for more: `python -m tests.simulation.test_live_kill 100 120`.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tickcast.runners.system
import tickcast.sources.scan_lines  # noqa: F401 - its kernels
from tests.unit.runners.home import NAMES, PATIENCE_S, VENUES, check_whole, flags_for, here_and_now, now_s, settings_for
from tickcast.clock import SystemClock
from tickcast.errors import TickcastError
from tickcast.kernels import warm_up
from tickcast.runners.exchange import ExchangeProcess
from tickcast.sources.simulated.exchange.faults.kinds import lines_of
from tickcast.store.client import QueryClient

SHOTS = 4
STORM_S = 12.0
KEPT = (21,)
"""Seeds that are shot at each time; those that once failed are named here with what they found."""


@pytest.mark.parametrize("seed", KEPT)
def test_a_system_shot_at_any_moment_has_every_trade_once_in_the_end(seed: int, tmp_path: Path) -> None:
    """
    start --x  start, history ---x  live ------x  repair --x  start ----> whole, SIGTERM: stored = traded, each once
    """
    shoot(seed, tmp_path)


def shoot(seed: int, folder: Path, shots: int = SHOTS) -> dict[str, int]:
    """Shoot it some times; says in which phases it was hit."""
    warm_up()  # the children find their kernels compiled: a shot is to hit more than a compiler
    chance, root = random.Random(seed), folder / "data"
    hit: dict[str, int] = {}
    with ExchangeProcess(here_and_now(seed)) as exchange, (folder / "said").open("w+") as said:
        command = [sys.executable, "-m", "tickcast", "up", *flags_for(settings_for(root, exchange.address, VENUES))]
        for shot in range(shots):
            exchange.calm()
            faults = exchange.storm(100 * seed + shot, STORM_S, pairs=NAMES)
            print(f"seed {seed}, shot {shot}: {lines_of(faults).decode()}")
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, cwd=folder)
            _let_live(child, root, chance)
            phase = str(_asked(root).get("phase", "starting")).partition(" ")[0]
            hit[phase] = hit.get(phase, 0) + 1
            child.kill()
            assert -signal.SIGKILL == child.wait(), (folder / "said").read_text()
        exchange.calm()
        _end_well(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, cwd=folder), root, folder)
        check_whole(root, exchange, VENUES)
    print(f"seed {seed}: hit in {hit}")
    return hit


def _let_live(child: subprocess.Popen[bytes], root: Path, chance: random.Random) -> None:
    """Some are shot while they start, the others a while after they answer."""
    if chance.random() < 0.3:
        _wait(child, chance.uniform(0.5, 4.0))
        return
    deadline_s = now_s() + PATIENCE_S
    wanted = chance.choice(("compiling", "history", "live", "live"))
    while not str(_asked(root).get("phase", "")).startswith(wanted) and now_s() < deadline_s:
        if _asked(root).get("phase") == "live":
            break
        _wait(child, 0.05)
    _wait(child, chance.uniform(0.0, 3.0))


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _asked(root: Path) -> dict[str, Any]:
    """What the process says of itself; nothing where there is none."""
    try:
        return QueryClient(root, timeout_s=5.0).health()
    except (TickcastError, OSError):
        return {}


def _end_well(child: subprocess.Popen[bytes], root: Path, folder: Path) -> None:
    """Let it become whole beyond what was shot at, and end it politely."""
    since_ms = SystemClock().now_ns() // 1_000_000
    deadline_s = now_s() + PATIENCE_S
    while not _is_whole(_asked(root), since_ms):
        assert child.poll() is None, (folder / "said").read_text()
        assert now_s() < deadline_s, _asked(root)
        _wait(child, 0.2)
    child.terminate()
    assert 0 == child.wait(PATIENCE_S), (folder / "said").read_text()


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
        with tempfile.TemporaryDirectory() as place:
            try:
                phases = shoot(number, Path(place), 10)
            except AssertionError as exc:
                print(f"FAILED seed {number}: {exc}", flush=True)
            else:
                print(f"ok seed {number}: {phases}", flush=True)
