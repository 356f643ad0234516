"""A small store for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.store.kit import candle, ticks
from tickcast.store.duckdb import DuckStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[DuckStore]:
    with DuckStore(path) as store:
        store.commit([candle(0, 100.0), candle(1, 101.0), candle(0, 7.0, pair="ETHUSDT"), ticks(1, 2)], None)
        yield store
