"""One question to a data directory's store: the running process answers it, or, when none runs, the file."""

from __future__ import annotations

from pathlib import Path

from tickcast.runners.datadir import STORE_FILE, must_exist
from tickcast.store.contract import QueryResult


def ask(root: Path, sql: str, *, limit: int = 1000) -> QueryResult:
    """Answer one reading statement."""
    from tickcast.store.duckdb import DuckStore
    from tickcast.store.service import QueryClient

    client = QueryClient(root)
    if client.alive():
        return client.query(sql, limit=limit)
    must_exist(root)
    store = DuckStore(root / STORE_FILE, read_only=True)
    try:
        return store.query(sql, limit=limit)
    finally:
        store.close()
