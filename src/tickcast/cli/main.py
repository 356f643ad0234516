"""The command line: one row a command here, one file a command group beside this one.

A command's module is imported when the command is called, so `tickcast --help` costs nothing but argparse.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

COMMANDS = {
    "demo": ("tickcast.cli.demo", "watch a simulated market flow through the whole system; no network, no key"),
    "up": ("tickcast.cli.up", "real exchanges, live: nothing lost, gaps repaired or marked"),
    "backfill": ("tickcast.cli.backfill", "history from an exchange's REST or bulk files; resumable"),
    "replay": ("tickcast.cli.replay", "recorded messages to candles, indicators, tick features and features"),
    "verify": (
        "tickcast.cli.verify",
        "prove that what was stored equals a recomputation from the journal, bit for bit",
    ),
    "import": ("tickcast.cli.importing", "candles or trades from CSV, JSON, Parquet, Feather and venues' own dumps"),
    "sql": ("tickcast.cli.sql", "read-only SQL on the store, also while the system runs"),
    "export": ("tickcast.cli.export", "tables of the store as Parquet, CSV or JSON"),
    "train": ("tickcast.cli.train", "learn from the stored rows: search, fit, calibrate, judge, keep as a bundle"),
    "retrain": ("tickcast.cli.retrain", "learn again what is due, on the newest rows; for a schedule"),
    "evaluate": ("tickcast.cli.evaluate", "models walk-forward beside the naive ones: what beats what, by how much"),
    "backtest": ("tickcast.cli.backtest", "a decision rule on a model's forecasts, after fees, spread and latency"),
    "models": ("tickcast.cli.models", "bundles on the shelf: list, compare, promote through the gate, roll back"),
    "exchange": ("tickcast.cli.exchange", "a local exchange that speaks like Binance, Coinbase and Kraken"),
    "doctor": ("tickcast.cli.doctor", "check machine, libraries, disk, journal, store and settings"),
}
"""Name, module, and what it does in one line."""

EPILOG = """examples:
  tickcast demo                                   a simulated market, live in the terminal
  tickcast up --exchange binance --pairs BTCUSDT  the real one
  tickcast replay capture.gz --out results        candles and features of a recording
  tickcast sql "SELECT * FROM latest_candles"     ask the store
"""

LEAVES = ("demo", "up", "backfill", "exchange")
"""What may be shot at any moment, and so leaves when it does not end in time: see `runners.stopping.LastResort`."""

STOPPED_BY: list[int] = []
"""The signals that asked this command to end, where its runner did not take them."""


def raise_if_stopped() -> None:
    """For what a command is called back with: an import or a destructor may have swallowed what a signal raised."""
    from tickcast.errors import Stopped

    if STOPPED_BY:
        raise Stopped


def parser_for(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the flags of only that command which `argv` names."""
    from tickcast import __version__

    parser = argparse.ArgumentParser(
        prog="tickcast",
        description="Live market data to calibrated, provable forecasts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tickcast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for name, (module_name, line) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == wanted:
            module = import_module(module_name)
            module.add(sub)
            sub.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; what is wrong is one sentence on standard error and exit code 2."""
    from tickcast.errors import TickcastError

    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if word in COMMANDS), "")
    STOPPED_BY.clear()
    if argv is None and name in LEAVES:  # otherwise we are a guest in somebody's process
        from tickcast.runners.stopping import LastResort

        LastResort(f"tickcast {name}").arm()
    try:
        with _stoppable(STOPPED_BY):
            args = parser_for(words).parse_args(words)
            return int(args.run(args))
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes at its end
        return 0
    except (KeyboardInterrupt, Exception) as error:
        if STOPPED_BY or isinstance(error, KeyboardInterrupt):
            print(f"tickcast {name}: stopped at your word; what was journaled is kept.", file=sys.stderr)
            return 128 + (STOPPED_BY or [signal.SIGINT])[0]
        if isinstance(error, TickcastError):
            print(f"tickcast {name}: {error}", file=sys.stderr)
        elif isinstance(error, OSError):  # whatever no layer below has a better word for: no space, no right to write
            where = error.filename or "the system"
            print(
                f"tickcast {name}: {where}: {error.strerror or error}, so the work was stopped; "
                "see that it exists, may be written to and has space left, then start again.",
                file=sys.stderr,
            )
        else:
            raise
        return 2


@contextmanager
def _stoppable(stopped_by: list[int]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a command alike: files half written are taken away, locks are let go.

    A library that is interrupted may say so in words of its own (DuckDB does), so the signal is written down.
    """

    from tickcast.errors import Stopped

    def stop(number: int, _: object) -> None:
        stopped_by.append(number)
        raise Stopped

    if threading.current_thread() is not threading.main_thread():  # only that one may say what a signal does
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if number == signal.SIGTERM or handler is not signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
