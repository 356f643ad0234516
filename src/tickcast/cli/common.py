"""What commands share: flags, settings, JSON on the last line, progress that only a terminal sees."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tickcast.config import Settings, load

ALL_PAIRS = "only these pairs, as the venue writes them (default: all)"
NAMED_PAIRS = "which pairs, as the venue writes them, for example BTCUSDT or kraken:BTC/USD"


def add_settings(
    parser: argparse.ArgumentParser, *names: str, data_dir: str = "tickcast-data", pairs: str = ALL_PAIRS
) -> None:
    """Flags for settings, by their names in `tickcast.config.Settings`; one that is not given leaves the setting be."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: tickcast.toml if there)")
    helps = {
        "data_dir": ("DIR", f"where journal and store live (default: {data_dir})"),
        "exchange": ("A,B", "binance, coinbase, kraken, or several of them"),
        "endpoints": ("A=URL", "other addresses of exchanges, for example binance=https://data-api.binance.vision"),
        "history_days": ("N", "how far back to fetch for a new pair (default: what the indicators need)"),
        "history": ("WHAT", "what to fetch of the time before: candles or trades (default: candles)"),
        "hold_ms": ("N", "how long live messages wait for a hole before them to be fetched (default: 3000)"),
        "ws_client": ("NAME", "picows or aiohttp (default: the faster one that is there)"),
        "pairs": ("A,B", pairs),
        "candle_seconds": ("S,S", "lengths of candles in seconds, for example 1,60,300 (default: 60)"),
        "indicators": ("A,B", "TA-Lib functions beside the default set, for example ADX:14,CCI:20"),
        "host": ("HOST", "address to listen on (default: 127.0.0.1)"),
        "training_days": ("N", "how far back from the newest row to learn (default: 60; 0: all)"),
        "trials": ("N", "how many sets of parameters to try (default: 50)"),
        "retrain_hours": ("N", "learn again when the newest bundle's data are that old (default: 0, never)"),
        "models_dir": ("DIR", "where models live (default: models under the data directory)"),
        "mlflow_uri": ("URI", "where MLflow keeps runs (default: a SQLite file under the data directory)"),
        "port": ("N", "port to listen on (default: 8000; 0: any free one)"),
    }
    for name in names:
        metavar, text = helps[name]
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=metavar, help=text)


def add_json(parser: argparse.ArgumentParser, text: str = "print one JSON object as the last line") -> None:
    """The flag for machines."""
    parser.add_argument("--json", action="store_true", help=text)


def settings_of(args: argparse.Namespace, **defaults: Any) -> Settings:
    """Settings from file, environment and the flags of a command; `defaults` are the command's own."""
    flags = {name: value for name, value in vars(args).items() if name in Settings.__struct_fields__}
    return load(flags, file=getattr(args, "config", None), defaults=defaults)


def print_json(value: Any) -> None:
    """One JSON object, alone on its line."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line for people, where it does not get into a machine's way."""
    print(text, file=sys.stderr)


def table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """A small table for people."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        drawn.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        drawn.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    Console().print(drawn)


@contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, when that is a terminal; call what it yields with how far the work has come."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total or 1)
        yield lambda done: bar.update(task, completed=done)
