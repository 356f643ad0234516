"""A small store to learn from, and the command that does."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tickcast.cli.main import main

HISTORY = "history/binance_1m_202104-05/BTC_USDT-1m.json.gz"
ROWS = 2600
"""Less than two days of minutes: enough for a ridge and a logistic regression, and quick."""


def stored(root: Path, shared_data: Path, rows: int = ROWS, first: int = 0) -> Path:
    """A data directory with so many real minutes."""
    lines = json.loads(gzip.decompress((shared_data / HISTORY).read_bytes()))
    file = root.with_name("BTC_USDT-1m.json")
    file.write_text(json.dumps(lines[first : first + rows]))
    assert 0 == main(["import", str(file), "--exchange", "binance", "--data-dir", str(root), "--json"])
    return root


def command(root: Path, *more: str) -> list[str]:
    """Retraining of that directory, by kinds that are quick."""
    words = ["--data-dir", str(root), "--models", "ridge", "--tasks", "price", "--no-tracking"]
    return [sys.executable, "-m", "tickcast", "retrain", *words, "--json", *more]


def ran(root: Path, *more: str) -> Any:
    """What it says, once it is through."""
    done = subprocess.run(command(root, *more), capture_output=True, text=True, timeout=300)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["outcomes"]
