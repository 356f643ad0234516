"""The live picture: what it shows is what the system says of itself."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.unit.runners.kit import START_MS
from tickcast.cli.view import COLUMNS, picture, sparkline, watching
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.runners.demo import Demo, DemoOptions


def drawn(demo: Demo) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(picture(demo))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_phase_can_be_drawn_and_shows_what_there_is(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def look(demo: Demo) -> None:
        if demo.phase == "live":
            demo.notes.append("told [once]")
        seen[demo.phase.partition(" ")[0]] = drawn(demo)

    settings = Settings(data_dir=tmp_path, candle_seconds=(1,), pairs=("BTCUSDT",), port=0)
    clock = ManualClock((START_MS + 60_000) * 1_000_000)
    summary = Demo(settings, DemoOptions(seconds=3.0, speed=10.0), clock).run(look)

    assert {"compiling", "recovering", "history", "live"} <= seen.keys()
    assert "catching up with history" in seen["history"]
    live = seen["live"]
    assert all(name in live for name in COLUMNS)
    assert "BTCUSDT" in live
    assert f"messages {summary.messages:,}" in " ".join(live.split())
    assert "SIMULATED MARKET" in live
    assert "told [once]" in live


def test_pictures_come_a_few_times_a_second_at_most() -> None:
    clock, drawings = ManualClock(), 0

    class Counting:
        phase = "starting"

        @property
        def clock(self) -> ManualClock:
            return clock

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with watching(console) as show:
        import tickcast.cli.view as view

        draw = view.picture

        def count(demo: Demo) -> object:
            nonlocal drawings
            drawings += 1
            return draw(demo)

        view.picture = count  # type: ignore[assignment]
        try:
            for _ in range(100):
                show(Counting())  # type: ignore[arg-type]
                clock.sleep(0.01)
        finally:
            view.picture = draw

    assert 5 <= drawings <= 6


def test_a_flat_line_and_no_line_are_drawn() -> None:
    assert ("", "▄▄") == (sparkline([]), sparkline([5.0, 5.0]))
    assert 30 == len(sparkline(list(range(100))))
