"""`tickcast verify`: recompute everything from the journal, and compare bit for bit with what is stored."""

from __future__ import annotations

import argparse

from tickcast.cli.common import add_json, add_settings, print_json, progress, settings_of, table

EPILOG = """examples:
  tickcast verify --data-dir tickcast-demo
  tickcast verify --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    add_settings(parser, "data_dir")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every row is the same, 1 when one differs."""
    settings = settings_of(args)
    from tickcast.runners.verify import verify

    with progress("recomputing", 1.0) as advance:
        verdict = verify(settings.data_dir, advance=advance)
    if args.json:
        print_json(verdict)
    else:
        rows = [[name, seen.same, seen.differ, seen.unverifiable] for name, seen in verdict.tables.items()]
        table("verified", ["table", "same", "differ", "older than the journal"], rows)
        print(verdict.sentence)
    return 0 if verdict.holds else 1
