"""Rows into DuckDB tables by id and revision: a lower revision than the stored one never replaces it."""

from __future__ import annotations

import duckdb

from tickcast.events import Frame, Table
from tickcast.store.arrow import batch

_JSON_COLUMNS = {"technical_indicators": ("extras",), "features": ("names", '"values"')}


def stored_columns(table: Table) -> list[str]:
    """The columns of a table in the store, in the order of its script.

    >>> from tickcast.events import FEATURES
    >>> stored_columns(FEATURES)[-2:]
    ['names', '"values"']
    """
    return ["exchange", "pair", *table.columns, *_JSON_COLUMNS.get(table.name, ())]


def upsert(connection: duckdb.DuckDBPyConnection, table: Table, frames: list[Frame]) -> None:
    """Write the rows of some frames of one kind, inside the caller's transaction."""
    key = ["exchange", "pair", *table.key]
    names = stored_columns(table)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    listed = ", ".join(names)
    newer = f" WHERE excluded.revision >= {table.name}.revision" if "revision" in table.columns else ""
    connection.register("incoming", batch(table, frames))
    try:
        connection.execute(
            f"INSERT INTO {table.name} ({listed}) SELECT {listed} FROM incoming "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}{newer}"
        )
    finally:
        connection.unregister("incoming")
