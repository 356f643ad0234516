"""What the commands of learning share: which rows, which task, which models."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tickcast.cli.common import add_json, add_settings, say, settings_of

if TYPE_CHECKING:
    from tickcast.runners.training import Bar, Wanted

TASKS = ("volatility", "price", "direction")


def add_rows(parser: argparse.ArgumentParser) -> None:
    """Flags for the rows to learn from."""
    parser.add_argument("--task", choices=TASKS, default="volatility", help="what to forecast (default: volatility)")
    parser.add_argument(
        "--horizon", type=int, default=0, metavar="S", help="how far ahead (default: 300; volatility: as configured)"
    )
    parser.add_argument(
        "--candles", nargs="+", type=Path, metavar="FILE", help="learn from these files (default: the store)"
    )
    parser.add_argument(
        "--length", type=int, default=0, metavar="S", help="which candles, where there are several lengths"
    )
    add_settings(parser, "data_dir", "exchange", "pairs", "training_days", "trials")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    add_json(parser)


def asked_of(args: argparse.Namespace) -> Wanted:
    """What the flags ask for."""
    from tickcast.runners.training import wanted
    from tickcast.sources.files.result import ReadOptions

    _check(args)
    settings = settings_of(args)
    files, keys = args.candles or (), _keys(settings.exchange, settings.pairs)
    exchanges = {exchange for exchange, _ in keys} or {settings.exchange}
    said = ReadOptions(
        what="candles",
        exchange=exchanges.pop() if len(exchanges) == 1 else "",
        pair_unsaid=keys[0][1] if len(keys) == 1 else "",
    )
    return wanted(
        args.task,
        settings,
        args.horizon,
        files=files,
        keys=keys,
        options=said if files else None,
        candle_seconds=args.length,
    )


LIMITS = {
    "horizon": ("--horizon", 0, 31_536_000),
    "length": ("--length", 0, 86_400),
    "seed": ("--seed", 0, 2**31 - 1),
    "folds": ("--folds", 1, 1_000),
    "train_days": ("--train-days", 0, 36_500),
    "latency_ms": ("--latency-ms", 0, 86_400_000),
}
"""What numbers may be, both ends included."""


def _check(args: argparse.Namespace) -> None:
    """One sentence for a number that means nothing, before anything is read."""
    from tickcast.errors import ConfigError

    for name, (flag, low, high) in LIMITS.items():
        value = getattr(args, name, low)
        if not low <= value <= high:
            raise ConfigError(flag, f"was {value}, so nothing was started", f"give a number from {low} to {high}")
    if getattr(args, "train_days", 0) and args.window != "sliding":
        what = "is of a sliding window, and the window expands, so nothing was started"
        raise ConfigError("--train-days", what, "give --window sliding too")


def _keys(exchange: str, pairs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Exchange and pair of each pair that is named: `kraken:BTC/USD`, or a pair of the named exchange."""
    from tickcast.errors import ConfigError

    found = []
    for pair in pairs:
        of, colon, name = pair.partition(":")
        if not colon and not exchange:
            raise ConfigError(pair, "could be of any exchange, nothing was read", f"give --exchange, or binance:{pair}")
        found.append((of, name) if colon else (exchange, pair))
    return found


def told(text: str) -> None:
    """What was understood of a file."""
    say(text)


@contextmanager
def bar() -> Iterator[Bar]:
    """One bar on standard error for all steps, when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("reading", total=None)

        def advance(what: str, done: float, of: float) -> None:
            drawn.update(task, description=what, completed=done, total=of or 1)

        yield advance


def written(folder: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Write reports; answers where they are."""
    from tickcast.errors import DataError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as exc:
        what = f"can not be written ({exc.strerror}), so there is no report"
        raise DataError(str(folder), what, "name a writable folder with --out") from exc
    return {name: str(folder / name) for name in files}


def width() -> int:
    """How many letters a line of the terminal holds."""
    return min(shutil.get_terminal_size((100, 24)).columns, 140)
