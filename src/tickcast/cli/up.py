"""`tickcast up`: real exchanges, live, until it is told to stop."""

from __future__ import annotations

import argparse

from tickcast.cli.common import NAMED_PAIRS, add_json, add_settings, settings_of
from tickcast.cli.running import run_system

EPILOG = """examples:
  tickcast up --exchange binance --pairs BTCUSDT,ETHUSDT
  tickcast up --exchange binance,kraken --pairs BTCUSDT,BTC/USD --candle-seconds 60,300
  tickcast up --exchange binance --pairs BTCUSDT --endpoints binance=https://data-api.binance.vision

On start it fetches what was missed since the last time; holes that a lost connection leaves are fetched while it runs.
While it runs, from another terminal: tickcast sql "SELECT * FROM latest_candles"
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    add_settings(
        parser,
        "exchange",
        "pairs",
        "data_dir",
        "candle_seconds",
        "indicators",
        "history",
        "history_days",
        "hold_ms",
        "endpoints",
        "ws_client",
        "retrain_hours",
        "host",
        "port",
        pairs=NAMED_PAIRS,
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N live seconds (default: never)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run, with a live view where there is a terminal to show it."""
    settings = settings_of(args)
    from tickcast.clock import SystemClock
    from tickcast.errors import ConfigError
    from tickcast.runners.system import Options, System

    if args.seconds is not None and not args.seconds >= 0:
        raise ConfigError("seconds", f"was {args.seconds:g}", "give 0 or more")
    return run_system(System(settings, Options(args.seconds), SystemClock()), json=args.json)
