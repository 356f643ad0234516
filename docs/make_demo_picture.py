"""Makes docs/demo.svg from a real run: `uv run python docs/make_demo_picture.py`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from msgspec import structs
from rich.console import Console

from tickcast.cli.view import picture, watching
from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.runners.demo import Demo, DemoOptions
from tickcast.runners.status import Shown
from tickcast.runners.system import System

TARGET = Path(__file__).parent / "demo.svg"
SECONDS = 45.0


def main() -> None:
    """Run the demo for a while, and keep the last frame of its view while it was live."""
    console = Console(width=150, record=True, file=(Path(tempfile.mkdtemp()) / "screen").open("w"))
    live: list[Shown] = []

    def keep(system: System) -> None:
        show(system)
        if system.shown.phase == "live":
            live[:] = [system.shown]

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "tickcast-demo", port=0)
        demo = Demo(settings, DemoOptions(seconds=SECONDS), SystemClock())
        with watching(Console(width=150, file=console.file)) as show:
            demo.run(keep)
        look = structs.replace(live[0], address="http://127.0.0.1:8000", data_dir="tickcast-demo")
        console.print(picture(look))
    drawn = console.export_svg(title="uv run tickcast demo")
    TARGET.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")  # no outside fonts


if __name__ == "__main__":
    main()
