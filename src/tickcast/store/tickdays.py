"""Tick features: appended to a table of recent rows, and moved to one Parquet file a key and day once the day is over.

    commit ─→ embedded.recent_ticks ──────┐
                     │ roll                ├─→ view ticks_features
                     └→ ticks/E/P/D.parquet┘

A tick comes once and in order of time, so an append asks only whether it is newer than the newest. What is not (the
same frame twice, a replay from an older place) takes the slow way: it replaces the rows of the same ids, and a closed
day that gets rows again is taken back from its file first. The list of files, the view and the rows change in one
transaction, so no query ever sees a row twice or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import duckdb
import numpy as np

from tickcast.clock import DAY_MS, utc_day
from tickcast.events import TICKS, Columns, Frame
from tickcast.store.arrow import keyed
from tickcast.store.resolve import join, resolve
from tickcast.store.schema import quoted
from tickcast.store.upsert import stored_columns

COLUMNS = ", ".join(stored_columns(TICKS))
_ROW_GROUP = 122_880

Key = tuple[str, str]


class _Edge(NamedTuple):
    """The newest rows of a key."""

    last_ms: int
    ids: frozenset[int]
    """The trade ids at that time; not known (empty) where it is in a file, but then `closed_ms` is later still."""
    closed_ms: int
    """The end of the newest day that is in a file, or 0."""


def day_start_ms(day: str) -> int:
    """The first millisecond of a UTC day.

    >>> day_start_ms("19700102")
    86400000
    """
    return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1000


def file_of(exchange: str, pair: str, day: str) -> str:
    """Where a day's rows live, relative to the data directory; safe as a path and a URL whatever the pair's spelling.

    >>> file_of("kraken", "BTC/USD", "20240809")
    'ticks/kraken/BTC%2FUSD/20240809.parquet'
    """
    safe = [quote(part, safe="").replace(".", "%2E") for part in (exchange, pair)]
    return f"ticks/{safe[0]}/{safe[1]}/{day}.parquet"


class TickDays:
    """The tick rows of a store; the caller owns connections, transactions and their order."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.gone: list[str] = []
        """Files that were listed and are not there any more."""
        self._edges: dict[Key, _Edge] | None = None
        self._rolling: tuple[Key, str] | None = None
        self._roll_spoiled = False

    def forget(self) -> None:
        """Drop what is known of the rows: a transaction failed, the next one looks anew."""
        self._edges = None

    def append(self, connection: duckdb.DuckDBPyConnection, frames: list[Frame]) -> None:
        """Write rows inside the caller's transaction."""
        edges = self._load_edges(connection)
        by_key: dict[Key, list[Columns]] = {}
        for frame in frames:
            by_key.setdefault((frame.exchange, frame.pair), []).append(frame.columns)
        parts = {key: resolve(TICKS, join(found)) for key, found in by_key.items()}
        for key, columns in parts.items():
            edge = edges.get(key)
            if edge is not None and not _newer(edge, columns):
                self._make_room(connection, key, columns, max(edge.last_ms, edge.closed_ms - 1))
            edges[key] = _edge_after(edge, columns)
        connection.register("incoming", keyed(TICKS, parts))
        try:
            connection.execute(f"INSERT INTO embedded.recent_ticks ({COLUMNS}) SELECT {COLUMNS} FROM incoming")
        finally:
            connection.unregister("incoming")

    def _make_room(self, connection: duckdb.DuckDBPyConnection, key: Key, columns: Columns, last_ms: int) -> None:
        """Remove the rows that these replace; the days that are in files come back to the table first."""
        times = columns["timestamp_ms"]
        old = times <= last_ms
        days = {utc_day(int(day) * DAY_MS) for day in np.unique(times[old] // DAY_MS)}
        for (day,) in connection.execute(
            "SELECT day FROM embedded.tick_files WHERE exchange = ? AND pair = ?", list(key)
        ).fetchall():
            if day in days:
                self._take_back(connection, key, day)
        if self._rolling is not None and self._rolling[0] == key and self._rolling[1] in days:
            self._roll_spoiled = True
        connection.register("incoming", keyed(TICKS, {key: {name: c[old] for name, c in columns.items()}}))
        try:
            connection.execute(
                "DELETE FROM embedded.recent_ticks WHERE exchange = ? AND pair = ? AND timestamp_ms BETWEEN ? AND ? "
                "AND (timestamp_ms, trade_id) IN (SELECT (timestamp_ms, trade_id) FROM incoming)",
                [*key, int(times[0]), last_ms],
            )
        finally:
            connection.unregister("incoming")

    def _take_back(self, connection: duckdb.DuckDBPyConnection, key: Key, day: str) -> None:
        """The file stays where it is, unlisted, until the next roll writes it anew."""
        source = quoted(str(self.base / file_of(*key, day)))
        connection.execute(
            f"INSERT INTO embedded.recent_ticks ({COLUMNS}) SELECT {COLUMNS} FROM read_parquet({source})"
        )
        connection.execute("DELETE FROM embedded.tick_files WHERE exchange = ? AND pair = ? AND day = ?", [*key, day])
        self.show(connection)

    def show(self, connection: duckdb.DuckDBPyConnection, *, temporary: bool = False) -> None:
        """Make `ticks_features` the recent rows and the listed files that are there, all in one."""
        listed = connection.execute("SELECT path FROM embedded.tick_files ORDER BY path").fetchall()
        text = f"SELECT {COLUMNS} FROM embedded.recent_ticks"
        there = [quoted(str(self.base / path)) for (path,) in listed if (self.base / path).is_file()]
        if there:
            text += f" UNION ALL SELECT {COLUMNS} FROM read_parquet([{', '.join(there)}])"
        kind = "TEMP VIEW" if temporary else "VIEW"
        connection.execute(f"CREATE OR REPLACE {kind} ticks_features AS {text}")

    def tidy(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Stop listing files that someone removed (to save space, say), and show the others where they are now.

        Where nothing changed nothing is written, so that a store on a full disk can still be opened.
        """
        listed = [path for (path,) in connection.execute("SELECT path FROM embedded.tick_files").fetchall()]
        missing = [path for path in listed if not (self.base / path).is_file()]
        found = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'ticks_features'").fetchone()
        shown = str(found[0]) if found else ""
        if not missing and all(quoted(str(self.base / path)) in shown for path in listed):
            return
        self.gone += missing
        connection.execute("BEGIN")
        for path in missing:
            connection.execute("DELETE FROM embedded.tick_files WHERE path = ?", [path])
        self.show(connection)
        connection.execute("COMMIT")

    def closed(self, connection: duckdb.DuckDBPyConnection, today: str) -> list[tuple[str, str, str]]:
        """(exchange, pair, day) of all days before today that have rows in the table."""
        found = connection.execute(
            f"SELECT DISTINCT exchange, pair, timestamp_ms // {DAY_MS} FROM embedded.recent_ticks "
            "WHERE timestamp_ms < ? ORDER BY ALL",
            [day_start_ms(today)],
        ).fetchall()
        return [(exchange, pair, utc_day(day * DAY_MS)) for exchange, pair, day in found]

    def roll(
        self,
        reader: duckdb.DuckDBPyConnection,
        closed: tuple[str, str, str],
        transaction: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    ) -> bool:
        """Move one closed day to its file; says whether it moved.

        Commits go on while the file is written; the move itself is one transaction.
        A crash in between leaves a file that is not listed, which the next roll writes anew.
        """
        exchange, pair, day = closed
        start_ms = day_start_ms(day)
        where = "WHERE exchange = ? AND pair = ? AND timestamp_ms >= ? AND timestamp_ms < ?"
        bounds: list[str | int] = [exchange, pair, start_ms, start_ms + DAY_MS]
        self._rolling, self._roll_spoiled = ((exchange, pair), day), False
        try:
            path = file_of(exchange, pair, day)
            count, last_ms = self._write(reader, path, where, bounds)
            with transaction() as connection:
                now = connection.execute(f"SELECT count(*) FROM embedded.recent_ticks {where}", bounds).fetchone()
                if self._roll_spoiled or now != (count,):
                    return False  # the day got rows while it was written: the next roll takes them along
                connection.execute(
                    "INSERT INTO embedded.tick_files (exchange, pair, day, path, row_count, last_ms) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    [exchange, pair, day, path, count, last_ms],
                )
                connection.execute(f"DELETE FROM embedded.recent_ticks {where}", bounds)
                self.show(connection)
                self.forget()
            return True
        finally:
            self._rolling = None

    def _write(
        self, reader: duckdb.DuckDBPyConnection, path: str, where: str, bounds: list[str | int]
    ) -> tuple[int, int]:
        target = self.base / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        reader.execute(
            f"COPY (SELECT {COLUMNS} FROM embedded.recent_ticks {where} ORDER BY timestamp_ms, trade_id) "
            f"TO {quoted(str(partial))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})",
            bounds,
        )
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
        _sync_directory(target.parent)
        found = reader.execute(
            f"SELECT count(*), max(timestamp_ms) FROM read_parquet({quoted(str(target))})"
        ).fetchone()
        return (int(found[0]), int(found[1])) if found else (0, 0)

    def _load_edges(self, connection: duckdb.DuckDBPyConnection) -> dict[Key, _Edge]:
        if self._edges is not None:
            return self._edges
        edges = {
            (exchange, pair): _Edge(last_ms, frozenset(), day_start_ms(day) + DAY_MS)
            for exchange, pair, last_ms, day in connection.execute(
                "SELECT exchange, pair, max(last_ms), max(day) FROM embedded.tick_files GROUP BY exchange, pair"
            ).fetchall()
        }
        for exchange, pair, last_ms, ids in connection.execute(
            "SELECT exchange, pair, timestamp_ms, list(trade_id) FROM embedded.recent_ticks SEMI JOIN "
            "(SELECT exchange, pair, max(timestamp_ms) AS timestamp_ms FROM embedded.recent_ticks "
            "GROUP BY exchange, pair) AS newest USING (exchange, pair, timestamp_ms) "
            "GROUP BY exchange, pair, timestamp_ms"
        ).fetchall():
            known = edges.get((exchange, pair), _Edge(-1, frozenset(), 0))
            if known.last_ms < last_ms:
                edges[exchange, pair] = _Edge(last_ms, frozenset(ids), known.closed_ms)
        self._edges = edges
        return edges


def spans(connection: duckdb.DuckDBPyConnection, base: Path, key: Key) -> Iterator[tuple[str, list[str | int]]]:
    """Queries that together give a key's rows in order, each over a bounded part: a day's file, or an hour."""
    days: dict[int, str | None] = {
        day_start_ms(day): str(base / path)
        for day, path in connection.execute(
            "SELECT day, path FROM embedded.tick_files WHERE exchange = ? AND pair = ?", list(key)
        ).fetchall()
        if (base / path).is_file()
    }
    names = ", ".join(TICKS.columns)
    hours = connection.execute(
        "SELECT DISTINCT timestamp_ms // 3600000 * 3600000 FROM embedded.recent_ticks WHERE exchange = ? AND pair = ?",
        list(key),
    ).fetchall()
    for start_ms in sorted([*days, *(hour for (hour,) in hours)]):
        path = days.get(start_ms)
        if path is not None:  # a day in a file has no rows in the table
            yield f"SELECT {names} FROM read_parquet({quoted(path)})", []
        else:
            yield (
                f"SELECT {names} FROM embedded.recent_ticks WHERE exchange = ? AND pair = ? "
                "AND timestamp_ms >= ? AND timestamp_ms < ? ORDER BY timestamp_ms, trade_id",
                [*key, start_ms, start_ms + 3_600_000],
            )


def _newer(edge: _Edge, columns: Columns) -> bool:
    """True when no row can be one that the store has."""
    times, ids = columns["timestamp_ms"], columns["trade_id"]
    if times[0] < edge.closed_ms:  # a closed day that gets rows, even new ones, has to come back from its file
        return False
    if times[0] > edge.last_ms:
        return True
    if times[0] < edge.last_ms:
        return False
    return edge.ids.isdisjoint(ids[times == edge.last_ms].tolist())


def _edge_after(edge: _Edge | None, columns: Columns) -> _Edge:
    times = columns["timestamp_ms"]
    last_ms = int(times[-1])
    ids = frozenset(columns["trade_id"][times == last_ms].tolist())
    if edge is None:
        return _Edge(last_ms, ids, 0)
    if edge.last_ms > last_ms:
        return edge
    return _Edge(last_ms, ids | edge.ids if edge.last_ms == last_ms else ids, edge.closed_ms)


def _sync_directory(directory: Path) -> None:
    """Make a rename last; where directories can not be opened (Windows) the rename lasts by itself."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
