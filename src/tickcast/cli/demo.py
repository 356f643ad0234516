"""`tickcast demo`: a simulated market, live in the terminal."""

from __future__ import annotations

import argparse

from tickcast.cli.common import add_json, add_settings, settings_of
from tickcast.cli.running import run_system

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
    add_settings(
        parser,
        "data_dir",
        "exchange",
        "pairs",
        "candle_seconds",
        "indicators",
        "retrain_hours",
        "host",
        "port",
        data_dir=DATA_DIR,
    )
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
    from tickcast.runners.demo import Demo, DemoOptions

    asked = args.port is not None or settings.port != Settings().port
    options = DemoOptions(args.seconds, args.speed, args.seed, args.signal, any_port=not asked)
    return run_system(Demo(settings, options, SystemClock()), json=args.json)
