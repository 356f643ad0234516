"""`tickcast backfill`: history from an exchange into a data directory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tickcast.cli.common import NAMED_PAIRS, add_json, add_settings, print_json, progress, say, settings_of, table
from tickcast.cli.main import raise_if_stopped

if TYPE_CHECKING:
    from tickcast.runners.backfill import BackfillRange
    from tickcast.sources.history.feed import Progress

EPILOG = """examples:
  tickcast backfill --exchange binance --pairs BTCUSDT --days 30 --what candles
  tickcast backfill --exchange kraken --pairs BTC/USD --from 2026-01-01 --to 2026-01-08
  tickcast backfill --exchange binance,coinbase --pairs BTCUSDT,BTC-USD --days 2 --json

It can be stopped at any moment: the next start fetches only what is still missing.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    add_settings(
        parser, "exchange", "pairs", "data_dir", "candle_seconds", "indicators", "endpoints", pairs=NAMED_PAIRS
    )
    parser.add_argument("--days", type=float, metavar="N", help="the last N days (default: 1)")
    parser.add_argument("--from", dest="since", metavar="TIME", help="from then, UTC: 2026-01-31 or 2026-01-31T12:00")
    parser.add_argument("--to", dest="until", metavar="TIME", help="up to then, UTC (default: now)")
    parser.add_argument(
        "--what", choices=("trades", "candles"), default="trades", help="what to fetch (default: trades)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch, with a bar; what could not be had is said, and makes the exit code 1."""
    settings = settings_of(args)
    from tickcast.clock import NS_PER_MS, SystemClock
    from tickcast.runners.backfill import Backfill

    clock = SystemClock()
    wanted = range_of(args, clock.now_ns() // NS_PER_MS)
    backfill = Backfill(settings, wanted, clock)
    shares: dict[tuple[str, str], float] = {}

    with progress(f"fetching {args.what}", 1.0) as advance:

        def told(found: list[tuple[str, Progress]]) -> None:
            raise_if_stopped()
            shares.update({(exchange, one.pair): one.done_share for exchange, one in found})
            advance(sum(shares.values()) / max(len(shares), 1))

        summary = backfill.run(told, say)
    for line in summary.missing:
        say(line)
    if args.json:
        print_json(summary)
    else:
        table("fetched", ["pair", args.what], [[key, count] for key, count in summary.rows.items()])
        stored = ", ".join(f"{count:,} {name}" for name, count in summary.counts.items()) or "nothing new"
        print(f"{stored}; all kept in {summary.data_dir}")
    return 1 if summary.missing else 0


def range_of(args: argparse.Namespace, now_ms: int) -> BackfillRange:
    """From when to when."""
    from tickcast.clock import DAY_MS
    from tickcast.errors import ConfigError
    from tickcast.runners.backfill import BackfillRange

    if args.days is not None and args.since is not None:
        raise ConfigError("days", "was given beside --from, so nothing was fetched", "give one of them")
    if args.days is not None and not 0 < args.days <= 36_500:
        raise ConfigError("days", f"was {args.days:g}, so nothing was fetched", "give more than 0, up to 36500")
    to_ms = min(_time_ms("to", args.until), now_ms) if args.until else now_ms
    days = 1.0 if args.days is None else args.days
    from_ms = _time_ms("from", args.since) if args.since else to_ms - round(days * DAY_MS)
    from_ms -= from_ms % 60_000  # whole minutes, so that candles are whole
    if from_ms >= to_ms:
        raise ConfigError(
            "from", f"lies at or after the end ({args.until or 'now'}), so nothing was fetched", "give an earlier time"
        )
    return BackfillRange(args.what, from_ms, to_ms)


def _time_ms(name: str, text: str) -> int:
    from datetime import UTC, datetime

    from tickcast.errors import ConfigError

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(name, f"was {text!r}", "write a day or time like 2026-01-31 or 2026-01-31T12:00") from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
