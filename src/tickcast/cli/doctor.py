"""`tickcast doctor`: what is well, what is not, and what to do about it.

A check is a function of what is examined; it answers with one finding or several, and never raises. Add one to
`CHECKS` and it is run, shown and counted.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tickcast.cli.common import add_json, add_settings, print_json, settings_of
from tickcast.cli.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from tickcast.clock import Clock
    from tickcast.config import Settings

EPILOG = """examples:
  tickcast doctor
  tickcast doctor --exchange binance
  tickcast doctor --data-dir tickcast-demo --offline --json
"""
EXCHANGES = ("binance", "coinbase", "kraken")
"""Looked at where none is named."""
DISK_FAIL_BYTES, DISK_WARN_BYTES = 200 << 20, 2 << 30
CLOCK_SLACK_NS = 5_000_000_000
NOT_BEFORE_NS = 1_735_689_600_000_000_000
"""2025-01-01: a clock that says less was never set."""


class Case(NamedTuple):
    """What is examined."""

    settings: Settings
    clock: Clock
    exchanges: tuple[str, ...] = ()
    """Whose hosts are looked at; none: the network is left alone."""
    asked: bool = False
    """Whether somebody named these exchanges: then it is a failure if they can not be reached."""


Check = Callable[[Case], Iterator[Finding]]


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    add_settings(parser, "data_dir", "exchange", "endpoints")
    parser.add_argument("--offline", action="store_true", help="leave the network alone")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run all checks; exit code 1 if any fails."""
    from tickcast.clock import SystemClock
    from tickcast.config import Settings
    from tickcast.errors import ConfigError

    found: list[Finding] = []
    try:
        settings = settings_of(args)
        found.append(Finding("configuration", OK, f"candles of {','.join(map(str, settings.candle_seconds))} seconds"))
    except ConfigError as error:
        found.append(Finding("configuration", FAIL, f"{error.where}: {error.what}", error.remedy))
        settings = Settings(data_dir=Path(args.data_dir or Settings().data_dir))
    asked = tuple(name.strip() for name in settings.exchange.split(",") if name.strip())
    exchanges = () if args.offline else asked or EXCHANGES
    found += examine(Case(settings, SystemClock(), exchanges, bool(asked)))
    failed = sum(one.state == FAIL for one in found)
    warned = sum(one.state == WARN for one in found)
    if args.json:
        print_json({"healthy": not failed, "failed": failed, "warned": warned, "checks": [x._asdict() for x in found]})
    else:
        _print(found)
    return 1 if failed else 0


def examine(case: Case) -> list[Finding]:
    """Every check's findings; a check that breaks is a finding too."""
    found: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            found.extend(check(case))
        except Exception as exc:  # noqa: BLE001  the doctor must come to the end of the list
            found.append(Finding(name, FAIL, f"could not be checked ({type(exc).__name__}: {exc})", "report this"))
    return found


def python(_: Case) -> Iterator[Finding]:
    """The interpreter is of a version that this Tickcast was made for."""
    from importlib import metadata

    version = ".".join(map(str, sys.version_info[:3]))
    asked = (metadata.metadata("tickcast")["Requires-Python"] or "").removeprefix(">=")
    if sys.version_info[:3] < _numbers(asked):
        yield Finding("python", FAIL, version, f"install Python {asked} or later")
    else:
        yield Finding("python", OK, f"{version} on {sys.platform}")


def libraries(_: Case) -> Iterator[Finding]:
    """What Tickcast was installed with is there, and not older than it asks for."""
    from importlib import import_module, metadata

    old = []
    required = [one for one in metadata.requires("tickcast") or [] if _needed_here(one)]
    for requirement in required:
        parsed = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*(?:>=\s*([0-9.]+))?", requirement)
        name, least = (parsed[1], parsed[2] or "0") if parsed else (requirement, "0")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding("libraries", FAIL, f"{name} is not installed", f"pip install '{requirement}'")
            continue
        if _numbers(version) < _numbers(least):
            old.append(f"{name} {version} is older than {least}")
    for module in ("numpy", "numba", "talib", "duckdb", "pyarrow", "msgspec"):
        try:
            import_module(module)
        except (ImportError, OSError) as exc:
            yield Finding("libraries", FAIL, f"{module} can not be loaded ({exc})", f"reinstall {module}")
    for found in old:
        yield Finding("libraries", FAIL, found, "pip install --upgrade tickcast")
    if not old:
        yield Finding("libraries", OK, f"{len(required)} found, tickcast {metadata.version('tickcast')}")


