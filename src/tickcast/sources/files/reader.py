"""Read files of candles or trades: what they are is found out, what can not be true is refused, the rest is frames.

path ─→ bytes (opening) ─→ columns (csvs, jsons, binaries) ─→ roles (columns, shapes) ─→ rows that can be true
     (candles, trades) ─→ sorted runs ─→ merge ─→ frames

result = read_file(Path("BTCUSDT-1m-2024-10.zip"), options=ReadOptions(exchange="binance"))
print(result.understood)
for frame in result.frames(): ...
print(result.rows, result.duplicates, result.rejects.count)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tickcast.clock import DAY_MS
from tickcast.errors import DataError
from tickcast.events import Frame
from tickcast.sources.files import candles, trades
from tickcast.sources.files.columns import Roles, assign
from tickcast.sources.files.market import Market, find_market, of_market
from tickcast.sources.files.merge import merged
from tickcast.sources.files.naming import hints_of
from tickcast.sources.files.numbers import times_us, unit_of
from tickcast.sources.files.opening import Text, blocks, kind_of, open_text
from tickcast.sources.files.result import ReadOptions, Rejects, Understood
from tickcast.sources.files.rules import Roled
from tickcast.sources.files.runs import Runs
from tickcast.sources.files.shapes import names_by_values
from tickcast.sources.files.tables import Rows, Table

HOUR_MS = 3_600_000


class ReadResult:
    """One file, opened: what it was taken for is known at once, the counts when the frames have been taken."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.rejects = Rejects(path, options.rejects_path)
        self.rows_read = self.rows = self.duplicates = self.other_markets = self.uncommitted = self.missing = 0
        self.first_ms = self.last_ms = 0
        """The times of the earliest and the latest row that can be true; known when the file was read."""
        self._table, inner = _open(path, options)
        self._roles: Roles = self._find_roles()
        self._market, self._first = self._find_market()
        self._turn_sides()
        self._ids = trades.IdRule("", "")
        self.understood = self._understand(inner)
        times = times_us(self._first.columns["time"], options.time_unit, self._table.hints.day_ms).values
        falling = bool(len(times) and np.any(np.diff(times) < 0))
        self.first_us = 0 if falling else int(times[0])
        """Not after any row of the file: 0 where its first rows are out of order."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Files that are equal in this can be read as one."""
        seen = self.understood
        return (seen.what, seen.exchange, seen.pair, seen.candle_seconds)

    @property
    def quiet_ms(self) -> int:
        """Holes between candles that are shorter than this were quiet: a day at the user's word, an hour at a format's.

        A longer one is more likely the end of what somebody kept than a market without trades.
        """
        if self._roles.what != "candles":
            return 0
        return DAY_MS if self.options.quiet_gaps else HOUR_MS if self._table.hints.quiet_gaps else 0

    def frames(self) -> Iterator[Frame]:
        """The rows in the order of time; once."""
        return merged([self])

    def place(self, number: int) -> str:
        """How people find a row."""
        return f"{self._table.place} {number}"

    def fill(self, runs: Runs, source: int) -> None:
        """Read the whole file into sorted runs; `source` marks its rows among those of other files."""
        try:
            for rows in chain([self._first], self._roled(self._table.rows)):
                self.rows_read += len(rows.numbers)
                run = self._read(rows)
                run["place"] += source << 40
                if len(run):
                    first_ms, last_ms = int(run["time_us"].min()) // 1000, int(run["time_us"].max()) // 1000
                    self.first_ms = min(self.first_ms or first_ms, first_ms)
                    self.last_ms = max(self.last_ms, last_ms)
                self.rows += len(run)
                runs.add(run)
        finally:
            if self.rows:
                self._first = self._first._replace(columns={}, all_columns=[])
        if not self.rows:
            first = f", the first because {self.rejects.first[0].reason}" if self.rejects.first else ""
            raise DataError(
                str(self.path),
                f"has no row that can be imported ({self.rejects.count} were refused{first})",
                "look at the columns it was read with, and correct them with --columns or --time-unit",
            )

    def _find_roles(self) -> Roles:
        table, options = self._table, self.options
        names = table.names
        if not names:
            first = _first_rows(self.path, table)
            self._table = table = table._replace(rows=chain([first], table.rows))
            numbered = [f"column {at + 1}" for at in range(len(first.columns))]
            names = numbered if options.columns else names_by_values(first, table.hints) or numbered
            self._table = table = table._replace(names=names)
        return assign(self.path, names, options.what or table.hints.what, options.columns)

    def _find_market(self) -> tuple[Market, Roled]:
        """The first rows of the market asked for; rows of others before them are counted."""
        market = None
        for rows in self._roled(self._table.rows, all_markets=True):
            if not len(rows.numbers):
                continue
            market = find_market(self.path, rows.columns, self.options, self._table.hints)
            if market is not None:
                self._market = market
                return market, self._only(rows)
            self.other_markets += len(rows.numbers)
        if self.rejects.count:
            raise DataError(str(self.path), "has no row with the right number of fields", "look at its first lines")
        if self.other_markets:
            asked = self.options.pair or self.options.exchange or str(self.options.candle_seconds)
            raise DataError(str(self.path), f"has no row of {asked}", "check the spelling, or leave the flag out")
        raise DataError(str(self.path), "has no rows, so there was nothing to import", "fetch or write the file again")

    def _turn_sides(self) -> None:
        """Coinbase's own answers name the maker's side; others' files of the same market name the taker's."""
        own = self._table.format.startswith("JSON") and self._market.exchange == "coinbase"
        if own and "side" in self._roles.at and "side" not in self.options.columns:
            self._roles.at["maker_side"] = self._roles.at.pop("side")
            self._first.columns["maker_side"] = self._first.columns.pop("side")
            self._table.notes.append("side is the maker's, as Coinbase means it; --columns side=NAME for the taker's")

    def _understand(self, inner: str) -> Understood:
        table, columns, options = self._table, self._first.columns, self.options
        notes, seconds = list(table.notes), 0
        if self._roles.what == "candles":
            seconds = options.candle_seconds or table.hints.candle_seconds or self._market.candle_seconds
            if not seconds:
                seconds, how = candles.spacing_seconds(self.path, inner, columns, options.time_unit)
                notes.append(f"candles of {seconds} seconds, told by {how}")
            if self.quiet_ms:
                notes.append(f"holes of less than {self.quiet_ms // HOUR_MS} h were quiet: flat candles are put there")
        else:
            self._ids = trades.id_rule(columns)
            notes += [self._ids.note] if self._ids.note else []
            if not {"side", "maker_side", "is_buyer_maker"} & columns.keys():
                notes.append("the file does not say who was the taker; every trade counts as bought")
            elif "side" in columns:
                notes.append("side is read as the taker's; say --columns maker_side=NAME if it is the maker's")
        if not options.exchange and not self._market.chosen.get("exchange"):
            notes.append(f"the exchange {self._market.exchange} was told by the file's format or path")
        unit = "ms of the day" if table.hints.day_ms >= 0 else options.time_unit or unit_of(columns["time"])
        names = {role: table.names[at] for role, at in self._roles.at.items()}
        market = self._market
        return Understood(table.format, self._roles.what, market.exchange, market.pair, names, unit, seconds, notes)

    def _roled(self, rows: Iterator[Rows], *, all_markets: bool = False) -> Iterator[Roled]:
        for some in rows:
            for bad in some.bad:
                self.rejects.add(self.place(bad.number), bad.reason, bad.row)
            roled = Roled({role: some.columns[at] for role, at in self._roles.at.items()}, some.numbers, some.columns)
            filled = _without_empty(roled)
            yield filled if all_markets else self._only(filled)

    def _only(self, rows: Roled) -> Roled:
        if not self._market.chosen:
            return rows
        kept = of_market(self.path, rows.columns, self._market, self.options)
        self.other_markets += int((~kept).sum())
        return rows if kept.all() else _masked(rows, kept)

    def _read(self, rows: Roled) -> Any:
        unit, hints = self.options.time_unit, self._table.hints
        if self._roles.what == "trades":
            return trades.read_rows(rows, unit, hints.day_ms, self._ids, self.rejects, self._table.place)
        seconds = self.understood.candle_seconds
        run = candles.read_rows(rows, unit, hints.day_ms, seconds, self.rejects, self._table.place)
        if hints.committed_us:
            whole = run["time_us"] <= hints.committed_us
            self.uncommitted += int((~whole).sum())
            run = run[whole]
        return run


