"""The place to go on from, in the same transactions as the rows that were made up to it."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from tickcast.store.contract import Checkpoint


def save(connection: duckdb.DuckDBPyConnection, checkpoint: Checkpoint) -> None:
    """Write what changed, inside the caller's transaction."""
    for exchange, (day, offset) in checkpoint.positions.items():
        connection.execute(
            "INSERT INTO embedded.positions (exchange, day, file_offset) VALUES (?, ?, ?) "
            "ON CONFLICT (exchange) DO UPDATE SET day = excluded.day, file_offset = excluded.file_offset",
            [exchange, day, offset],
        )
    if not checkpoint.snapshots:
        return
    changed = pa.table(
        {
            "stage": pa.array([stage for stage, _ in checkpoint.snapshots], pa.string()),
            "state_key": pa.array([key for _, key in checkpoint.snapshots], pa.string()),
            "data": pa.array(list(checkpoint.snapshots.values()), pa.large_binary()),
        }
    )
    connection.register("changed", changed)
    try:
        connection.execute(
            "INSERT INTO embedded.snapshots (stage, state_key, data) SELECT stage, state_key, data FROM changed "
            "ON CONFLICT (stage, state_key) DO UPDATE SET data = excluded.data"
        )
    finally:
        connection.unregister("changed")


def load(connection: duckdb.DuckDBPyConnection) -> Checkpoint:
    """All that was saved."""
    positions = connection.execute("SELECT exchange, day, file_offset FROM embedded.positions").fetchall()
    snapshots = connection.execute("SELECT stage, state_key, data FROM embedded.snapshots").fetchall()
    return Checkpoint(
        {exchange: (day, offset) for exchange, day, offset in positions},
        {(stage, key): bytes(data) for stage, key, data in snapshots},
    )
