"""`tickcast import`: files of candles or trades, through the same stages as live data, into the store or into tables.

candles ─→ rolled up to the configured lengths ─→ indicators, features ─┬→ --out: one Parquet file a table
trades ─→ candles, ticks, indicators, features ─────────────────────────┴→ --data-dir: upserts into the store
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tickcast.cli.common import add_json, add_settings, print_json, progress, say, settings_of, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tickcast.config import FlowSettings, Settings
    from tickcast.events import Frame
    from tickcast.runners.imports import IntoDirectory, IntoTables
    from tickcast.sources.files.reader import ReadResult
    from tickcast.sources.files.result import ReadOptions

EPILOG = """examples:
  tickcast import BTCUSDT-1m-2024-10.zip --exchange binance --out results
  tickcast import trades/*.csv.gz --exchange kraken --pair BTC/USD --data-dir tickcast-data
  tickcast import odd.csv --exchange binance --pair BTCUSDT --columns time=stamp,price=last,quantity=size --json
"""
REJECTS_FILE = "import-rejects.csv"
_TOLD = {
    "duplicates": "trades were known already",
    "overlapping": "aggregates were known in part and left out",
    "too_late": "times a trade came too late for its candle; import history before what is younger",
}
"""What the candles stage counts, in the words of who imports."""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files; all of one market are read as one")
    parser.add_argument("--what", choices=("candles", "trades"), help="what they hold, where they do not tell")
    parser.add_argument("--exchange", help="where they are from, where they do not tell")
    parser.add_argument("--pair", help="the pair, as the venue writes it, where they do not tell or hold several")
    parser.add_argument(
        "--columns", metavar="A=B,C=D", help="column names by role, for example time=stamp,open=o; numbers count from 1"
    )
    parser.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of the times (default: by their size)")
    parser.add_argument(
        "--candle-seconds",
        dest="file_candle_seconds",
        type=int,
        default=0,
        metavar="S",
        help="how long the candles in the files are (default: found out)",
    )
    parser.add_argument(
        "--quiet-gaps",
        action="store_true",
        help="candles are left out only where nothing was traded: put flat ones there",
    )
    parser.add_argument(
        "--into", dest="candle_seconds", metavar="S,S", help="lengths of candles to make (default: as configured)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="DIR", help="write one Parquet file a table here")
    where.add_argument("--data-dir", dest="data_dir", metavar="DIR", help="the store to import into")
    add_settings(parser, "indicators")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Import, and say what was understood, imported and refused."""
    settings = settings_of(args)
    from tickcast.sources.files.reader import read_file

    target = Path(args.out or settings.data_dir)
    rejects = target / REJECTS_FILE
    rejects.unlink(missing_ok=True)
    sizes = sum(path.stat().st_size for path in args.paths if path.is_file())
    with progress("importing", sizes) as advance:
        options = _options(args, rejects, target, advance)
        results = [read_file(path, options=options) for path in args.paths]
        groups = _groups(results)
        for result in results:
            say(f"{result.path}: {result.understood}")
            for note in result.understood.notes:
                say(f"  {note}")
        made_with, asked = _made_with(args, settings), args.out is None or args.candle_seconds is not None
        flows = [_flow(group, made_with, strict=asked) for group in groups]
        with _target(args, settings, flows) as into:
            for group, flow in zip(groups, flows, strict=True):
                for frame in _frames(group, flow):
                    into.take(frame, flow)
    summary = {
        "files": [_report(result) for result in results],
        **into.summary(),
        "rejects_file": str(rejects) if any(result.rejects.count for result in results) else None,
    }
    if args.json:
        print_json(summary)
    else:
        _print(results, summary)
    return 0


class _Group(NamedTuple):
    """Files of one market and kind."""

    what: str
    candle_seconds: int
    files: list[ReadResult]


def _options(args: argparse.Namespace, rejects: Path, target: Path, advance: Callable[[float], None]) -> ReadOptions:
    from tickcast.errors import DataError
    from tickcast.sources.files.result import ReadOptions

    columns: dict[str, str] = {}
    for part in (args.columns or "").split(","):
        role, equals, name = part.partition("=")
        if part and not (equals and role.strip() and name.strip()):
            raise DataError("--columns", f"has {part}", "write role=name, for example time=stamp,open=o")
        if part:
            columns[role.strip()] = name.strip()
    done = 0

    def count(further: int) -> None:
        nonlocal done
        done += further
        advance(done)

    return ReadOptions(
        what=args.what or "",
        exchange=args.exchange or "",
        pair=args.pair or "",
        columns=columns,
        time_unit=args.time_unit or "",
        candle_seconds=args.file_candle_seconds,
        quiet_gaps=args.quiet_gaps,
        rejects_path=rejects,
        scratch_dir=next((folder for folder in (target, *target.parents) if folder.is_dir()), None),
        progress=count,
    )


def _groups(results: Sequence[ReadResult]) -> list[_Group]:
    """Files that are read as one; candles and trades of one market in one go would be told twice."""
    from tickcast.errors import DataError

    groups: dict[tuple[str, str, str, int], list[ReadResult]] = {}
    for result in results:
        groups.setdefault(result.key, []).append(result)
    markets: dict[tuple[str, str], tuple[str, str, str, int]] = {}
    for key, files in groups.items():
        other = markets.setdefault(key[1:3], key)
        if other != key:
            raise DataError(
                str(files[0].path),
                f"and {groups[other][0].path} tell of {key[1]}:{key[2]} in two ways, so nothing was imported",
                "import only one kind and length of rows of a market at once",
            )
    return [_Group(key[0], key[3], files) for key, files in groups.items()]


def _made_with(args: argparse.Namespace, settings: Settings) -> FlowSettings:
    """What a data directory was made with holds for what is imported into it, unless flags say otherwise."""
    from tickcast.runners.datadir import flow_of

    if args.out is None and args.candle_seconds is None and args.indicators is None:
        return flow_of(settings.data_dir) or settings.flow
    return settings.flow


def _flow(group: _Group, flow: FlowSettings, *, strict: bool) -> FlowSettings:
    """The settings of the stages; without a word of the user on lengths, candles that do not fit stay as they are."""
    import msgspec

    from tickcast.errors import DataError

    if group.what == "trades" or all(seconds % group.candle_seconds == 0 for seconds in flow.candle_seconds):
        return flow
    wanted = ",".join(map(str, flow.candle_seconds))
    if strict:
        raise DataError(
            str(group.files[0].path),
            f"holds {group.candle_seconds}-second candles, of which {wanted} can not be made, so nothing was imported",
            f"ask for what can be made, for example --into {group.candle_seconds}",
        )
    say(f"{group.candle_seconds}-second candles stay as they are: {wanted} can not be made of them")
    return msgspec.structs.replace(flow, candle_seconds=(group.candle_seconds,))


def _target(args: argparse.Namespace, settings: Settings, flows: Sequence[FlowSettings]) -> IntoTables | IntoDirectory:
    from tickcast.errors import DataError
    from tickcast.runners.imports import IntoDirectory, IntoTables

    if args.out is not None:
        return IntoTables(args.out)
    if len(set(flows)) > 1:
        raise DataError(
            str(settings.data_dir),
            "holds candles of one set of lengths and these files would make several, so nothing was imported",
            "import them one by one with --into",
        )
    return IntoDirectory(settings, flows[0])


def _frames(group: _Group, flow: FlowSettings) -> Iterator[Frame]:
    from tickcast.runners.imports import rolled
    from tickcast.sources.files.merge import merged
    from tickcast.sources.files.quiet import fill_quiet

    frames = merged(group.files)
    quiet_ms = max(file.quiet_ms for file in group.files)
    if quiet_ms:
        frames = fill_quiet(frames, group.candle_seconds, quiet_ms)
    return rolled(frames, group.candle_seconds, flow.candle_seconds) if group.what == "candles" else frames


def _report(result: ReadResult) -> dict[str, Any]:
    seen = result.understood
    return {
        "file": str(result.path),
        "format": seen.format,
        "what": seen.what,
        "exchange": seen.exchange,
        "pair": seen.pair,
        "candle_seconds": seen.candle_seconds or None,
        "columns": seen.columns,
        "time_unit": seen.time_unit,
        "notes": seen.notes,
        "rows": result.rows,
        "duplicates": result.duplicates,
        "rejected": result.rejects.count,
        "missing_candles": result.missing,
        "unfinished_candles": result.uncommitted,
        "other_markets": result.other_markets,
        "from_ms": result.first_ms,
        "until_ms": result.last_ms,
        "first_rejects": [str(reject) for reject in result.rejects.first],
    }


def _print(results: Sequence[ReadResult], summary: dict[str, Any]) -> None:
    rows: list[list[object]] = [
        [one.path.name, one.rows, one.duplicates, one.rejects.count, one.missing] for one in results
    ]
    table("read", ["file", "rows", "duplicates", "rejected", "missing candles"], rows)
    for result in results:
        for reject in result.rejects.first:
            print(f"rejected {reject}")
        if result.rejects.count > len(result.rejects.first):
            print(f"rejected {result.rejects.count - len(result.rejects.first):,} more of {result.path.name}")
    if summary["rejects_file"]:
        print(f"all rejected rows are in {summary['rejects_file']}")
    table("made", ["table", "rows"], [[name, count] for name, count in summary["counts"].items()])
    for counts in summary["stages"]:
        for what, count in counts.get("candles", {}).items():
            if count and what in _TOLD:
                say(f"candles: {count:,} {_TOLD[what]}")
    if "digest" in summary:
        print(f"digest {summary['digest']}")
    print(f"written to {summary.get('out') or summary.get('data_dir')}")
