"""The rows of a data directory, whoever holds it: the file of the store, or the process that runs on it, by pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from tickcast.errors import BusyError
from tickcast.events import QUALITY, Columns, Table
from tickcast.journal.lock import owner
from tickcast.runners.datadir import STORE_FILE, must_exist
from tickcast.store.arrow import columns_of
from tickcast.store.contract import KINDS
from tickcast.store.duckdb import DuckStore
from tickcast.store.schema import quoted
from tickcast.store.service import QueryClient
from tickcast.store.upsert import stored_columns
from tickcast.store.wire import RUN_FILE

PAGE_ROWS = 2_000
"""Small, for while a page is made the flow waits for the interpreter: of 20,000 rows half a second at worst."""
_ENDS = {"candles": "window_end_ms", "features": "timestamp_ms"}


class Source(Protocol):
    """Where the rows are asked for."""

    def keys(self, kind: str) -> list[tuple[str, str]]:
        """(exchange, pair) of every key that has rows of a kind."""
        ...

    def rows(self, kind: str, *, exchange: str, pair: str) -> Iterator[Columns]:
        """The rows of a key in the order of their ids."""
        ...


@contextmanager
def stored(root: Path, since_ms: int = 0) -> Iterator[Source]:
    """The process that holds the directory, or the store's own file when none does.

    A process that works beside us is not asked for candles and features that end before `since_ms`.
    """
    holder = owner(root)
    if holder is None:
        must_exist(root)
        with DuckStore(root / STORE_FILE, read_only=True) as store:
            yield store
    elif (root / RUN_FILE).exists():
        yield _Process(root, since_ms)
    else:
        raise BusyError(
            str(root), f"is in use by process {holder['pid']}, which answers no questions", "wait until it has ended"
        )


class _Process:
    """The process that holds a data directory, asked page by page."""

    def __init__(self, root: Path, since_ms: int) -> None:
        self._client = QueryClient(root)
        self._since_ms = since_ms

    def keys(self, kind: str) -> list[tuple[str, str]]:
        found = self._client.query(f"SELECT DISTINCT exchange, pair FROM {kind} ORDER BY ALL", limit=100_000)
        return [(str(row[0]), str(row[1])) for row in found.rows]

    def rows(self, kind: str, *, exchange: str, pair: str) -> Iterator[Columns]:
        """Pages behind the last id that came: each sees a moment of its own, and the flow is never held up."""
        made = KINDS[kind]
        names, key = stored_columns(made)[2:], ", ".join(made.key)
        of_key = f"exchange = {quoted(exchange)} AND pair = {quoted(pair)}"
        after = f" AND {_ENDS[kind]} >= {self._since_ms}" if self._since_ms and kind in _ENDS else ""
        began = after
        while True:
            sql = f"SELECT {', '.join(names)} FROM {kind} WHERE {of_key}{after} ORDER BY {key} LIMIT {PAGE_ROWS}"
            found = self._client.query(sql, limit=PAGE_ROWS)
            if not found.rows:
                return
            yield from _columns(made, [name.strip('"') for name in names], found.rows)
            last = dict(zip(names, found.rows[-1], strict=True))
            after = f"{began} AND ({key}) > ({', '.join(str(last[name]) for name in made.key)})"


def _columns(made: Table, names: list[str], rows: list[tuple[Any, ...]]) -> list[Columns]:
    """Rows as they come over the wire, read back as the store reads its own."""
    types = {"i8": pa.int64(), "f8": pa.float64(), "b1": pa.bool_(), "u1": pa.uint8(), "str": pa.string()}
    arrays = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        listed = [QUALITY.index(value) for value in values] if name == "quality" else list(values)
        arrays[name] = pa.array(listed, types[made.columns.get(name, "str")])
    return columns_of(made, pa.record_batch(arrays))
