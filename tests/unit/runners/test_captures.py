"""Every real capture through the whole system: nothing crashes, nothing known is set aside, no restart shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tickcast.config import FlowSettings, Settings
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.runners.replay import replay
from tickcast.sources.contract import Block
from tickcast.sources.recorded import open_recording
from tickcast.store.results import Results

pytestmark = pytest.mark.long

FLOW = FlowSettings(candle_seconds=(1, 60), indicators=("ADX:14",))
LINES = 1000
EVERY = 3


def captures(shared_data: Path) -> list[Path]:
    found = sorted(path for path in (shared_data / "captures").rglob("*") if path.is_file())
    assert len(found) >= 11
    return found


def cut(path: Path) -> Iterator[Block]:
    """The recording's blocks, cut anew by lines."""
    for block in open_recording([path]):
        lines = block.lines.splitlines(keepends=True)
        for at in range(0, len(lines), LINES):
            yield Block(block.exchange, b"".join(lines[at : at + LINES]))


def restarted(path: Path) -> str:
    """The digest with all states taken to bytes and back after every third block."""
    intake, digest = Intake(Pipeline(FLOW)), Results()
    for number, block in enumerate(cut(path), start=1):
        for frame in intake.take(block).frames:
            digest.write(frame)
        if number % EVERY == 0:
            kept, messages = intake.pipeline.snapshots(), intake.messages
            intake = Intake(Pipeline(FLOW))
            intake.pipeline.restore(kept)
            intake.messages = messages
    for frame in intake.finish().frames:
        digest.write(frame)
    return digest.hexdigest()


def test_no_line_of_any_capture_is_set_aside_and_no_restart_shows(shared_data: Path) -> None:
    settings = Settings(candle_seconds=FLOW.candle_seconds, indicators=FLOW.indicators)
    for path in captures(shared_data):
        summary = replay(open_recording([path]), settings)

        assert sum(summary.messages.values()) > 0, path.name
        assert {} == {name: found for name, found in summary.quarantined.items() if found}, path.name
        assert summary.digest == restarted(path), path.name


def test_all_captures_at_once_give_one_digest_in_any_order(shared_data: Path) -> None:
    """Four venues and many pairs in one go: each pair's rows are as if it had been alone."""
    paths = [path for path in captures(shared_data) if path.stat().st_size < 2 << 20]
    settings = Settings(candle_seconds=FLOW.candle_seconds)

    assert replay(open_recording(paths), settings).digest == replay(open_recording(paths[::-1]), settings).digest
