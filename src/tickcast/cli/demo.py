"""`tickcast demo`: a simulated market, live in the terminal."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tickcast.cli.common import add_json, add_settings, print_json, say, settings_of

if TYPE_CHECKING:
    from tickcast.runners.demo import Demo

EPILOG = """examples:
  tickcast demo
  tickcast demo --speed 60 --candle-seconds 1,60 --indicators ADX:14
  tickcast demo --seconds 20 --json

While it runs, from another terminal: tickcast sql "SELECT * FROM latest_candles" --data-dir tickcast-demo
A second start goes on where the first one ended.
"""
DATA_DIR = "tickcast-demo"
SPEED_MAX = 100_000


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N live seconds (default: never)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="market seconds a second (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="which market (default: 1)")
    parser.add_argument("--signal", type=float, default=0.0, metavar="SHARE", help="plant a signal of this strength")
    add_settings(parser, "data_dir", "pairs", "candle_seconds", "indicators", "host", "port", data_dir=DATA_DIR)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run, with a live view where there is a terminal to show it."""
    settings = settings_of(args, data_dir=DATA_DIR)
    from tickcast.clock import SystemClock
    from tickcast.config import Settings
    from tickcast.errors import ConfigError

    if args.seconds is not None and not args.seconds >= 0:
        raise ConfigError("seconds", f"was {args.seconds:g}", "give 0 or more")
    if not 0 < args.speed <= SPEED_MAX:
        raise ConfigError("speed", f"was {args.speed:g}", f"give more than 0, up to {SPEED_MAX:,}, for example 1 or 60")
    watched = sys.stdout.isatty() and not args.json
    from tickcast.runners.demo import Demo, DemoOptions

    asked = args.port is not None or settings.port != Settings().port
    options = DemoOptions(args.seconds, args.speed, args.seed, args.signal, any_port=not asked)
    demo = Demo(settings, options, SystemClock())
    if watched:
        from tickcast.cli.view import watching

        with watching() as show:
            summary = demo.run(show)
    else:
        summary = demo.run(_Lines())
    if args.json:
        print_json(summary)
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in summary.counts.items())
        print(f"{summary.messages:,} messages, {rows}; all kept in {summary.data_dir}, digest {summary.digest}")
    return 0


class _Lines:
    """A line a phase and a note, for logs."""

    def __init__(self) -> None:
        self.phase = ""
        self.said: list[str] = []

    def __call__(self, demo: Demo) -> None:
        shown = demo.shown
        if shown.phase != self.phase:
            self.phase = shown.phase
            say(f"{shown.phase}{f' at {shown.address}' if shown.phase == 'live' else ''}")
        notes = list(shown.notes)
        for note in notes:
            if note not in self.said:
                say(note)
        self.said = notes
