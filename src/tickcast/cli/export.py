"""`tickcast export`: tables of the store and the journal's trades as Parquet, CSV or JSON, also while the system runs.

store (its file, or the process that holds it) ─→ rows by key ─┬─→ Parquet ─┬→ as it is
journal ─→ trades, each once ──────────────────────────────────┘            └→ CSV, JSON
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tickcast.cli.common import add_json, add_settings, print_json, progress, say, settings_of, table

if TYPE_CHECKING:
    from tickcast.events import Frame
    from tickcast.runners.stored import Source

EPILOG = """examples:
  tickcast export candles --pair BTCUSDT --from 2024-08-01 --to 2024-09-01 --out candles.parquet
  tickcast export trades --exchange binance --out trades.csv
  tickcast export --format csv --out exported --data-dir tickcast-demo
"""
TABLES = ("candles", "technical_indicators", "ticks_features", "features")
"""What the store keeps, and what is exported where nothing is named."""
TRADES = "trades"
"""Not kept twice: read from the journal, each trade once, exactly those that the candles counted."""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.epilog = EPILOG
    names = (*TABLES, TRADES)
    parser.add_argument(
        "tables", nargs="*", type=_one_of, metavar="TABLE", help=f"{', '.join(names)} (default: all but {TRADES})"
    )
    parser.add_argument("--table", choices=names, action="append", help="the same as a flag; may be repeated")
    parser.add_argument("--exchange", help="only this exchange (default: all)")
    parser.add_argument("--pair", help="only this pair, in any spelling (default: all)")
    parser.add_argument("--from", dest="since", metavar="TIME", help="no rows before: a date, ISO time or milliseconds")
    parser.add_argument("--to", dest="until", metavar="TIME", help="only rows before")
    parser.add_argument(
        "--format", choices=("parquet", "csv", "json"), help="default: by the name of --out, or parquet"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("exported"),
        metavar="FILE|DIR",
        help="a file for one table, a directory for several (default: exported)",
    )
    add_settings(parser, "data_dir")
    add_json(parser)


def _one_of(name: str) -> str:
    if name not in (*TABLES, TRADES):
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join((*TABLES, TRADES))}")
    return name


class Wanted(NamedTuple):
    """Which rows; times are milliseconds, the end is not included."""

    exchange: str
    pair: str
    since_ms: int
    until_ms: int


def run(args: argparse.Namespace) -> int:
    """Export, and say how many rows each file has."""
    settings = settings_of(args)
    kinds = list(dict.fromkeys([*args.tables, *(args.table or ())])) or list(TABLES)
    form = args.format or {".csv": "csv", ".json": "json"}.get(args.out.suffix, "parquet")
    files = _files(args.out, kinds, form)
    wanted = Wanted(
        args.exchange or "", args.pair or "", _moment("--from", args.since, 0), _moment("--to", args.until, 2**62)
    )
    folder = next(iter(files.values())).parent
    folder.mkdir(parents=True, exist_ok=True)
    stored = [kind for kind in kinds if kind != TRADES]
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as scratch:
        counts = _export_tables(settings.data_dir, stored, wanted, Path(scratch)) if stored else {}
        if TRADES in kinds:
            counts[TRADES] = _export_trades(settings.data_dir, wanted, Path(scratch) / f"{TRADES}.parquet")
        for kind, path in files.items():
            _convert(Path(scratch) / f"{kind}.parquet", path, form)
    if args.json:
        print_json({"files": {kind: str(path) for kind, path in files.items()}, "rows": counts, "format": form})
    else:
        table("exported", ["table", "rows", "file"], [[kind, counts[kind], str(files[kind])] for kind in kinds])
    if not any(counts.values()):
        say("no row was asked for that is there; the files are empty")
    return 0


def _export_tables(root: Path, kinds: list[str], wanted: Wanted, scratch: Path) -> dict[str, int]:
    """Tables of the store into Parquet files; answers how many rows each has."""
    from tickcast.runners.stored import stored
    from tickcast.store.parquet import ParquetSink

    with ParquetSink(scratch) as sink, stored(root) as source:
        keys = _keys(source, kinds, wanted)
        for kind in kinds:
            for exchange, pair in keys[kind]:
                for frame in _frames(source, kind, exchange, pair, wanted):
                    sink.write(frame)
    counts = sink.results.counts()
    return {kind: counts[kind] for kind in kinds}


def _export_trades(root: Path, wanted: Wanted, path: Path) -> int:
    """The journal's trades into a Parquet file; answers how many there are."""
    from tickcast.clock import utc_text
    from tickcast.runners.datadir import expired_until_ms
    from tickcast.runners.trades import stored_trades, write_trades

    there: set[tuple[str, str]] = set()

    def chosen(exchange: str, pair: str) -> bool:
        there.add((exchange, pair))
        return _is_wanted(exchange, pair, wanted)

    with progress("reading the journal", 1.0) as advance:
        frames = stored_trades(root, chosen, advance=advance)
        count = write_trades((kept for frame in frames if (kept := _within(frame, "timestamp_ms", wanted))), path)
    if there and not any(_is_wanted(*key, wanted) for key in there):
        raise _nothing_of(wanted, there, "journal")
    if expired_ms := expired_until_ms(root):
        say(f"journal days before {utc_text(expired_ms)} were deleted, as retention asks; their trades are not here")
    return count


