"""`tickcast demo`: a simulated market, live in the terminal."""

from __future__ import annotations

import argparse
import sys

from tickcast.cli.common import add_json, add_settings, print_json, say, settings_of

EPILOG = """examples:
  tickcast demo
  tickcast demo --speed 60 --candle-seconds 1,60 --indicators ADX:14
  tickcast demo --seconds 20 --json

While it runs, from another terminal: tickcast sql "SELECT * FROM latest_candles" --data-dir tickcast-demo
A second start goes on where the first one ended.
"""
DATA_DIR = "tickcast-demo"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="end after N live seconds (default: never)"
    )
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="market seconds a second (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="which market (default: 1)")
    parser.add_argument("--signal", type=float, default=0.0, metavar="SHARE", help="plant a signal of this strength")
    add_settings(parser, "data_dir", "pairs", "candle_seconds", "indicators", "host", "port")
    parser.set_defaults(data_dir=DATA_DIR)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run, with a live view where there is a terminal to show it."""
    settings = settings_of(args)
    from tickcast.clock import SystemClock
    from tickcast.errors import ConfigError

    if args.seconds is not None and args.seconds < 0:
        raise ConfigError("seconds", f"was {args.seconds:g}", "give 0 or more")
    if not args.speed > 0:
        raise ConfigError("speed", f"was {args.speed:g}", "give more than 0, for example 1 or 60")
    watched = sys.stdout.isatty() and not args.json
    if not watched:
        say("compiling kernels where this machine has none cached; a first start takes about a minute")
    from tickcast.runners.demo import Demo, DemoOptions

    options = DemoOptions(args.seconds, args.speed, args.seed, args.signal, any_port=args.port is None)
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
    """A line a phase, for logs."""

    def __init__(self) -> None:
        self.phase = ""

    def __call__(self, demo: object) -> None:
        phase = str(getattr(demo, "phase", ""))
        if phase != self.phase:
            self.phase = phase
            address = getattr(demo, "address", "")
            say(f"{phase}{f' at {address}' if phase == 'live' and address else ''}")
