"""The stored trades: what the journal says was traded, each trade once, exactly those that the candles counted.

    journal ─→ mapper ─→ frames of trades, in the order of arrival ─→ `seen` ─→ new rows ─→ Parquet, sorted by id

Nothing keeps trades beside the journal: they are read from it again, by the road that the candles take, and each id is
let through when it comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tickcast.config import FlowSettings
from tickcast.errors import StoreError
from tickcast.events import TRADES, Frame
from tickcast.journal.files import exchange_dir, list_days, list_exchanges
from tickcast.journal.reading import end_of_day, read_days
from tickcast.runners.datadir import flow_of
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.seen import HI, NEW, TS_HI, Ints, new_seen, see
from tickcast.store.schema import quoted

COLUMNS = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker", "recv_ms")
_TYPES = {"i8": pa.int64(), "f8": pa.float64(), "b1": pa.bool_()}
_SCHEMA = pa.schema(
    [("exchange", pa.string()), ("pair", pa.string()), *((name, _TYPES[TRADES.columns[name]]) for name in COLUMNS)]
)
_GROUP_ROWS = 65_536
_SORT_MEMORY = "512MB"

Key = tuple[str, str]
"""(exchange, pair)"""


def everything(exchange: str, pair: str) -> bool:  # noqa: ARG001
    """Wants each key."""
    return True


def stored_trades(
    root: Path,
    wanted: Callable[[str, str], bool] = everything,
    *,
    advance: Callable[[float], None] = lambda done: None,
) -> Iterator[Frame]:
    """The trades of a data directory's journal, each once, in the order in which they came; also while a process runs.

    `wanted` is asked for each key as its rows come; `advance` is told what share of the journal was read.
    """
    journal = root / "raw"
    exchanges = list_exchanges(journal)
    if not exchanges:
        raise StoreError(
            str(root), "holds no journal, so it has no trades", "name the --data-dir of a system that has run"
        )
    sizes = {name: _sizes(journal, name) for name in exchanges}
    total, before = sum(sum(days.values()) for days in sizes.values()), 0
    for exchange in exchanges:
        known: dict[Key, _Known] = {}
        intake = Intake(_FirstStage(flow_of(root) or FlowSettings()))
        for block, position in read_days(journal, exchange):
            for frame in intake.take(block).frames:
                if frame.kind != TRADES.name or not wanted(frame.exchange, frame.pair):
                    continue
                fresh = known.setdefault((frame.exchange, frame.pair), _Known()).fresh(frame)
                if len(fresh):
                    yield fresh
            done = before + sum(size for day, size in sizes[exchange].items() if day < position.day) + position.offset
            advance(done / total if total else 1.0)
        before += sum(sizes[exchange].values())


def _sizes(journal: Path, exchange: str) -> dict[str, int]:
    folder = exchange_dir(journal, exchange)
    return {day: end_of_day(folder, day) for day in list_days(folder)}


class _FirstStage(Pipeline):
    """The pipeline up to the frames of trades."""

    def push_frame(self, frame: Frame) -> list[Frame]:
        """Give back what the candles would read."""
        return [frame] if frame.kind == "trades" else []


class _Known:
    """The ids of one key that were let through."""

    def __init__(self) -> None:
        self._ids: Ints = new_seen()
        self._used = self._low_ms = 0

    def fresh(self, frame: Frame) -> Frame:
        """The rows that were not there before."""
        columns = frame.columns
        mask = np.ones(0, dtype=np.bool_)
        if len(frame):
            mask = self._see(columns["first_id"], columns["trade_id"], columns["timestamp_ms"])
        self._low_ms = max(self._low_ms, frame.low_ms)
        kept = columns if mask.all() else {name: column[mask] for name, column in columns.items()}
        return Frame(frame.kind, frame.exchange, frame.pair, frame.low_ms, kept)

    def _see(self, first: Ints, last: Ints, times: Ints) -> NDArray[np.bool_]:
        first = np.where(first > last, last, first)
        mask = np.ones(len(last), dtype=np.bool_)
        newest = self._used - 1
        if (
            self._used
            and first[0] >= 0
            and np.array_equal(first, np.concatenate(([self._ids[newest, HI]], last[:-1])) + 1)
        ):
            self._ids[newest, HI], self._ids[newest, TS_HI] = last[-1], times[-1]
            return mask  # each joins the one before: nearly always so
        for row in range(len(last)):
            verdict, self._used = see(self._ids, self._used, first[row], last[row], times[row], self._low_ms)
            mask[row] = verdict == NEW
            if mask[row]:
                self._low_ms = max(self._low_ms, int(times[row]))
        return mask


def write_trades(frames: Iterable[Frame], path: Path) -> int:
    """Write trades as one Parquet file, sorted by exchange, pair and id; returns how many.

    Late trades and fetched history come in any order and any amount, so the sort spills to disk beside the file.
    """
    rough = path.with_name(f"{path.name}.unsorted")
    count = 0
    try:
        with pq.ParquetWriter(rough, _SCHEMA, compression="zstd", compression_level=1) as writer:
            for group in _groups(frames):
                table = pa.concat_tables([_table(frame) for frame in group])
                writer.write_table(table)
                count += len(table)
        _sort(rough, path)
    except (OSError, pa.ArrowException, duckdb.Error) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise StoreError(
            str(path.parent), f"can not be written to ({why})", "name a writable place with space"
        ) from exc
    finally:
        rough.unlink(missing_ok=True)
    return count


def _groups(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Frames of some rows each together, so that small ones do not make small row groups."""
    group: list[Frame] = []
    rows = 0
    for frame in frames:
        group.append(frame)
        rows += len(frame)
        if rows >= _GROUP_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _table(frame: Frame) -> Any:
    labels = [pa.repeat(pa.scalar(text), len(frame)) for text in (frame.exchange, frame.pair)]
    return pa.table([*labels, *(pa.array(frame.columns[name]) for name in COLUMNS)], schema=_SCHEMA)


def _sort(rough: Path, path: Path) -> None:
    config: dict[str, Any] = {
        "memory_limit": _SORT_MEMORY,
        "temp_directory": f"{path}.tmp",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    options = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_GROUP_ROWS}"
    with duckdb.connect(config=config) as connection:
        ordered = f"SELECT * FROM read_parquet({quoted(str(rough))}) ORDER BY exchange, pair, trade_id"
        connection.execute(f"COPY ({ordered}) TO {quoted(str(path))} ({options})")
