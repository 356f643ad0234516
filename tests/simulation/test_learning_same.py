"""The same data, settings and seed give the same bundle in any process, folder and year; and learning stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TESTS
from tests.simulation import markets

MEMORY_MAX = 2 * 1024**3


def child(*words: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.learning_child", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(TESTS.parent)} | environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("task", "model", "trials"), [("volatility", "blend", 2), ("price", "ridge", 1)])
def test_a_training_is_the_same_in_another_process_folder_and_year(
    task: str, model: str, trials: int, tmp_path: Path
) -> None:
    market = markets.regimes(3, 2600)
    made: list[dict[str, Any]] = []
    for place, (hashes, days, threads) in enumerate([("1", 0, "1"), ("4711", 400, "2")]):
        home = tmp_path / f"home{place}"
        home.mkdir()
        path = markets.written(home / "binance-BTCUSDT-1m.csv", market.candles)
        words = (str(path), str(home / "models"), task, model, str(trials), str(days))
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
        made.append(json.loads(child("once", *words, cwd=home, PYTHONHASHSEED=hashes, **dict.fromkeys(names, threads))))

    assert made[0]["files"] == made[1]["files"]
    assert made[0]["hash"] == made[1]["hash"]
    assert made[1]["created_ms"] - made[0]["created_ms"] > 399 * 86_400_000


def test_sixty_days_of_minutes_are_learned_from_in_two_gigabytes(tmp_path: Path) -> None:
    memory, rows = map(int, child("memory", "60", "3", cwd=tmp_path).split())

    assert rows > 59 * markets.DAY
    assert memory < MEMORY_MAX
