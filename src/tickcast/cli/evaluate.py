"""`tickcast evaluate`: models walk-forward beside the naive ones, as a page with pictures and as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tickcast.cli.common import print_json, say
from tickcast.cli.learning import add_rows, asked_of, bar, told, width, written

EPILOG = """examples:
  tickcast evaluate --task volatility --data-dir tickcast-data
  tickcast evaluate --model lightgbm,logistic --folds 5 --candles BTCUSDT-1m.csv --exchange binance --out report
  tickcast evaluate --task price --model all --window sliding --train-days 14 --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument("--model", default="", metavar="A,B", help="kinds of models beside all naive ones, or all")
    add_walk(parser)
    parser.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="where the report goes")
    add_rows(parser)


def add_walk(parser: argparse.ArgumentParser) -> None:
    """Flags for how the rows are walked through."""
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="how often to learn anew (default: 5)")
    parser.add_argument(
        "--window", choices=("expanding", "sliding"), default="expanding", help="learn from all, or the last"
    )
    parser.add_argument("--train-days", type=float, default=0.0, metavar="N", help="how much a sliding window holds")


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the report, say what beat what."""
    asked = asked_of(args)
    from tickcast.runners import training
    from tickcast.training import report
    from tickcast.training.models.table import DEFAULT

    models = training.names_of(args.model, asked.task.name, DEFAULT[asked.task.name])
    with bar() as advance:
        dataset = training.dataset_of(asked, told)
        written(args.out, {})  # a folder that can not be written to is told before the work
        evaluation, forecasts = training.walk(
            dataset,
            models,
            folds=args.folds,
            window=args.window,
            train_days=args.train_days,
            seed=args.seed,
            bar=advance,
        )
    page, data = report.html_of(evaluation, dataset, forecasts), report.json_of(evaluation)
    files = written(args.out, {"report.html": page, "evaluation.json": data})
    if args.json:
        print_json({"files": files, "evaluation": evaluation})
        return 0
    print(report.text_of(evaluation, width=width(), colour=sys.stdout.isatty()))
    say(f"the report is {files['report.html']}")
    return 0