def _needed_here(requirement: str, system: str = "") -> bool:
    """Whether it is for this kind of machine, and for everybody.

    >>> _needed_here("xgboost>=3.2; platform_system != 'Linux'", "Linux")
    False
    >>> _needed_here("xgboost-cpu>=3.2; platform_system == 'Linux'", "Linux"), _needed_here("numpy>=2.4")
    (True, True)
    >>> _needed_here("ccxt>=4.5; extra == 'ccxt'")
    False
    """
    asked = re.search(r"platform_system\s*([!=]=)\s*['\"](\w+)['\"]", requirement)
    here = asked is None or (asked[2] == (system or platform.system())) == (asked[1] == "==")
    return here and "extra ==" not in requirement


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> _numbers("2.4.1rc1") >= _numbers("2.4")
    True
    """
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def kernel_cache(_: Case) -> Iterator[Finding]:
    """Compiled kernels can be kept, so that the next start does not compile again."""
    from tickcast import kernels
    from tickcast.config import cache_dir

    folder = kernels.folder()
    if folder.name.startswith(kernels.PASSING):
        yield Finding("kernel cache", WARN, f"{cache_dir()} can not be written", "set NUMBA_CACHE_DIR to a folder")
    else:
        yield Finding("kernel cache", OK, str(folder))


def disk(case: Case) -> Iterator[Finding]:
    """Space where the data go."""
    folder = _existing(case.settings.data_dir)
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < DISK_FAIL_BYTES:
        yield Finding("disk", FAIL, text, "free some space, or name a --data-dir on another disk")
    elif free < DISK_WARN_BYTES:
        yield Finding("disk", WARN, text, "a busy pair journals about 1 GiB a day: free some space soon")
    else:
        yield Finding("disk", OK, text)


def data_directory(case: Case) -> Iterator[Finding]:
    """It can be written, and who works on it."""
    from tickcast.journal.lock import owner
    from tickcast.runners.datadir import flow_of

    root = case.settings.data_dir
    if root.exists() and not root.is_dir():
        yield Finding("data directory", FAIL, f"{root} is a file", "name another --data-dir")
        return
    if not _writable(root):
        yield Finding("data directory", FAIL, f"{root} can not be written", "make it writable, or name another")
        return
    holder = owner(root) if root.is_dir() else None
    state = "does not exist yet" if not root.exists() else f"in use by process {holder['pid']}" if holder else "free"
    yield Finding("data directory", OK, f"{root}, {state}")
    made_with = flow_of(root) if root.is_dir() else None
    if made_with is not None and made_with != case.settings.flow:
        seconds = ",".join(map(str, made_with.candle_seconds))
        yield Finding(
            "data directory",
            WARN,
            f"was made with other settings (candles of {seconds} seconds) than are configured now",
            "start with the old settings, or replay its journal into a new directory",
        )


def journal(case: Case) -> Iterator[Finding]:
    """Days can be read to their last line, sealed ones equal their checksums."""
    from tickcast.errors import JournalError
    from tickcast.journal.files import exchange_dir, list_days, list_exchanges, plain_path, sealed_path
    from tickcast.journal.lock import owner
    from tickcast.journal.repair import whole_length
    from tickcast.journal.sealing import open_sealed

    root = case.settings.data_dir / "raw"
    days, well = 0, True
    running = case.settings.data_dir.is_dir() and owner(case.settings.data_dir) is not None
    for exchange in list_exchanges(root):
        folder = exchange_dir(root, exchange)
        for day in list_days(folder):
            days += 1
            plain = plain_path(folder, day)
            try:
                if not plain.exists():
                    open_sealed(sealed_path(folder, day)).close()
                elif not running and (torn := plain.stat().st_size - whole_length(plain)):
                    well = False
                    remedy = "nothing: the next start moves them to quarantine"
                    yield Finding("journal", WARN, f"{plain} ends with {torn} torn bytes, as after a crash", remedy)
            except JournalError as error:
                well = False
                yield Finding("journal", FAIL, f"{error.where} {error.what}", error.remedy)
    if well:
        yield Finding("journal", OK, f"{days} day files are whole" if days else "nothing was journaled yet")


def store(case: Case) -> Iterator[Finding]:
    """It opens, and its tables are of this version."""
    from tickcast.errors import TickcastError
    from tickcast.journal.lock import owner
    from tickcast.runners.datadir import STORE_FILE
    from tickcast.store.duckdb import DuckStore
    from tickcast.store.service import QueryClient
    from tickcast.store.wire import RUN_FILE

    root = case.settings.data_dir
    path = root / STORE_FILE
    counted = "SELECT (SELECT count(*) FROM candles) AS candles, (SELECT count(*) FROM features) AS features"
    try:
        if not path.exists():
            yield Finding("store", OK, "there is none yet")
            return
        if owner(root) is None:
            with DuckStore(path, read_only=True) as opened:
                candles, features = opened.query(counted).rows[0]
        elif (root / RUN_FILE).exists():
            candles, features = QueryClient(root, timeout_s=10.0).query(counted).rows[0]
        else:
            yield Finding("store", OK, "in use by a process that answers no questions")
            return
        yield Finding("store", OK, f"{candles:,} candles, {features:,} feature rows, tables of this version")
    except TickcastError as error:
        yield Finding("store", FAIL, f"{error.where} {error.what}", error.remedy)


def clock(case: Case) -> Iterator[Finding]:
    """It was set, and is not behind what was already received."""
    from tickcast.clock import utc_text

    now_ns = case.clock.now_ns()
    if now_ns < NOT_BEFORE_NS:
        yield Finding("clock", FAIL, f"says {utc_text(now_ns // 1_000_000)}", "set the system's clock")
        return
    newest_ns = newest_recv_ns(case.settings.data_dir / "raw")
    behind_ns = newest_ns - now_ns
    if behind_ns > CLOCK_SLACK_NS and _is_simulated(case.settings.data_dir):
        yield Finding("clock", OK, f"{utc_text(now_ns // 1_000_000)}; the simulated market ran ahead of it")
    elif behind_ns > CLOCK_SLACK_NS:
        yield Finding(
            "clock",
            FAIL,
            f"is {behind_ns / 1e9:,.0f} s behind the newest journal line ({utc_text(newest_ns // 1_000_000)})",
            "set the system's clock, and keep it with NTP",
        )
    else:
        yield Finding("clock", OK, utc_text(now_ns // 1_000_000))


def _is_simulated(root: Path) -> bool:
    from tickcast.runners.demo import MARKET_FILE

    return (root / MARKET_FILE).exists()


def newest_recv_ns(raw: Path) -> int:
    """The greatest receive time among the last lines of all exchanges' newest days; 0 without any."""
    from tickcast.errors import JournalError
    from tickcast.journal.files import list_days, list_exchanges, plain_path

    newest = 0
    try:
        for exchange in list_exchanges(raw):
            days = list_days(raw / exchange)
            path = plain_path(raw / exchange, days[-1]) if days else raw
            if path.is_file():
                with path.open("rb") as stream:
                    stream.seek(max(0, path.stat().st_size - (1 << 16)))
                    stamps = re.findall(rb'\n\{"r":(\d+),', b"\n" + stream.read())
                newest = max([newest, *map(int, stamps)])
    except (JournalError, OSError):
        return newest  # the journal's own check says what is wrong with it
    return newest


