"""`tickcast exchange`: a local exchange that speaks like Binance, Coinbase and Kraken."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tickcast.cli.common import add_json, print_json, say

if TYPE_CHECKING:
    from tickcast.sources.simulated.exchange.faults.kinds import Fault
    from tickcast.sources.simulated.exchange.settings import ExchangeSettings

EPILOG = """examples:
  tickcast exchange
  tickcast exchange --port 9000 --pairs BTCUSDT,ETHUSDT --history-hours 48 --speed 10
  tickcast exchange --port 9000 --load 50000
  tickcast exchange --fault stall,venue=binance,pair=BTCUSDT,after_s=10,seconds=30 --storm 7

Each venue has its own base under one port, for example http://127.0.0.1:9000/binance: its WebSocket and REST paths are
the real ones below that. What really happened: /truth/binance/BTCUSDT?from_ms=&to_ms= (JSON), and /status.
Faults, also by POST /faults (GET lists them, DELETE takes them away); each has kind, venue, pair, channel (trades,
quotes), after_s, seconds, count, chance, and what its line names:
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    from tickcast.sources.simulated.exchange.faults.kinds import KINDS

    parser.epilog = EPILOG + "\n".join(f"  {name:<12} {kind.line}" for name, kind in KINDS.items())
    flag = parser.add_argument
    flag("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    flag("--port", type=int, default=0, metavar="N", help="port to listen on (default: any free one)")
    flag("--venue", default="all", metavar="A,B", help="binance, coinbase, kraken (default: all)")
    flag("--pairs", metavar="A,B", help="pairs, in any venue's spelling (default: BTC, ETH, SOL)")
    flag("--seed", type=int, default=1, help="which market (default: 1)")
    flag("--speed", type=float, default=1.0, metavar="X", help="market seconds a second (default: 1)")
    flag("--signal", type=float, default=0.0, metavar="SHARE", help="plant a signal of this strength")
    flag("--history-hours", type=float, default=4.0, metavar="H", help="history at the start (default: 4)")
    flag("--load", type=float, default=0.0, metavar="N", help="squeeze a busy market to N messages a second")
    flag("--capture", action="append", default=[], metavar="PATH", help="tell a recording instead; may be given again")
    flag("--exchange", default="", help="whose recording --capture names, where it does not tell")
    flag("--no-limits", action="store_true", help="put up with any number of requests and connections")
    flag("--tls", metavar="CERT,KEY", help="speak TLS with this certificate and key (PEM files)")
    flag("--fault", action="append", default=[], metavar="F", help="kind,name=value,... or JSON; may be given again")
    flag("--storm", type=int, metavar="SEED", help="draw a storm of faults from this seed, and print it")
    flag("--storm-seconds", type=float, default=60.0, metavar="N", help="how long the storm lasts (default: 60)")
    flag("--settings", metavar="FILE", help="all settings as JSON, not the flags above (-: a line of input)")
    flag("--parent", type=int, default=0, metavar="PID", help="end when this process is not the parent any more")
    add_json(parser, "print where its venues are as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; says where."""
    settings = settings_of(args)
    from tickcast.clock import SystemClock
    from tickcast.runners.exchange import serve
    from tickcast.sources.simulated.exchange.door import Door

    faults = faults_of(args, settings)

    def told(address: str, status: dict[str, object]) -> None:
        if args.json:
            print_json(
                {"address": address, "venues": {venue: f"{address}/{venue}" for venue in settings.venues}} | status
            )
        else:
            for venue in settings.venues:
                print(f"{venue:<9} {address}/{venue}", flush=True)

    with Door(settings) as door:
        say("making the market's history")
        serve(settings, SystemClock(), told, door, parent=args.parent, faults=faults)
    return 0


def faults_of(args: argparse.Namespace, settings: ExchangeSettings) -> list[Fault]:
    """The faults of the flags; a storm's are printed, so that they can be injected again one by one."""
    from tickcast.sources.simulated.exchange.faults.kinds import lines_of, read_fault_flag
    from tickcast.sources.simulated.exchange.faults.storms import storm

    faults = [read_fault_flag(text) for text in args.fault]
    if args.storm is not None:
        names = [pair.name for pair in settings.market.pairs]
        drawn = storm(args.storm, args.storm_seconds, venues=settings.venues, pairs=names)
        say(f"storm {args.storm}:\n{lines_of(drawn).decode()}".rstrip())
        faults += drawn
    return faults


def settings_of(args: argparse.Namespace) -> ExchangeSettings:
    """What the flags ask for, or the file they name."""
    from pathlib import Path

    import msgspec

    from tickcast.clock import NS_PER_MS, SystemClock
    from tickcast.errors import ConfigError
    from tickcast.sources.simulated.exchange.names import VENUES
    from tickcast.sources.simulated.exchange.settings import (
        UNLIMITED,
        ExchangeSettings,
        Limits,
        busy_market,
        market_before,
    )
    from tickcast.sources.simulated.settings import MarketSettings, pairs_named

    if args.settings:
        if args.settings == "-":
            _compile_first()
        try:
            raw = sys.stdin.buffer.readline() if args.settings == "-" else Path(args.settings).read_bytes()
            return msgspec.json.decode(raw, type=ExchangeSettings)
        except msgspec.DecodeError as error:
            raise ConfigError(args.settings, f"can not be read ({error})", "give settings as JSON") from error
    names = [name.strip() for name in args.pairs.split(",")] if args.pairs else []
    if args.load:
        market = busy_market(args.seed, names)
    else:
        market = MarketSettings(seed=args.seed, signal=args.signal)
        market = msgspec.structs.replace(market, pairs=pairs_named(names)) if names else market
    now_ns = SystemClock().now_ns()
    now_ms = now_ns // NS_PER_MS
    cert, _, key = (args.tls or "").partition(",")
    return ExchangeSettings(
        market=market_before(market, now_ms, 0.0 if args.load else args.history_hours),
        venues=VENUES if args.venue == "all" else tuple(name.strip() for name in args.venue.split(",")),
        live_from_ms=now_ms,
        live_at_ns=now_ns if args.speed == 1.0 else 0,  # at its own pace, its time is the machine's
        speed=args.speed,
        load=args.load,
        capture=tuple(args.capture),
        capture_exchange=args.exchange,
        host=args.host,
        port=args.port,
        limits=UNLIMITED if args.no_limits else Limits(),
        seed=args.seed,
        tls_cert=cert,
        tls_key=key,
    )


def _compile_first() -> None:
    """Who tells the settings by a pipe may take a while with it."""
    import tickcast.sources.simulated.exchange.server  # noqa: F401 - its kernels
    from tickcast.kernels import warm_up

    warm_up()
