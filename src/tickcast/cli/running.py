"""What `up` and `demo` share: a view where there is a terminal, lines where there is none, a summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tickcast.cli.common import print_json, say
from tickcast.cli.main import raise_if_stopped

if TYPE_CHECKING:
    from tickcast.runners.system import System


def run_system(system: System, *, json: bool) -> int:
    """Run it to its end, and say what it did."""
    if sys.stdout.isatty() and not json:
        from tickcast.cli.view import watching

        with watching() as show:
            summary = system.run(_unless_stopped(show))
    else:
        summary = system.run(_unless_stopped(_Lines()))
    if json:
        print_json(summary)
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in summary.counts.items())
        digest = f", digest {summary.digest}" if summary.digest else ""
        print(f"{summary.messages:,} messages, {rows}; all kept in {summary.data_dir}{digest}")
    return 0


def _unless_stopped(show: Callable[[System], None]) -> Callable[[System], None]:
    def look(system: System) -> None:
        raise_if_stopped()
        show(system)

    return look


class _Lines:
    """A line a phase and a note, for logs."""

    def __init__(self) -> None:
        self.phase = ""
        self.said: list[str] = []

    def __call__(self, system: System) -> None:
        shown = system.shown
        if shown.phase != self.phase:
            self.phase = shown.phase
            say(f"{shown.phase}{f' at {shown.address}' if shown.phase == 'live' else ''}")
        notes = list(shown.notes)
        for note in notes:
            if note not in self.said:
                say(note)
        self.said = notes