def network(case: Case) -> Iterator[Finding]:
    """Each exchange's hosts: names, REST, socket, clock, and whether this country is refused."""
    if not case.exchanges:
        yield Finding("network", OK, "not looked at")
        return
    from tickcast.cli.doctor_network import examine_network

    yield from examine_network(case.settings, case.clock, case.exchanges, asked=case.asked)


def terminal(_: Case) -> Iterator[Finding]:
    """What the live view needs."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if not sys.stdout.isatty():
        yield Finding("terminal", OK, "not a terminal: plain text and JSON only")
    elif not encoding.startswith("utf"):
        yield Finding("terminal", WARN, f"writes {sys.stdout.encoding}", "set PYTHONUTF8=1, or a UTF-8 locale")
    elif shutil.get_terminal_size().columns < 80:
        yield Finding("terminal", WARN, "is narrower than 80 columns", "widen it for the live view")
    else:
        yield Finding("terminal", OK, f"{shutil.get_terminal_size().columns} columns, {sys.stdout.encoding}")


CHECKS: list[Check] = [
    python, libraries, kernel_cache, disk, data_directory, journal, store, clock, network, terminal,
]  # fmt: skip
"""What is run, in order."""


def _writable(folder: Path) -> bool:
    """Whether files can be made there, or (where it does not exist) it can be made."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return True
    except OSError:
        return False


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    absolute = folder.absolute()
    return next(one for one in (absolute, *absolute.parents) if one.is_dir())


def _print(found: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    drawn = Table(header_style="bold")
    for column in ("", "check", "found", "what to do"):
        drawn.add_column(column, overflow="fold")
    styles = {OK: "[green]ok[/]", WARN: "[yellow]warn[/]", FAIL: "[red]fail[/]"}
    for one in found:
        drawn.add_row(styles[one.state], one.check, one.found.replace("[", "\\["), one.remedy.replace("[", "\\["))
    Console().print(drawn)
