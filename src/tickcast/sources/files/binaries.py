"""Parquet and Feather: typed columns with names, a bounded batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tickcast.errors import DataError
from tickcast.sources.files.tables import Hints, Rows, Table

_ROWS_AT_ONCE = 200_000


def read_parquet(path: Path, hints: Hints) -> Table:
    """Open a Parquet file."""
    import pyarrow.parquet

    try:
        opened = pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as exc:
        raise _damaged(path, exc) from exc
    batches = opened.iter_batches(batch_size=_ROWS_AT_ONCE)
    return _table(path, "Parquet", opened.schema_arrow, batches, hints)


def read_feather(path: Path, hints: Hints) -> Table:
    """Open a Feather file (the Arrow file format)."""
    try:
        opened = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = (opened.get_batch(at) for at in range(opened.num_record_batches))
        return _table(path, "Feather", opened.schema, batches, hints)
    except (pa.ArrowException, OSError) as exc:
        raise _damaged(path, exc) from exc


def _table(path: Path, form: str, schema: Any, batches: Iterator[Any], hints: Hints) -> Table:
    notes = [
        f"{name} holds 32-bit floats, which keep about 7 digits"
        for name, kind in zip(schema.names, schema.types, strict=True)
        if pa.types.is_float32(kind) or pa.types.is_float16(kind)
    ]

    def rows() -> Iterator[Rows]:
        first = 1
        try:
            for batch in batches:
                numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
                first += batch.num_rows
                yield Rows([_plain(column) for column in batch.columns], numbers, [])
        except (pa.ArrowException, OSError) as exc:
            raise _damaged(path, exc) from exc

    return Table(path, form, list(schema.names), "row", rows(), hints, notes)


def _plain(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_string_view(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.cast(pa.large_string())
    return column


def _damaged(path: Path, exc: Exception) -> DataError:
    reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return DataError(
        str(path), f"is cut short or damaged ({reason}), so it was not imported", "fetch or write the file again"
    )
