"""Killed at any moment, the store has whole commits: rows, journal position and states of the same one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tickcast.store.duckdb import DuckStore

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
def test_killed_at_any_moment_all_of_a_commit_is_there_or_nothing(tmp_path: Path) -> None:
    """
    commit 1 ─ commit 2 ─ ... ─ commit n ─ com✗     ten times over, each time further on
    """
    path = tmp_path / "store.duckdb"
    root = Path(__file__).parents[3]
    rng = np.random.default_rng(7)
    acknowledged = 0
    for _ in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)},
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