def _files(out: Path, kinds: list[str], form: str) -> dict[str, Path]:
    from tickcast.errors import DataError

    if out.suffix in (".parquet", ".csv", ".json") and not out.is_dir():
        if len(kinds) != 1:
            raise DataError(
                str(out),
                f"is one file for {len(kinds)} tables, so nothing was written",
                "choose one with --table, or name a directory",
            )
        return {kinds[0]: out}
    if out.exists() and not out.is_dir():
        raise DataError(str(out), "is a file of another kind, so nothing was written", "name a directory")
    return {kind: out / f"{kind}.{form}" for kind in kinds}


def _moment(flag: str, text: str | None, otherwise: int) -> int:
    from tickcast.sources.files.numbers import moment_ms

    return otherwise if text is None else moment_ms(flag, text)


def _keys(source: Source, kinds: list[str], wanted: Wanted) -> dict[str, list[tuple[str, str]]]:
    found = {kind: source.keys(kind) for kind in kinds}
    chosen = {kind: [key for key in keys if _is_wanted(*key, wanted)] for kind, keys in found.items()}
    there = {key for keys in found.values() for key in keys}
    if there and not any(chosen.values()):
        raise _nothing_of(wanted, there, "store")
    return chosen


def _is_wanted(exchange: str, pair: str, wanted: Wanted) -> bool:
    from tickcast.sources.files.naming import same_pair

    return wanted.exchange in ("", exchange) and (not wanted.pair or same_pair(pair, wanted.pair))


def _nothing_of(wanted: Wanted, there: set[tuple[str, str]], whose: str) -> Exception:
    from tickcast.errors import StoreError

    asked = ":".join(part for part in (wanted.exchange, wanted.pair) if part)
    known = ", ".join(":".join(key) for key in sorted(there))
    return StoreError(asked, "has no rows in these tables, so nothing was written", f"the {whose} has {known}")


def _frames(source: Source, kind: str, exchange: str, pair: str, wanted: Wanted) -> Iterator[Frame]:
    from tickcast.events import Frame

    stamp = "window_start_ms" if kind in ("candles", "technical_indicators") else "timestamp_ms"
    for columns in source.rows(kind, exchange=exchange, pair=pair):
        if kept := _within(Frame(kind, exchange, pair, 0, columns), stamp, wanted):
            yield kept


def _within(frame: Frame, stamp: str, wanted: Wanted) -> Frame | None:
    """The rows of the asked-for time; None where there are none."""
    columns = frame.columns
    within = (columns[stamp] >= wanted.since_ms) & (columns[stamp] < wanted.until_ms)
    if not within.any():
        return None
    kept = columns if within.all() else {name: column[within] for name, column in columns.items()}
    return frame.with_columns(frame.kind, kept)


def _convert(made: Path, path: Path, form: str) -> None:
    """Move the Parquet file to its place, or write its rows as text there; either way it appears whole."""
    text = made.with_suffix(f".{form}")
    if form == "csv":
        _write_csv(made, text)
    elif form == "json":
        _write_json(made, text)
    shutil.move(text if form != "parquet" else made, path)


def _write_csv(made: Path, text: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    opened = pyarrow.parquet.ParquetFile(made)
    names = [name for name in opened.schema_arrow.names if name not in ("names", "values")]  # they stand by themselves
    schema = opened.schema_arrow
    for name in ("names", "values"):
        if name in schema.names:
            schema = schema.remove(schema.get_field_index(name))
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with pyarrow.csv.CSVWriter(str(text), schema.remove_metadata(), write_options=options) as writer:
        for batch in opened.iter_batches(columns=names):
            writer.write_batch(batch)


def _write_json(made: Path, text: Path) -> None:
    """A list with one row a line."""
    import msgspec
    import pyarrow.parquet

    between = b"[\n"
    with text.open("wb") as stream:
        for batch in pyarrow.parquet.ParquetFile(made).iter_batches():
            for row in batch.to_pylist():
                stream.write(between + msgspec.json.encode(row))
                between = b",\n"
        stream.write(b"\n]\n" if between == b",\n" else b"[]\n")
