"""One question to a data directory's store: the process that holds it answers, or, when none does, the file."""

from __future__ import annotations

from pathlib import Path

from tickcast.errors import BusyError
from tickcast.journal.lock import owner
from tickcast.runners.datadir import STORE_FILE, must_exist
from tickcast.store.client import QueryClient
from tickcast.store.contract import QueryResult
from tickcast.store.wire import RUN_FILE


def ask(root: Path, sql: str, *, limit: int = 1000) -> QueryResult:
    """Answer one reading statement."""
    held_by = owner(root)
    if held_by is not None:
        if not (root / RUN_FILE).is_file():
            raise BusyError(
                str(root),
                f"is held by process {held_by['pid']}, which does not answer questions now",
                "ask again when it is up, or has ended",
            )
        return QueryClient(root).query(sql, limit=limit)
    must_exist(root)
    from tickcast.store.duckdb import DuckStore

    with DuckStore(root / STORE_FILE, read_only=True) as store:
        return store.query(sql, limit=limit)
