"""The default runner: one process, one data directory, everything that came in journaled before it is used.

    feeds ─→ journal ─→ intake (map, frame, stages) ─→ outputs ─┐
               │                                                ├─→ one transaction: outputs, states, journal position
               └── position ────────────────────────────────────┘

Kill it anywhere: what was journaled after the last checkpoint is read again from there, and gives the same bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType

from tickcast.clock import Clock
from tickcast.config import Settings
from tickcast.errors import StoreError, TickcastError
from tickcast.events import Frame
from tickcast.journal.files import days_before
from tickcast.journal.journal import Journal
from tickcast.journal.lock import DataDirLock
from tickcast.journal.quarantine import Quarantine
from tickcast.journal.reading import Position
from tickcast.runners.datadir import AHEAD_FILE, STORE_FILE, hold_flow, note_expired, write_whole
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.runners.status import Status
from tickcast.sources.contract import Block, Feed, Message, Reject
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

PENDING_ROWS_MAX = 100_000
"""Outputs that wait for a checkpoint; at this many (see `ROWS_PATIENCE_S`) one is taken at once, whatever the time."""
ROWS_PATIENCE_S = 4.0
"""Where states are so big that checkpoints stand apart, more outputs may wait: so many times as many and one at most.

Else a burst of trades would write all states again after each half a second of it.
"""
SNAPSHOT_BYTES_A_SECOND = 8 << 20
"""States of a day of one-second candles are megabytes: checkpoints stand as far apart as this rate of writing wants."""
AGAIN_S = 0.05
NOTES_MAX = 100
"""Notes that wait to be told; of more, the oldest are forgotten."""


class Embedded:
    """A data directory at work. As a context manager it locks and repairs, and at a clean end checkpoints.

    All that is journaled is computed: which pairs are wanted is for the feeds to know. Otherwise `verify`, which knows
    the journal alone, would find other rows.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.pipeline = Pipeline(settings.flow)
        self.intake = Intake(self.pipeline)
        self.status = Status(clock)
        self._pending: list[Frame] = []
        self._rejects: list[tuple[str, list[Reject]]] = []
        self._pending_rows = 0
        self.committed_s = clock.monotonic_s()
        """When the last checkpoint was there, on the clock's monotonic scale."""
        self._moved: set[str] = set()
        self._pause_s = 0.0
        self._half_taken = False
        self._day = ""
        self._housework: threading.Thread | None = None
        self._ending = threading.Event()
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        self._held = ExitStack()

    def __enter__(self) -> Embedded:
        root = self.settings.data_dir
        with ExitStack() as held:
            held.enter_context(DataDirLock(root))
            hold_flow(root, self.settings.flow)
            self.quarantine = Quarantine(root, clock=self.clock)
            self.journal = held.enter_context(
                Journal(
                    root,
                    fsync_ms=self.settings.fsync_ms,
                    clock=self.clock,
                    keep_days=self.settings.journal_keep_days,
                    quarantine=self.quarantine,
                )
            )
            self._notes += self.journal.repaired
            self.store = held.enter_context(DuckStore(root / STORE_FILE))
            self._notes += [f"{root / path}: is gone, so its tick features are left out." for path in self.store.gone]
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error, or Ctrl-C in the middle of a message, the next start reads on from the last checkpoint."""
        with self._held:
            try:
                if error is None:
                    self.checkpoint()
            finally:
                self._put_down_housework()

    def finish(self) -> None:
        """For runs that end of themselves: write everything, and do all housework that it brings.

        A run that is told to end puts that down instead, and so does this one when it is told to meanwhile.
        """
        self._await_housework()
        self._day = ""  # what came since this day's housework is looked at too
        self.checkpoint()
        self._await_housework()

    def _await_housework(self) -> None:
        while self._housework is not None and self._housework.is_alive():
            self._housework.join(AGAIN_S)  # bit by bit: not everywhere does a signal wake a thread that joins

    def _put_down_housework(self) -> None:
        """Sealing and rolling may be left at any point, and the next start does them: nobody waits for a large day."""
        self._ending.set()
        while self._housework is not None and self._housework.is_alive():
            self.store.interrupt()  # again and again: one may fall between two statements
            self._housework.join(AGAIN_S)

    def notes(self) -> list[str]:
        """What was repaired, sealed, deleted or could not be done since this was last asked; a line for people each."""
        told = [self._notes.popleft() for _ in range(len(self._notes))]
        told += self.quarantine.notes
        self.quarantine.notes.clear()
        return told

    def warm_up(self) -> None:
        """Compile every kernel of this flow now, so that the first live minute does not wait for a compiler."""
        import tickcast.sources.scan_lines
        import tickcast.sources.venues.usual  # noqa: F401 - the same
        from tickcast.kernels import warm_up

        warm_up()

    def recover(self, advance: Callable[[int], None] = lambda messages: None) -> int:
        """Take up the last checkpoint and what was journaled after it; returns how many messages those were."""
        found = self.store.load_checkpoint()
        self.pipeline.restore(found.snapshots)
        read = 0
        for exchange in self.journal.exchanges():
            after = found.positions.get(exchange)
            for block, _ in self.journal.read(exchange, None if after is None else Position(*after)):
                self._take([block])
                read = sum(self.intake.messages.values())
                advance(read)
                if self._pending_rows >= PENDING_ROWS_MAX:
                    self.settle()
        self.checkpoint()
        (self.settings.data_dir / AHEAD_FILE).unlink(missing_ok=True)
        return read

    def pump(self, feeds: Sequence[Feed], timeout_s: float) -> int:
        """Ask each feed once, carry on what came, checkpoint when it is time; returns how many messages came."""
        came = 0
        for feed in feeds:
            came += self.accept(feed.poll(timeout_s / len(feeds)))
        self.journal.maybe_sync()
        since_s = self.clock.monotonic_s() - self.committed_s
        due_s = max(self.settings.checkpoint_ms / 1000, self._pause_s)
        rows_max = PENDING_ROWS_MAX * (1.0 + min(self._pause_s, ROWS_PATIENCE_S))
        if self._pending_rows >= rows_max or since_s >= due_s:
            self.checkpoint()
        return came

    def accept(self, messages: Sequence[Message]) -> int:
        """Journal some messages, then carry them through all stages."""
        if messages:
            began_s = self.clock.monotonic_s()
            self._take(self.journal.append(messages))
            self.status.spent(self.clock.monotonic_s() - began_s)
        return len(messages)

    def checkpoint(self) -> None:
        """Outputs, states and the journal's position, together or not at all."""
        if self._half_taken:
            raise StoreError(
                str(self.settings.data_dir),
                "was stopped in the middle of a message, so no checkpoint was written",
                "start again: what was journaled is read again from the last checkpoint",
            )
        if self._moved or self._pending:
            self.journal.sync()
            positions = {name: (at.day, at.offset) for name in self._moved for at in [self.journal.position(name)]}
            snapshots = self.pipeline.snapshots(changed_only=True)
            self._write(Checkpoint(positions, snapshots))
            self.pipeline.settled()
            self._moved.clear()
            self._pause_s = sum(map(len, snapshots.values())) / SNAPSHOT_BYTES_A_SECOND
        self.committed_s = self.clock.monotonic_s()
        self._keep_house()

    def _keep_house(self) -> None:
        """When the exchanges have reached a new day: seal, expire and roll the days before, beside the flow.

        One that is behind is waited for, but for a day at most: it may never come again.
        """
        days = [self.journal.position(exchange).day for exchange in self.journal.exchanges()]
        day = max(min(days), days_before(max(days), 1)) if days else ""
        busy = self._housework is not None and self._housework.is_alive()
        if day <= self._day or busy:
            return
        self._day = day
        self._housework = threading.Thread(target=self._tidy_up, args=(day,), name="housework", daemon=True)
        self._housework.start()

    def _tidy_up(self, day: str) -> None:
        chores: tuple[Callable[[str], object], ...] = (self._seal, self._expire, self.store.roll_ticks)
        for chore in chores:
            if self._ending.is_set():
                return
            try:
                chore(day)
            except TickcastError as exc:  # nothing is lost by not tidying: it is said, and tried again on the next day
                self._notes.append(str(exc))

    def _seal(self, day: str) -> None:
        self._notes += [
            f"sealed {name}" for name in self.journal.seal_closed(day, goes_on=lambda: not self._ending.is_set())
        ]

    def _expire(self, day: str) -> None:
        """The mark comes first: a crash in between must not leave a journal that looks whole and is not."""
        note_expired(self.settings.data_dir, [gone for _, gone in self.journal.due(day)])
        expired = self.journal.expire(day) + self.quarantine.expire(day, self.settings.journal_keep_days)
        self._notes += [f"deleted {name}, as retention asks" for name in expired]

    def settle(self) -> None:
        """Write outputs without moving the checkpoint, so that a long recovery stays within memory."""
        write_whole(self.settings.data_dir / AHEAD_FILE, b"")
        self._write(None)

    def settle_when_full(self) -> None:
        """For callers that hand in messages themselves, without a clock's rhythm: keep within memory."""
        if self._pending_rows >= PENDING_ROWS_MAX:
            self.checkpoint()

    def _write(self, checkpoint: Checkpoint | None) -> None:
        """Quarantine is a log for people: a crash between the two can repeat a line there, never lose one."""
        while self._rejects:
            exchange, rejects = self._rejects[0]
            self.quarantine.add(rejects, exchange)
            del self._rejects[0]
        self.store.commit(self._pending, checkpoint)
        self._pending, self._pending_rows = [], 0

    def _take(self, blocks: Sequence[Block]) -> None:
        """All of what was journaled together; until it is through, no checkpoint may say that it was."""
        self._half_taken = True
        for block in blocks:
            outputs = self.intake.take(block)
            self._moved.add(block.exchange)
            if outputs.rejects:
                self._rejects.append((block.exchange, outputs.rejects))
            self._pending.extend(outputs.frames)
            self._pending_rows += sum(map(len, outputs.frames)) + len(outputs.rejects)
            self.status.note(block.exchange, outputs)
        self._half_taken = False
