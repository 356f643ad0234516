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
    from tickcast.errors import ConfigError
    from tickcast.runners.ask import ask
    from tickcast.store.wire import MAX_ROWS

    if not 1 <= args.limit <= MAX_ROWS:
        raise ConfigError("limit", f"was {args.limit}, so nothing was asked", f"give a number from 1 to {MAX_ROWS}")

    result = ask(settings.data_dir, args.query, limit=args.limit)
    if args.json:
        print_json({"columns": result.columns, "rows": result.rows, "truncated": result.truncated})
        return 0
    _show(result.columns, [["" if cell is None else str(cell) for cell in row] for row in result.rows])
    if result.truncated:
        print(f"only the first {args.limit} rows; more with --limit")
    return 0


def _show(columns: list[str], rows: list[list[str]]) -> None:
    """A table where it fits the terminal, else each row as a list of its fields, so that nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    widths = [max([len(name), *(len(row[place]) for row in rows)]) for place, name in enumerate(columns)]
    if not console.is_terminal or sum(widths) + 2 * len(widths) <= console.width:
        for row in [columns, *rows]:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            if row is columns and console.is_terminal:
                console.print(line, style="bold", highlight=False, markup=False, soft_wrap=True)
            else:
                print(line)
        return
    drawn = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column()
    for number, row in enumerate(rows, start=1):
        drawn.add_row(f"row {number}", "", style="bold")
        for name, cell in zip(columns, row, strict=True):
            drawn.add_row(f"  {name}", cell)
    console.print(drawn)
