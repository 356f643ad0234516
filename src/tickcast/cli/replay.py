"""`tickcast replay`: recordings in, tables and a digest out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tickcast.cli.common import add_json, add_settings, print_json, progress, say, settings_of, table

EPILOG = """examples:
  tickcast replay capture.gz --out results
  tickcast replay tickcast-data --candle-seconds 1,60 --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="captures, journal files or a data directory"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write one Parquet file a table here")
    parser.add_argument("--exchange", help="whose messages these are, where they do not tell")
    add_settings(parser, "pairs", "candle_seconds", "indicators")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Replay, report, and say what could not be read."""
    settings = settings_of(args, **_made_with(args.paths))
    from tickcast.runners.replay import replay
    from tickcast.sources.recorded import open_recording
    from tickcast.sources.registry import mapper_for

    if args.exchange:
        mapper_for(args.exchange)  # its own words for one that there is not
    recording = open_recording(args.paths, exchange=args.exchange or None)
    with progress("replaying", recording.total_bytes) as advance:
        summary = replay(recording, settings, out=args.out, advance=advance)
    for note in summary.notes:
        say(note)
    if args.json:
        print_json(summary)
        return 0
    table("replayed", ["table", "rows"], [[name, count] for name, count in summary.counts.items()])
    table(
        "messages",
        ["exchange", "messages", "quarantined"],
        [[name, seen, sum(summary.quarantined.get(name, {}).values())] for name, seen in summary.messages.items()],
    )
    for exchange, reasons in summary.quarantined.items():
        for reason, count in reasons.items():
            say(f"quarantined {count} of {exchange}: {reason}")
    print(f"digest {summary.digest}")
    if args.out is not None:
        print(f"written to {args.out}")
    return 0


def _made_with(paths: list[Path]) -> dict[str, Any]:
    """A data directory alone is replayed as it was made, unless flags, environment or file say otherwise."""
    if len(paths) != 1 or not paths[0].is_dir():
        return {}
    from tickcast.runners.datadir import flow_of

    flow = flow_of(paths[0])
    return {} if flow is None else {name: getattr(flow, name) for name in flow.__struct_fields__}
