"""A journal on a temporary disk, under a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.journal.kit import START_NS
from tickcast.clock import ManualClock
from tickcast.journal.journal import Journal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    with Journal(tmp_path, fsync_ms=100, clock=clock, keep_days=30) as opened:
        yield opened
