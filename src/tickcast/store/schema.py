"""Opening the DuckDB file: what may be reached from it, and bringing its tables to this version."""

from __future__ import annotations

import shutil
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from tickcast.errors import StoreError

MEMORY_LIMIT = "2GB"
"""What queries and commits may take together; beyond it DuckDB spills to disk."""
KEPT_LIMIT = "32MB"
"""What stays in memory of what is on the disk, once the log was folded: else the cache grows with the file."""
SPILL_LIMIT = "20GB"
LOG_BYTES = 64 * 1024 * 1024
"""How much write-ahead log is folded into the file at once: less halves the append rate, more slows a restart."""

_FOREIGN = "move the file away, or name another data directory; nothing was changed"


def shared_scripts() -> list[tuple[str, str]]:
    """(name, SQL) of the scripts that DuckDB, PostgreSQL and RisingWave share, in order.

    >>> shared_scripts()[0][0]
    '001_candles.sql'
    """
    return _scripts("sql", "")


def _scripts(folder: str, prefix: str) -> list[tuple[str, str]]:
    found = files("tickcast.store") / folder
    names = sorted(entry.name for entry in found.iterdir() if entry.name.endswith(".sql"))
    return [(prefix + name, (found / name).read_text(encoding="utf-8")) for name in names]


def open_database(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection whose SQL reaches the database and its tick files, and nothing else of machine or network."""
    config: dict[str, Any] = {
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": f"{path}.tmp",
        "max_temp_directory_size": SPILL_LIMIT,
    }
    if not read_only:
        config["checkpoint_threshold"] = "1TB"  # never inside a commit: see `fold_log`
    try:
        connection = duckdb.connect(path, read_only=read_only, config=config)
    except duckdb.Error as exc:
        raise _not_opened(path, read_only, str(exc)) from exc
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = [{quoted(str(ticks_directory(path)))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET allowed_configs = ['memory_limit']")  # for `trim`; who asks can not SET anyway
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as exc:
        connection.close()
        if "configuration has been locked" in str(exc):
            raise _busy(path) from exc
        raise _not_opened(path, read_only, str(exc)) from exc
    return connection


def fold_log(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Fold the write-ahead log into the file once it is long, and say so; raises duckdb.Error where that fails.

    By itself DuckDB does so inside a commit, and a full disk then breaks the database after the commit had succeeded.
    So it is done apart, and only where there is room for it.
    """
    log = path.with_name(path.name + ".wal")
    size = log.stat().st_size if log.exists() else 0
    if size <= LOG_BYTES or shutil.disk_usage(path.parent).free <= 2 * size:
        return False
    connection.execute("CHECKPOINT")
    return True


def trim(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of what DuckDB keeps in memory of its file, while nobody reads; raises duckdb.Error where that fails.

    It lets go of blocks only when it reaches its limit, so the limit is lowered for a moment.
    """
    try:
        with suppress(duckdb.OutOfMemoryException):  # what is not on the disk yet needs more than that
            connection.execute(f"SET memory_limit = '{KEPT_LIMIT}'")
    finally:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")


def ticks_directory(path: Path) -> Path:
    """Where the day files of tick features live."""
    return path.resolve().parent / "ticks"


def quoted(text: str) -> str:
    """Write text as an SQL literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def migrate(connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> None:
    """Bring the tables to this version in one transaction; refuse what is not ours or is of a later version."""
    try:
        applied = _applied(connection)
    except duckdb.Error as exc:
        raise StoreError(str(path), f"can not be read ({brief(exc)})", _FOREIGN) from exc
    known = shared_scripts() + _scripts("sql/embedded", "embedded/")
    if applied is None:
        if _tables(connection):
            raise StoreError(
                str(path), "is a DuckDB database, but not one of Tickcast's, so it was not opened", _FOREIGN
            )
        applied = set()
    newer = applied - {name for name, _ in known}
    if newer:
        raise StoreError(
            str(path),
            f"was written by a later version of Tickcast (it has {', '.join(sorted(newer))})",
            "install that version; nothing was changed",
        )
    missing = [(name, text) for name, text in known if name not in applied]
    if not missing:
        return
    if read_only:
        raise StoreError(
            str(path),
            "was written by an earlier version of Tickcast and is open for reading only",
            "run `tickcast up` on this data directory once, it brings the tables up to date",
        )
    try:
        connection.execute("BEGIN")
        for _, text in missing:
            connection.execute(text)
        for name, _ in missing:
            connection.execute("INSERT INTO embedded.schema_versions (script) VALUES (?)", [name])
        connection.execute("COMMIT")
    except duckdb.Error as exc:
        raise StoreError(
            str(path), f"could not be given its tables ({brief(exc)})", "free some disk space and start again"
        ) from exc


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    return [str(row[0]) for row in found]


def _applied(connection: duckdb.DuckDBPyConnection) -> set[str] | None:
    if "schema_versions" not in _tables(connection):
        return None
    return {str(row[0]) for row in connection.execute("SELECT script FROM embedded.schema_versions").fetchall()}


def brief(exc: BaseException) -> str:
    """The first line of an engine's message, without its prefix."""
    first = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
    return first.rstrip(".")


def _busy(path: Path) -> StoreError:
    return StoreError(
        str(path),
        "is in use by another process, so it was not opened",
        "ask that process with `tickcast sql`, or stop it first",
    )


def _not_opened(path: Path, read_only: bool, message: str) -> StoreError:
    """Say what DuckDB's message means for the reader."""
    if "Could not set lock" in message or "different configuration" in message:
        return _busy(path)
    if read_only and not path.exists():
        return StoreError(str(path), "does not exist, so there is nothing to read", "name the right --data-dir")
    if path.is_dir():
        return StoreError(str(path), "is a directory, not a store", _FOREIGN)
    if "not a valid DuckDB database" in message:
        return StoreError(str(path), "is not a Tickcast store, so it was not opened", _FOREIGN)
    if "orrupt" in message or "Could not read enough bytes" in message or "WAL" in message:
        return StoreError(
            str(path),
            f"is damaged, so it was not opened ({message.splitlines()[0]})",
            "move it away and rebuild it from the journal, which holds all it had",
        )
    if "different version" in message or "newer version" in message or "storage version" in message:
        return StoreError(
            str(path), "was written by another version of DuckDB", "upgrade tickcast; nothing was changed"
        )
    return StoreError(
        str(path),
        f"can not be opened ({message.splitlines()[0].rstrip('.')})",
        "see that the directory exists, may be written to and has space left",
    )
