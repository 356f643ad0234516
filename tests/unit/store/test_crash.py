"""Killed at any moment, the store has whole commits: rows, journal position and states of the same one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tickcast.store.duckdb import DuckStore

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a killed process needs no disk to lose what it had not written."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as directory:
        yield Path(directory)


WRITER = """
import sys
from pathlib import Path
import numpy as np
import tickcast.store.schema as schema
from tests.unit.store.kit import candle, ticks
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

schema.LOG_BYTES = 300_000  # so that kills fall into the folding of the log as well
store = DuckStore(Path(sys.argv[1]))
n = store.load_checkpoint().positions.get("binance", ("", 0))[1]
print(n, flush=True)
while True:
    n += 1
    frames = [candle(n), candle(1, close=float(n), revision=n, pair="REVISED")]
    frames += [ticks(*range(n * 100, n * 100 + 100), pair=f"P{k}") for k in range(3)]
    state = np.random.default_rng(n).bytes(20_000)
    store.commit(frames, Checkpoint({"binance": ("20240809", n)}, {("candles", "a:b"): state, ("ticks", "a:b"): state}))
    if n % 10 == 0:
        store.roll_ticks("20240810")
    print(n, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a kill that can not be caught")
def test_killed_at_any_moment_all_of_a_commit_is_there_or_nothing(quick: Path) -> None:
    """
    commit 1 ─ commit 2 ─ ... ─ commit n ─ com✗     six times over, each time further on
    """
    path = quick / "store.duckdb"
    rng = np.random.default_rng(7)
    acknowledged = 0
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT,
        )  # fmt: skip
        assert writer.stdout is not None
        assert int(writer.stdout.readline()) >= acknowledged
        for _ in range(int(rng.integers(1, 15))):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        writer.wait()
        writer.stdout.close()

        with DuckStore(path) as store:
            checkpoint = store.load_checkpoint()
            n = checkpoint.positions["binance"][1]
            candles, newest, revised, ticks, ids = store.query(
                "SELECT (SELECT count(*) FROM candles WHERE pair = 'BTCUSDT'), "
                "(SELECT max(window_start_ms) FROM candles), "
                "(SELECT max(close) FROM candles WHERE pair = 'REVISED'), "
                "count(*), count(DISTINCT (pair, timestamp_ms, trade_id)) FROM ticks_features"
            ).rows[0]

        assert n >= acknowledged
        assert (candles, (newest - 1_723_161_600_000) // 60_000) == (n, n)
        assert (revised, ticks, ids) == (float(n), n * 300, n * 300)
        state = np.random.default_rng(n).bytes(20_000)
        assert checkpoint.snapshots == {("candles", "a:b"): state, ("ticks", "a:b"): state}


STEPS = """
import os, signal, sys
from pathlib import Path
import pyarrow.dataset  # what the children need is loaded once
from tests.unit.store.kit import candle, ticks
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

path = Path(sys.argv[1])
note = path.with_name("note")

def place(n):
    return Checkpoint({"binance": ("20240809", n)}, {("candles", "a:b"): str(n).encode()})

def found(store):
    sql = "SELECT (SELECT max(close) FROM candles), max(trade_id) FROM ticks_features"
    return store.load_checkpoint(), store.query(sql).rows[0]

def check_then_commit(n, die_after=10**9):
    '''The store has all of commit n - 1 or of n: note which, then commit the next and die on the way.'''
    store = DuckStore(path)
    if n > 1:
        states = [(place(k), (float(k), k)) for k in (n - 1, n)]
        assert found(store) in states, (n, found(store))
        n = n - 1 + states.index(found(store))
    steps = 0
    def trace(frame, event, _):
        nonlocal steps
        if "tickcast/store" not in frame.f_code.co_filename:
            return None
        steps += 1
        if steps == die_after:
            note.write_text(f"{n} {steps}")
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    store.commit([candle(0, n + 1.0, revision=n + 1), ticks(n + 1)], place(n + 1))
    sys.settrace(None)
    note.write_text(f"{n} {steps}")

def run(*args):
    child = os.fork()  # this process itself never opens the store
    if child == 0:
        check_then_commit(*args)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return status, *map(int, note.read_text().split())

status, _, total = run(0)
assert status == 0
seen, tried = [], 1
for step in sorted({*range(1, total, total // 40), *range(total - 8, total)}):
    status, n, _ = run(tried, step)
    assert status == signal.SIGKILL, status
    seen.append(n == tried)
    tried = n + 1
print(len(seen) >= 40, seen.count(True) > 1, seen.count(False) > 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_between_any_two_steps_of_a_commit_all_or_nothing_is_there(quick: Path) -> None:
    """
    BEGIN ✗ candles ✗ ticks ✗ position ✗ states ✗ COMMIT ✗     killed at forty places in turn: before, nothing; then all
    """
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(quick / "store.duckdb")],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, env=ENVIRONMENT,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "True"]
