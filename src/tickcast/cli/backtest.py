"""`tickcast backtest`: what a decision rule on a model's forecasts would have earned, after all that a trade costs."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tickcast.cli.common import print_json, say
from tickcast.cli.evaluate import add_walk
from tickcast.cli.learning import add_rows, asked_of, bar, told, width, written

if TYPE_CHECKING:
    from tickcast.training.backtest import Rules

EPILOG = """examples:
  tickcast backtest --task price --model ridge --data-dir tickcast-data
  tickcast backtest --task direction --model logistic --candles BTCUSDT-1m.csv --exchange binance --fee 4 --shorts
  tickcast backtest --task price --fees 2023-01-01=10,2023-03-01=7.5 --latency-ms 250 --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument("--model", default="", metavar="NAME", help="one kind of model (default: the task's)")
    parser.add_argument(
        "--fee", type=float, default=10.0, metavar="BPS", help="per side, in hundredths of a percent (10.0)"
    )
    parser.add_argument("--fees", default="", metavar="DATE=BPS,...", help="fees that changed, each from its date on")
    parser.add_argument("--spread", type=float, default=2.0, metavar="BPS", help="where the rows do not know it (2)")
    parser.add_argument("--latency-ms", type=int, default=0, metavar="N", help="from the candle's end to the fill (0)")
    parser.add_argument("--margin", type=float, default=0.05, help="how far from 0.5 a probability must be (0.05)")
    parser.add_argument("--shorts", action="store_true", help="sell what one does not have, too")
    add_walk(parser)
    parser.add_argument("--out", type=Path, default=Path("backtest"), metavar="DIR", help="where the report goes")
    add_rows(parser)
    parser.set_defaults(task="price")


def run(args: argparse.Namespace) -> int:
    """Walk forward, trade the forecasts, say what is left."""
    asked = asked_of(args)
    from tickcast.errors import TrainingError
    from tickcast.runners import training
    from tickcast.training import backtest_report
    from tickcast.training.backtest import backtest
    from tickcast.training.models.table import DEFAULT

    rules = _rules(args)
    names = training.names_of(args.model, asked.task.name, DEFAULT[asked.task.name])
    if len(names) > 1 or asked.task.name == "volatility":
        what = "tells no direction" if asked.task.name == "volatility" else f"of {', '.join(names)} is several"
        raise TrainingError(f"backtest of {asked.task.name}", f"{what}, nothing was traded", "name one model of price")
    with bar() as advance:
        dataset = training.dataset_of(asked, told)
        written(args.out, {})  # a folder that can not be written to is told before the work
        _, forecasts = training.walk(
            dataset,
            names,
            folds=args.folds,
            window=args.window,
            train_days=args.train_days,
            seed=args.seed,
            bar=advance,
        )
    tested = backtest(dataset, next(one for one in forecasts if one.model == names[0]), rules)
    files = written(args.out, {"backtest.html": backtest_report.backtest_html_of(tested)})
    if args.json:
        print_json({"files": files, "worth": tested.worth, "by_pair": tested.by_key, "rules": rules})
        return 0
    print(backtest_report.backtest_text_of(tested, width=width(), colour=sys.stdout.isatty()))
    say(f"the report is {files['backtest.html']}")
    return 0


def _rules(args: argparse.Namespace) -> Rules:
    from tickcast.errors import ConfigError
    from tickcast.sources.files.numbers import moment_ms
    from tickcast.training.backtest import Rules

    fees = [(0, args.fee)]
    for part in filter(None, args.fees.split(",")):
        date, _, bps = part.partition("=")
        try:
            fees.append((moment_ms("--fees", date), float(bps)))
        except ValueError as exc:
            raise ConfigError("--fees", f"has {part}, nothing was traded", "write 2023-01-01=7.5") from exc
    for flag, value in (("--fee", args.fee), ("--spread", args.spread), ("--margin", args.margin)):
        if not 0.0 <= value < math.inf:
            raise ConfigError(flag, f"was {value}, nothing was traded", "give zero or more")
    return Rules(
        shorts=args.shorts,
        fees=tuple(sorted(fees)),
        spread_bps=args.spread,
        latency_ms=args.latency_ms,
        margin=args.margin,
    )
