"""Memory stays flat on an endless market."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 10_000_000
GROWTH_MAX = 64 << 20
"""Bytes that the last third's median may stand above the middle third's: caches breathe, so single marks say little;
a leak of twenty bytes an event would pass this."""


@pytest.mark.soak
def test_ten_million_events_leave_memory_flat(tmp_path: Path) -> None:
    """
    bytes
      |      ________________________
      |    /                            flat from the time on when two days of candles are held
      |  /
      +-------------------------------- 10 million events: journal, stages, store, sealing, retention
    """
    command = [sys.executable, "-m", "tests.simulation.soak_child", str(tmp_path / "data"), str(EVENTS)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert 0 == ran.returncode, ran.stderr[-3000:]

    marks = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    resident = [size for _, size in marks]
    third = len(resident) // 3
    early, late = median(resident[third : 2 * third]), median(resident[2 * third :])
    print("\n".join(f"{events:>12,} {size >> 20:>6} MiB" for events, size in marks))

    assert marks[-1][0] >= EVENTS * 0.95
    assert late - early < GROWTH_MAX
