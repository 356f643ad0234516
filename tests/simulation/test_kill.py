"""Kill it anywhere: a process that is shot at random moments comes back to the same bytes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 660
SHOTS_MAX = 12


def start(root: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.simulation.market_child", str(root), str(seed), str(MINUTES)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = child.communicate(timeout=240)
    assert child.returncode == 0, err[-3000:]
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def undisturbed(root: Path, seed: int) -> dict[str, Any]:
    return finish(start(root, seed))


def journal_bytes(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "raw").rglob("*.ndjson*"))}


@pytest.mark.parametrize("seed", [11, 12])
def test_a_process_shot_at_random_moments_comes_back_to_the_same_bytes(seed: int, tmp_path: Path) -> None:
    """
    run ---x  run ------x  run -x  run ----------> the digest and the journal of a run that nobody shot at
    """
    print(f"seed {seed}")
    chance = random.Random(seed)
    expected = undisturbed(tmp_path / "calm", seed)
    shots = 0
    while True:
        child = start(tmp_path / "shot", seed)
        assert child.stdout is not None
        first = child.stdout.readline()  # it has recovered; a shot before that is the next test's
        if shots < SHOTS_MAX and first:
            try:
                child.wait(timeout=chance.uniform(0.02, 0.5))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                shots += 1
                continue
        found = finish(child)
        break

    assert shots >= 3, "the run was too quick to be shot at; make it longer"
    assert expected == found
    assert journal_bytes(tmp_path / "calm") == journal_bytes(tmp_path / "shot")


def test_a_process_shot_while_it_recovers_comes_back_all_the_same(tmp_path: Path) -> None:
    seed = 13
    chance = random.Random(seed)
    expected = undisturbed(tmp_path / "calm", seed)
    for _ in range(6):
        child = start(tmp_path / "shot", seed)
        try:
            child.wait(timeout=chance.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    assert expected == finish(start(tmp_path / "shot", seed))
