"""Results as Parquet files, one a table: what `replay --out` and `export` write.

Rows are sorted by exchange, pair and id, one row an id; ticks pass through a spool, so memory stays bounded however
long the run. Equal results give equal files, however the rows came. Each file appears whole, at `close`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tickcast.errors import StoreError
from tickcast.events import Columns, Frame, Table
from tickcast.store.arrow import array, wide_names
from tickcast.store.contract import KINDS
from tickcast.store.resolve import join
from tickcast.store.results import Place, Results

_GROUP_ROWS = 65_536
_TYPES = {"i8": pa.int64(), "f8": pa.float64(), "b1": pa.bool_(), "u1": pa.uint8(), "str": pa.string()}


class ParquetSink:
    """Frames in, files out.

    >>> from tickcast.events import CANDLES
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with ParquetSink(Path(directory)) as sink:
    ...         sink.write(Frame("candles", "binance", "BTCUSDT", 0, CANDLES.rows([{"close": 100.0}])))
    ...     pq.read_table(Path(directory) / "candles.parquet")["key"].to_pylist()
    ['binance:BTCUSDT']
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._closed = False
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._temporary = Path(tempfile.mkdtemp(prefix=".spool-", dir=directory))
        except OSError as exc:
            raise _unwritable(directory, exc) from exc
        self._spool = _Spool(self._temporary)
        self.results = Results(self._spool)

    def write(self, frame: Frame) -> None:
        """Take the rows of one frame; kinds that are not a result's (trades) are passed over."""
        try:
            self.results.write(frame)
        except OSError as exc:
            raise _unwritable(self.directory, exc) from exc

    def close(self) -> None:
        """Write the files, all or none; twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            written = [self._write_table(table) for table in KINDS.values()]
            for path in written:
                path.replace(self.directory / path.name)
        except (OSError, pa.ArrowException) as exc:
            raise _unwritable(self.directory, exc) from exc
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def abort(self) -> None:
        """Leave nothing behind; files of an earlier run stay as they were."""
        self._closed = True
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> ParquetSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _write_table(self, table: Table) -> Path:
        rest = {place: columns for place, columns in self.results.rest() if place.kind == table.name}
        places = sorted({*rest, *(place for place in self._spool.places if place.kind == table.name)})
        wide: dict[str, None] = {}
        for place in places:
            wide |= self._spool.wide.get(place, {}) | dict.fromkeys(wide_names(table, rest.get(place, {})))
        schema = _schema(table, list(wide))
        path = self._temporary / f"{table.name}.parquet"
        # numbers of ticks hardly ever repeat: a dictionary of them would only cost time
        labels = [name for name in schema.names if schema.field(name).type == pa.string()] + ["candle_seconds"]
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=labels) as writer:
            for group in _groups(self._rows(places, rest)):
                writer.write_table(_table(table, schema, group), row_group_size=_GROUP_ROWS)
        with path.open("rb") as written:
            os.fsync(written.fileno())
        return path

    def _rows(self, places: list[Place], rest: dict[Place, Columns]) -> Iterator[tuple[Place, Columns]]:
        for place in places:
            for columns in self._spool.take(place):
                yield place, columns
            if place in rest:
                yield place, rest[place]


class _Spool:
    """Final rows in one file a place: Arrow streams one after the other, so no file stays open in between."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.places: dict[Place, Path] = {}
        self.wide: dict[Place, dict[str, None]] = {}
        """The names beside the table's own that a place's rows have, in the order in which they came."""

    def put(self, place: Place, columns: Columns) -> None:
        path = self.places.setdefault(place, self._directory / f"{len(self.places)}.arrow")
        table = KINDS[place.kind]
        self.wide[place] = self.wide.get(place, {}) | dict.fromkeys(wide_names(table, columns))
        rows = pa.table({name: pa.array(column) for name, column in columns.items()})
        with path.open("ab") as file, pa.ipc.new_stream(file, rows.schema) as stream:
            stream.write_table(rows)

    def take(self, place: Place) -> Iterator[Columns]:
        path = self.places.get(place)
        if path is None:
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            while file.tell() < size:
                rows = pa.ipc.open_stream(file).read_all()
                yield {name: rows[name].to_numpy() for name in rows.column_names}


def _schema(table: Table, wide: list[str]) -> Any:
    fields = [("exchange", pa.string()), ("pair", pa.string()), ("key", pa.string())]
    for name, code in table.columns.items():
        fields.append((name, pa.string() if name == "quality" else _TYPES[code]))
    if table.name == "features":
        fields += [("names", pa.list_(pa.string())), ("values", pa.list_(pa.float64()))]
    return pa.schema(fields + [(name, pa.float64()) for name in wide])


def _groups(rows: Iterator[tuple[Place, Columns]]) -> Iterator[list[tuple[Place, Columns]]]:
    """Cut the rows into groups of equal size, whatever the pieces in which they come."""
    group: list[tuple[Place, Columns]] = []
    room = _GROUP_ROWS
    for place, columns in rows:
        start, count = 0, len(next(iter(columns.values())))
        while count - start >= room:
            group.append((place, {name: column[start : start + room] for name, column in columns.items()}))
            yield group
            start, group, room = start + room, [], _GROUP_ROWS
        if start < count:
            group.append((place, {name: column[start:] for name, column in columns.items()}))
            room -= count - start
    if group:
        yield group


def _table(table: Table, schema: Any, group: list[tuple[Place, Columns]]) -> Any:
    counts = [len(next(iter(columns.values()))) for _, columns in group]
    columns = join([columns for _, columns in group])
    labels = {
        "exchange": [place.exchange for place, _ in group],
        "pair": [place.pair for place, _ in group],
        "key": [f"{place.exchange}:{place.pair}" for place, _ in group],
    }
    out: dict[str, Any] = {name: _labels(texts, counts) for name, texts in labels.items()}
    rows = sum(counts)
    wide = schema.names[schema.names.index("values") + 1 :] if table.name == "features" else []
    for field in schema:
        name = field.name
        if name in out or name in ("names", "values"):
            continue
        column = columns[name] if name in columns else np.full(rows, np.nan)
        found = array(table.columns.get(name, "f8"), column, name)
        out[name] = found.dictionary_decode() if name == "quality" else found
    if table.name == "features":
        out["names"] = _lists(
            pa.array(wide, pa.string()).take(pa.array(np.tile(np.arange(len(wide)), rows))), rows, len(wide)
        )
        matrix = [columns[name] if name in columns else np.full(rows, np.nan) for name in wide]
        flat = np.column_stack(matrix) if wide else np.empty((rows, 0))
        out["values"] = _lists(pa.array(flat.ravel(), from_pandas=True), rows, len(wide))
    return pa.table([out[name] for name in schema.names], schema=schema)


def _labels(texts: list[str], counts: list[int]) -> Any:
    return pa.array(texts, pa.string()).take(pa.array(np.repeat(np.arange(len(texts)), counts)))


def _lists(flat: Any, rows: int, width: int) -> Any:
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, flat)


def _unwritable(directory: Path, exc: BaseException) -> StoreError:
    if directory.exists() and not directory.is_dir():
        return StoreError(str(directory), "is a file, so nothing was written", "name a directory with --out")
    reason = getattr(exc, "strerror", None) or str(exc)
    return StoreError(
        str(directory),
        f"can not be written to ({reason}), so it holds no new files",
        "name a writable place with space",
    )
