"""`tickcast train`: from rows to a judged model on the shelf, and a report of how good it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tickcast.cli.common import print_json, say
from tickcast.cli.learning import add_rows, asked_of, bar, told, width

EPILOG = """examples:
  tickcast train --task volatility --data-dir tickcast-data
  tickcast train --task price --model ridge,lightgbm --trials 20 --candles BTCUSDT-1m.csv --exchange binance
  tickcast train --model all --pairs binance:BTCUSDT,binance:ETHUSDT --training-days 30 --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--model", default="", metavar="A,B", help="kinds of models, or all; the best by its validation rows is kept"
    )
    parser.add_argument("--note", default="", help="a remark to keep with the model")
    parser.add_argument("--no-tracking", action="store_true", help="do not log the run to MLflow")
    add_rows(parser)


def run(args: argparse.Namespace) -> int:
    """Train, judge, register; say what came of it."""
    asked = asked_of(args)
    from tickcast.clock import SystemClock
    from tickcast.config import user
    from tickcast.registry.shelf import Shelf
    from tickcast.runners import training
    from tickcast.training import report
    from tickcast.training.models.table import DEFAULT

    models = training.names_of(args.model, asked.task.name, DEFAULT[asked.task.name])
    shelf = Shelf(asked.settings.models, clock=SystemClock(), who=user())
    with bar() as advance:
        made = training.train(asked, models, shelf, seed=args.seed, told=told, bar=advance, note=args.note)
        if not args.no_tracking:
            made.notes.extend(training.tracked(made, asked.settings))
    for note in made.notes:
        say(note)
    place = Path(made.path)
    if args.json:
        print_json(
            {
                "task": made.manifest.task,
                "version": made.manifest.version,
                "hash": made.manifest.hash,
                "path": str(place),
                "report": str(place / "report.html"),
                "metrics": made.manifest.content.metrics,
                "notes": made.notes,
            }
        )
        return 0
    print(report.text_of(made.evaluation, width=width(), colour=sys.stdout.isatty()))
    say(f"{made.manifest.task} {made.manifest.version} is in {place}; its report is {place / 'report.html'}")
    say(f"to serve it: tickcast models promote {made.manifest.task} {made.manifest.version}")
    return 0
