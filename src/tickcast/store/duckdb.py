"""The embedded store: one DuckDB file beside the day files of tick features. One process writes, its threads read.

>>> import tempfile
>>> from tickcast.events import CANDLES, Frame
>>> with tempfile.TemporaryDirectory() as directory, DuckStore(Path(directory) / "store.duckdb") as store:
...     rows = CANDLES.rows([{"candle_seconds": 60, "close": 100.0}])
...     store.commit([Frame("candles", "binance", "BTCUSDT", 60_000, rows)], None)
...     store.query("SELECT pair, close FROM candles").rows
[('BTCUSDT', 100.0)]
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import duckdb

from tickcast.errors import StoreError
from tickcast.events import Columns, Frame
from tickcast.store import checkpoint as checkpoints
from tickcast.store.arrow import columns_of
from tickcast.store.ask import ask
from tickcast.store.contract import KINDS, Checkpoint, QueryResult
from tickcast.store.schema import brief, fold_log, migrate, open_database, ticks_directory, trim
from tickcast.store.tickdays import TickDays, spans
from tickcast.store.upsert import stored_columns, upsert

_BATCH_ROWS = 16_384


class DuckStore:
    """What the flow said, in `path` and in `ticks/` beside it.

    `commit` and `roll_ticks` exclude each other; `query`, `rows` and `keys` may run in any thread at any time.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        self._closed, self._lost = False, False
        self._lock = threading.RLock()
        self._reading_now: set[duckdb.DuckDBPyConnection] = set()
        self._readers = threading.Lock()
        self._ticks = TickDays(ticks_directory(path).parent)
        self._open()

    def _open(self) -> None:
        self._root = open_database(self.path, read_only=self.read_only)
        try:
            migrate(self._root, self.path, read_only=self.read_only)
            self._writer = self._root.cursor()  # the root itself only makes cursors, so it is never busy
            if not self.read_only:
                self._ticks.tidy(self._writer)
        except duckdb.Error as exc:
            self._root.close()
            raise StoreError(
                str(self.path), f"can not be opened ({brief(exc)})", "see that the disk has space left"
            ) from exc
        except BaseException:
            self._root.close()
            raise
        self._lost = False

    def commit(self, frames: Sequence[Frame], checkpoint: Checkpoint | None) -> None:
        """Keep rows and the place to go on from, together.

        After StoreError nothing of it is in the store: free the cause (a full disk, say) and commit the same again.
        """
        by_kind: dict[str, list[Frame]] = {}
        for frame in frames:
            if frame.kind not in KINDS:
                raise StoreError(
                    str(self.path),
                    f"has no table for rows of kind {frame.kind}, so nothing was kept",
                    f"commit rows of {', '.join(KINDS)} only",
                )
            if len(frame):
                by_kind.setdefault(frame.kind, []).append(frame)
        if not by_kind and checkpoint is None:
            return
        with self._transaction() as connection:
            for kind, found in by_kind.items():
                if kind == "ticks_features":
                    self._ticks.append(connection, found)
                else:
                    upsert(connection, KINDS[kind], found)
            if checkpoint is not None:
                checkpoints.save(connection, checkpoint)
        self._fold_log()

    def load_checkpoint(self) -> Checkpoint:
        """The place of the last commit; empty when there was none."""
        with self._cursor() as cursor:
            return checkpoints.load(cursor)

    def query(self, sql: str, *, limit: int = 10_000, timeout_s: float = 30.0) -> QueryResult:
        """Answer one reading statement, from any thread; it sees whole commits only."""
        with self._cursor() as cursor:
            return ask(cursor, sql, limit, timeout_s)

    @property
    def gone(self) -> list[str]:
        """Day files of tick features, beside the store, that someone removed: their rows are in it no more."""
        return list(self._ticks.gone)

    def keys(self, kind: str) -> list[tuple[str, str]]:
        """(exchange, pair) of every key that has rows of a kind, sorted."""
        with self._cursor() as cursor, self._reading():
            found = cursor.execute(f"SELECT DISTINCT exchange, pair FROM {KINDS[kind].name} ORDER BY ALL").fetchall()
        return [(exchange, pair) for exchange, pair in found]

    def rows(self, kind: str, *, exchange: str, pair: str) -> Iterator[Columns]:
        """The rows of one key in the order of their ids, bit for bit as they were committed, in bounded batches.

        All batches are of one moment, whatever is committed meanwhile.
        """
        table = KINDS[kind]
        with self._cursor() as cursor, self._reading():
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            parts = iter([_ordered(kind, exchange, pair)])
            if kind == "ticks_features":
                parts = iter(list(spans(cursor, self._ticks.base, (exchange, pair))))
            for sql, bounds in parts:
                for found in cursor.sql(sql, params=bounds).to_arrow_reader(_BATCH_ROWS):
                    yield from columns_of(table, found)

    def roll_ticks(self, today: str) -> int:
        """Move the tick features of days before `today` (YYYYMMDD, UTC) to day files; returns how many days moved.

        Call it once the market's time has left a day: a tick that still comes for a closed day is kept, at the cost of
        taking that day back from its file.
        """
        self._refuse_read_only()
        moved = 0
        try:
            with self._cursor() as reader:
                for closed in self._ticks.closed(reader, today):
                    moved += self._ticks.roll(reader, closed, self._transaction)
        except (duckdb.Error, OSError) as exc:
            raise StoreError(
                str(ticks_directory(self.path)),
                f"could not take a closed day ({brief(exc)}), so it stays in the store's file",
                "free some disk space; the next roll tries again",
            ) from exc
        return moved

    def interrupt(self) -> None:
        """Stop what is being read or rolled, from any thread; once may fall between two steps, so call it until it is.

        Commits are not stopped.
        """
        with self._readers:
            running = list(self._reading_now)
        for cursor in running:
            with suppress(duckdb.Error):  # it was closed meanwhile
                cursor.interrupt()

    def close(self) -> None:
        """Let go of the file; twice is harmless."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        with suppress(duckdb.Error):
            self._writer.close()
            self._root.close()

    def __enter__(self) -> DuckStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All or nothing; afterwards the store can be used again, whatever happened."""
        self._refuse_read_only()
        with self._lock:
            self._be_open()
            try:
                self._writer.execute("BEGIN")
                yield self._writer
                self._writer.execute("COMMIT")
            except duckdb.Error as exc:
                self._recover()
                raise StoreError(
                    str(self.path),
                    f"could not take a commit ({brief(exc)}), so nothing of it was kept",
                    "see that the disk has space left; the same commit can be tried again",
                ) from exc
            except BaseException:
                self._recover()
                raise

    def _recover(self) -> None:
        """Undo a transaction that failed; let go of the file where DuckDB has given it up."""
        self._ticks.forget()
        with suppress(duckdb.Error):
            self._writer.execute("ROLLBACK")
        try:
            self._writer.execute("SELECT 1 FROM embedded.positions")
        except duckdb.Error:
            self._let_go()
            self._lost = True

    def _be_open(self) -> None:
        """Open the file again if it was given up; StoreError as long as that can not be."""
        if self._closed:
            raise StoreError(str(self.path), "is closed", "open it again")
        if self._lost:
            with self._lock:
                if self._lost:
                    self._open()

    def _fold_log(self) -> None:
        """Keep the write-ahead log short; what can not be folded now stays in the log, which holds it as well."""
        with self._lock:
            try:
                if fold_log(self._writer, self.path):
                    self._trim()
            except (duckdb.Error, OSError):
                self._recover()

    def _trim(self) -> None:
        """Keep the memory flat; a reader who has begun is left in peace, and one who comes waits for a moment."""
        with self._readers:
            if not self._reading_now:
                trim(self._writer)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for one reader."""
        self._be_open()
        try:
            cursor = self._root.cursor()
        except duckdb.Error as exc:
            raise StoreError(str(self.path), f"can not be read ({brief(exc)})", "ask again") from exc
        with self._readers:
            self._reading_now.add(cursor)
        try:
            if self.read_only:  # the view in the file names paths of when it was written: the directory may have moved
                with self._reading():
                    self._ticks.show(cursor, temporary=True)
            yield cursor
        finally:
            with self._readers:
                self._reading_now.discard(cursor)
            cursor.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What DuckDB can not read is one sentence, with the file in it."""
        try:
            yield
        except duckdb.Error as exc:
            raise StoreError(
                str(self.path),
                f"has rows that can not be read ({brief(exc)})",
                "move a damaged file away; `tickcast replay` of the journal gives its rows again",
            ) from exc

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise StoreError(
                str(self.path), "is open for reading only, so nothing was changed", "open it without read_only"
            )


def _ordered(kind: str, exchange: str, pair: str) -> tuple[str, list[str | int]]:
    """The query for a key's rows of any kind but ticks."""
    table = KINDS[kind]
    label = "CASE quality WHEN 'complete' THEN 0 WHEN 'partial' THEN 1 WHEN 'repaired' THEN 2 END::UTINYINT AS quality"
    names = ", ".join(label if name == "quality" else name for name in stored_columns(table))
    order = ", ".join(table.key)
    return f"SELECT {names} FROM {table.name} WHERE exchange = ? AND pair = ? ORDER BY {order}", [exchange, pair]