def read_file(path: Path, *, options: ReadOptions | None = None) -> ReadResult:
    """Open a file; DataError says what is wrong with it and what to do."""
    return ReadResult(Path(path), options or ReadOptions())


def _open(path: Path, options: ReadOptions) -> tuple[Table, str]:
    from tickcast.sources.files.binaries import read_feather, read_parquet
    from tickcast.sources.files.csvs import read_csv
    from tickcast.sources.files.jsons import read_json

    kind = kind_of(path)
    if kind == "parquet":
        return read_parquet(path, hints_of(path, path.name)), path.name
    if kind == "feather":
        return read_feather(path, hints_of(path, path.name)), path.name
    text = open_text(path, kind, options.pair)
    lines = blocks(path, text, options.block_bytes, options.progress)
    first = next(lines, None)
    if first is None or not first.data.strip():
        raise DataError(str(path), "holds no text, so there was nothing to read", "fetch or write the file again")
    hints = hints_of(path, text.inner)
    read = read_json if first.data.lstrip()[:1] in (b"[", b"{") else read_csv
    table = read(path, chain([first], lines), hints)
    return table._replace(format=_wrapped(table.format, text)), text.inner


def _wrapped(form: str, text: Text) -> str:
    return f"{form} in {text.wrapped}" if text.wrapped else form


def _first_rows(path: Path, table: Table) -> Rows:
    for rows in table.rows:
        if len(rows.numbers):
            return rows
    raise DataError(str(path), "has no rows, so there was nothing to import", "fetch or write the file again")


def _without_empty(rows: Roled) -> Roled:
    """Blank lines are no rows."""
    import pyarrow.compute as pc

    if not rows.all_columns or not pa.types.is_string(rows.all_columns[0].type):
        return rows
    suspect = pc.equal(pc.binary_length(rows.all_columns[0]), 0)
    if not pc.any(suspect).as_py():
        return rows
    blank = suspect
    for column in rows.all_columns[1:]:
        blank = pc.and_(blank, pc.equal(pc.binary_length(column), 0))
    kept = ~blank.to_numpy(zero_copy_only=False)
    return rows if kept.all() else _masked(rows, kept)


def _masked(rows: Roled, kept: Any) -> Roled:
    mask = pa.array(kept)
    filtered = [column.filter(mask) for column in rows.all_columns]
    return Roled({role: column.filter(mask) for role, column in rows.columns.items()}, rows.numbers[kept], filtered)
