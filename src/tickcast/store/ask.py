"""Reading statements: one at a time, nothing but reading, with a limit on rows and time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from tickcast.errors import StoreError
from tickcast.store.contract import QueryResult

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_BATCH_ROWS = 2048


def ask(cursor: duckdb.DuckDBPyConnection, sql: str, limit: int, timeout_s: float) -> QueryResult:
    """Run one statement in a transaction that can not write; the cursor is the caller's to close."""
    text = _checked(cursor, sql)
    late = threading.Event()
    try:
        with _interrupted_after(cursor, timeout_s, late):
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            return _read(cursor, text, limit)
    except duckdb.InterruptException as exc:
        if not late.is_set():
            raise StoreError("query", "was stopped, as the process ends", "ask again when it runs") from exc
        raise StoreError(
            "query", f"took longer than {timeout_s:g} s and was stopped", "narrow it, or allow it more time"
        ) from exc
    except (duckdb.Error, MemoryError) as exc:
        raise refused(exc) from exc


def _checked(cursor: duckdb.DuckDBPyConnection, sql: str) -> str:
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as exc:
        raise refused(exc) from exc
    if len(statements) != 1:
        raise StoreError("query", f"holds {len(statements)} statements, so none was run", "ask one statement at a time")
    statement = statements[0]
    if statement.type not in _READING:
        raise StoreError(
            "query",
            f"is a {statement.type.name} statement and the store only answers reading ones, so it was not run",
            "ask with SELECT, DESCRIBE, SHOW or EXPLAIN",
        )
    return str(statement.query)


def _read(cursor: duckdb.DuckDBPyConnection, text: str, limit: int) -> QueryResult:
    relation = cursor.sql(text)
    reader = relation.to_arrow_reader(min(_BATCH_ROWS, limit + 1))
    columns = list(reader.schema.names)
    rows: list[tuple[Any, ...]] = []
    for batch in reader:
        values = [[_plain(value) for value in column.to_pylist()] for column in batch.columns]
        rows.extend(zip(*values, strict=True))
        if len(rows) > limit:
            break
    return QueryResult(columns, rows[:limit], len(rows) > limit)


def _plain(value: Any) -> Any:
    """Sums of integers come as decimals without a fraction: they are integers to a reader."""
    if isinstance(value, Decimal) and value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    return value


def jsonable(value: Any) -> Any:
    """A value of a row as JSON can say it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): jsonable(part) for name, part in value.items()}
    if isinstance(value, timedelta | Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    return str(value)


@contextmanager
def _interrupted_after(cursor: duckdb.DuckDBPyConnection, timeout_s: float, late: threading.Event) -> Iterator[None]:
    """Interrupt what the cursor does once the time is over, again and again: one call can fall between two steps."""
    done = threading.Event()

    def watch() -> None:
        wait_s = timeout_s
        while not done.wait(wait_s):
            late.set()
            cursor.interrupt()
            wait_s = 0.05

    watcher = threading.Thread(target=watch, name="query-timeout", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def refused(exc: BaseException) -> StoreError:
    """DuckDB's own words and hint in one sentence."""
    lines = [line.strip() for line in str(exc).splitlines()]
    said = "; ".join(line.rstrip(".") for line in lines if line and set(line) - {"^"})
    if isinstance(exc, MemoryError | duckdb.OutOfMemoryException):
        return StoreError("query", f"needs more memory than the store allows ({said})", "narrow it, or aggregate")
    if isinstance(exc, duckdb.PermissionException):
        return StoreError(
            "query", f"reaches outside the store, so it was not run ({said})", "ask for the store's own tables"
        )
    if "No files found" in said or "No such file" in said:
        return StoreError(
            "query",
            f"needs a day file of tick features that is gone ({said})",
            "put the file back, or restart, which forgets it",
        )
    damaged = (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException)
    if ".parquet" in said and isinstance(exc, damaged):
        return StoreError(
            "query",
            f"needs a day file of tick features that can not be read ({said})",
            "move that file away, or put an undamaged copy in its place",
        )
    return StoreError("query", f"could not be run ({said})", "correct it and ask again; SHOW TABLES lists the tables")
