"""What the market said, as it came: one append-only file an exchange and UTC day, one line a message.

<data_dir>/raw/binance/20240809.ndjson          the day that is being written
<data_dir>/raw/binance/20240808.ndjson.zst      a closed day, with its checksums beside it
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from tickcast.clock import NS_PER_MS, Clock, utc_day
from tickcast.errors import JournalError
from tickcast.journal.files import (
    DayFile,
    days_before,
    exchange_dir,
    failure,
    list_days,
    list_exchanges,
    next_day,
    plain_path,
    sealed_path,
)
from tickcast.journal.quarantine import Quarantine
from tickcast.journal.reading import START, Position, end_of_day, read_days
from tickcast.journal.repair import whole_length
from tickcast.journal.sealing import remove_unfinished, seal_day, sums_path
from tickcast.sources.contract import Block, Message

_TORN_PIECE = 1 << 20
_recv_ns, _exchange, _raw = itemgetter(0), itemgetter(1), itemgetter(2)


class Journal:
    """The journal of one data directory; its holder must hold the directory's lock.

    A message goes to the file of the UTC day on which it was received. A receive clock that steps back never leads
    into an older file: what comes then is appended to the newest one, because the order of lines is the order of
    arrival. So a day's file can hold some messages whose receive time is of the day before. A message without receive
    time (0) goes to the newest file too.

    Opening it cuts off what a crash left behind the last whole line; `repaired` says what, and quarantine keeps it.
    Appending and syncing belong to one thread; `seal_closed` and `expire` may run in another.
    """

    def __init__(
        self, root: Path, *, fsync_ms: int, clock: Clock, keep_days: int, quarantine: Quarantine | None = None
    ) -> None:
        self.root = root / "raw"
        self.repaired: list[str] = []
        self._fsync_s = fsync_ms / 1000
        self._clock = clock
        self._keep_days = keep_days
        self._quarantine = quarantine or Quarantine(root, clock=clock)
        self._lock = threading.Lock()
        self._files: dict[str, DayFile] = {}
        self._days: dict[str, str] = {}
        """The newest day that may be written, by exchange."""
        self._ends: dict[str, Position] = {}
        self._unsynced_since_s: float | None = None
        self.synced_s = clock.monotonic_s()
        """When the disk last had all that was appended, on the clock's monotonic scale."""
        self._lost: JournalError | None = None
        for exchange in list_exchanges(self.root):
            self._open(exchange)

    def _open(self, exchange: str) -> None:
        folder = exchange_dir(self.root, exchange)
        remove_unfinished(folder)
        days = list_days(folder)
        for day in days:
            try:
                self._repair(exchange, plain_path(folder, day))
            except OSError as exc:
                raise failure(plain_path(folder, day), "can not be repaired", exc) from exc
        if days:
            newest = days[-1]
            sealed = not plain_path(folder, newest).exists()
            self._days[exchange] = next_day(newest) if sealed else newest
            self._ends[exchange] = Position(newest, end_of_day(folder, newest))

    def _repair(self, exchange: str, path: Path) -> None:
        """Set the torn tail aside before it is cut off: killed in between, it is set aside twice, never lost."""
        if not path.exists() or (size := path.stat().st_size) == (whole := whole_length(path)):
            return
        with path.open("rb+") as file:
            file.seek(whole)
            while piece := file.read(_TORN_PIECE):
                self._quarantine.keep(f"torn end of {path.name}", piece, exchange)
            file.truncate(whole)
        torn = DayFile(path)
        torn.unsynced = True
        torn.sync()
        torn.close()
        self.repaired.append(
            f"{path}: ended in the middle of a line, as after a crash; its last {size - whole} bytes were moved to "
            f"{exchange_dir(self._quarantine.root, exchange)}, all lines before them are whole."
        )

    def append(self, messages: Sequence[Message]) -> list[Block]:
        """Write messages and return the blocks as written, each exchange's in order; all are written, or none.

        After JournalError the files are as they were before, and the same messages can be given again.
        """
        if self._lost is not None:
            raise self._lost
        with self._lock:
            plan = self._plan(messages)
            marks: list[tuple[str, DayFile, int]] = []
            path = self.root
            try:
                for (exchange, day), lines in plan.items():
                    path = plain_path(exchange_dir(self.root, exchange), day)
                    file = self._file(exchange, path)
                    marks.append((exchange, file, file.size))
                    file.write(lines)
            except OSError as exc:
                self._undo(marks)
                raise failure(path, "can not be written, so none of these messages were", exc) from exc
            self._commit(plan, marks)
        return [Block(exchange, lines) for (exchange, _), lines in plan.items()]

    def _plan(self, messages: Sequence[Message]) -> dict[tuple[str, str], bytes]:
        """The lines to write, by exchange and day; what was read at once is looked at once."""
        from tickcast.sources.blocks import encode_lines

        lines: dict[tuple[str, str], list[bytes]] = {}
        days: dict[str, str] = {}
        for recv_ns, some in groupby(messages, key=_recv_ns):
            told: dict[str, list[bytes]] = {}
            for exchange, of_one in groupby(some, key=_exchange):
                told.setdefault(exchange, []).extend(map(_raw, of_one))
            for exchange, raws in told.items():
                newest = days.get(exchange) or self._days.get(exchange)
                if newest is None:
                    exchange_dir(self.root, exchange)  # refuses a name that leads elsewhere
                if recv_ns <= 0:
                    day = newest or utc_day(self._clock.now_ns() // NS_PER_MS)
                else:
                    day = utc_day(recv_ns // NS_PER_MS)
                days[exchange] = day = max(day, newest or day)
                lines.setdefault((exchange, day), []).append(encode_lines(recv_ns, exchange, raws))
        return {where: b"".join(parts) for where, parts in lines.items()}

    def _file(self, exchange: str, path: Path) -> DayFile:
        file = self._files.get(exchange)
        if file is not None and file.path == path:
            return file
        return DayFile(path)  # the old one stays in `_files` until all is written

    def _undo(self, marks: list[tuple[str, DayFile, int]]) -> None:
        for exchange, file, size in marks:
            cut = file.cut(size)
            if file is not self._files.get(exchange):
                gone = file.created and file.discard()
                file.close()
                if not (cut or gone):  # its leftovers would be read as lines; a new start cuts them off
                    self._lost = JournalError(
                        str(file.path), "could not be cut back to its whole lines", "check the disk, then start again"
                    )

    def _commit(self, plan: dict[tuple[str, str], bytes], marks: list[tuple[str, DayFile, int]]) -> None:
        for (exchange, day), (_, file, _) in zip(plan, marks, strict=True):
            before = self._files.get(exchange)
            if before is not None and before is not file:
                self._sync_file(before)
                before.close()
            self._files[exchange] = file
            self._days[exchange] = day
            self._ends[exchange] = Position(day, file.size)
        if plan and self._unsynced_since_s is None:
            self._unsynced_since_s = self._clock.monotonic_s()

    def maybe_sync(self) -> bool:
        """Sync when the oldest line that is not yet on the disk has waited for `fsync_ms`; true when it did."""
        since_s = self._unsynced_since_s
        if since_s is None or self._clock.monotonic_s() - since_s < self._fsync_s:
            return False
        self.sync()
        return True

    def unsynced_s(self) -> float:
        """How long the oldest line that may not be on the disk yet has waited."""
        since_s = self._unsynced_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    def sync(self) -> None:
        """Return when the disk has all that was appended.

        After a failure nothing more is written: the system may have dropped the lines, and only reading the file anew
        tells which.
        """
        if self._lost is not None:
            raise self._lost
        with self._lock:
            for file in self._files.values():
                self._sync_file(file)
            self._unsynced_since_s = None
            self.synced_s = self._clock.monotonic_s()

    def _sync_file(self, file: DayFile) -> None:
        try:
            file.sync()
        except OSError as exc:
            self._lost = JournalError(
                str(file.path),
                f"could not be brought to the disk ({exc.strerror}), so writing stopped",
                "check the disk, then start again; what was kept is found and the rest is fetched again",
            )
            raise self._lost from exc

    def position(self, exchange: str) -> Position:
        """The place behind the last line."""
        return self._ends.get(exchange, START)

    def exchanges(self) -> list[str]:
        """The exchanges that have lines here."""
        return sorted(self._ends)

    def read(
        self, exchange: str, after: Position | None = None, max_bytes: int = 1 << 20
    ) -> Iterator[tuple[Block, Position]]:
        """Blocks after a place, each with the place behind it; see `reading.read_days`."""
        return read_days(self.root, exchange, after, max_bytes)

    def seal_closed(self, today: str, goes_on: Callable[[], bool] = lambda: True) -> list[str]:
        """Compress the days before today; says which. A late message of such a day then goes to the day after.

        JournalError as soon as `goes_on` says no: what is not sealed then is sealed the next time.
        """
        sealed: list[str] = []
        for exchange in list_exchanges(self.root):
            folder = exchange_dir(self.root, exchange)
            for day in list_days(folder):
                if day < today:
                    self._close_day(exchange, day)
                    if seal_day(folder, day, goes_on):
                        sealed.append(f"{exchange}/{day}")
        return sealed

    def _close_day(self, exchange: str, day: str) -> None:
        """Make sure that nothing is written to a day any more."""
        with self._lock:
            if self._days.get(exchange) == day:
                file = self._files.pop(exchange, None)
                if file is not None:
                    self._sync_file(file)
                    file.close()
                self._days[exchange] = next_day(day)

    def due(self, today: str) -> list[tuple[str, str]]:
        """The sealed days that are older than `keep_days` (0 keeps all), as (exchange, day)."""
        found: list[tuple[str, str]] = []
        if self._keep_days <= 0:
            return found
        oldest = days_before(today, self._keep_days)
        for exchange in list_exchanges(self.root):
            folder = exchange_dir(self.root, exchange)
            for day in list_days(folder):
                if day < oldest and sealed_path(folder, day).exists() and not plain_path(folder, day).exists():
                    found.append((exchange, day))
        return found

    def expire(self, today: str) -> list[str]:
        """Delete the days that are due; says which."""
        gone: list[str] = []
        for exchange, day in self.due(today):
            _delete(sealed_path(exchange_dir(self.root, exchange), day))
            gone.append(f"{exchange}/{day}")
        return gone

    def close(self) -> None:
        """Bring all to the disk and let go of the files; twice is harmless."""
        try:
            if self._lost is None:
                self.sync()
        finally:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _delete(sealed: Path) -> None:
    try:
        sealed.unlink()  # first: checksums without their file are harmless, a file without checksums is refused
        sums_path(sealed).unlink(missing_ok=True)
    except OSError as exc:
        raise failure(sealed, "can not be deleted", exc) from exc
