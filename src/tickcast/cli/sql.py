"""`tickcast sql`: ask the store, whether the system runs or not.

While it runs, the store's file belongs to the running process; that process answers over loopback, and this command
finds it by the `run.json` in the data directory.
"""

from __future__ import annotations

import argparse

from tickcast.cli.common import add_json, add_settings, print_json, settings_of

EPILOG = """examples:
  tickcast sql "SELECT * FROM latest_candles" --data-dir tickcast-demo
  tickcast sql "SELECT pair, count(*) AS n FROM candles GROUP BY pair" --json
"""
TABLES_QUERY = "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY 1, ordinal_position"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument("query", nargs="?", default=TABLES_QUERY, help="one SELECT (default: tables and columns)")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="rows at most (default: 1000)")
    add_settings(parser, "data_dir")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the rows."""
    settings = settings_of(args)
    from tickcast.runners.ask import ask

    result = ask(settings.data_dir, args.query, limit=args.limit)
    if args.json:
        print_json({"columns": result.columns, "rows": result.rows, "truncated": result.truncated})
        return 0
    from rich.console import Console
    from rich.table import Table

    drawn = Table(header_style="bold")
    for column in result.columns:
        drawn.add_column(column)
    for row in result.rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(drawn)
    if result.truncated:
        print(f"only the first {args.limit} rows; more with --limit")
    return 0
