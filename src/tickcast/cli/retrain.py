"""`tickcast retrain`: learn again what is due. For a CronJob, and what a running system starts beside itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tickcast.cli.common import add_json, add_settings, print_json, say, settings_of

if TYPE_CHECKING:
    from tickcast.runners.retrain import Outcome

EPILOG = """examples:
  tickcast retrain --hours 24 --data-dir tickcast-data
  tickcast retrain --hours 6 --tasks volatility --models logistic,lightgbm --promote --json
  tickcast retrain --now

What it trains becomes a challenger; --promote lets the gate decide whether it serves. It may be killed at any moment.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--hours", dest="retrain_hours", metavar="N", help="train when the newest bundle's data are that old (0: never)"
    )
    parser.add_argument("--now", dest="regardless", action="store_true", help="train whether it is due or not")
    parser.add_argument(
        "--tasks", dest="retrain_tasks", metavar="A,B", help="what to learn (default: volatility,price)"
    )
    parser.add_argument(
        "--models", dest="retrain_models", metavar="A,B", help="kinds of models, or all (default: the usual of each)"
    )
    parser.add_argument(
        "--promote",
        dest="retrain_promote",
        action=argparse.BooleanOptionalAction,
        help="let the gate decide whether it serves (default: as configured, else no)",
    )
    add_settings(parser, "data_dir", "exchange", "pairs", "training_days", "trials", "models_dir", "mlflow_uri")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    parser.add_argument("--no-tracking", action="store_true", help="do not log the runs to MLflow")
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Train what is due; 0 when nothing was, 2 when something could not be trained."""
    settings = settings_of(args)
    if args.parent:
        from tickcast.runners.retraining import beside

        beside(args.parent)
    from tickcast.cli.learning import bar, told
    from tickcast.clock import SystemClock
    from tickcast.config import user
    from tickcast.registry.shelf import Shelf
    from tickcast.runners.retrain import retrain

    shelf = Shelf(settings.models, clock=SystemClock(), who=user())
    with bar() as advance:
        outcomes = retrain(
            settings, shelf, regardless=args.regardless, promoting=settings.retrain_promote, seed=args.seed,
            tracking=not args.no_tracking, told=told, bar=advance,
        )  # fmt: skip
    for one in outcomes:
        _tell(one, json=args.json)
    if args.json:
        print_json({"outcomes": outcomes})
    return 2 if any(one.error for one in outcomes) else 0


def _tell(one: Outcome, *, json: bool) -> None:
    for note in one.notes:
        say(note)
    if one.error or json:
        say(f"tickcast retrain: {one.sentence}")
    else:
        print(one.sentence)
