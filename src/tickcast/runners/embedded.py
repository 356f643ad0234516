"""The default runner: one process, one data directory, everything that came in journaled before it is used.

    feeds ─→ journal ─→ intake (map, frame, stages) ─→ outputs ─┐
               │                                                ├─→ one transaction: outputs, states, journal position
               └── position ────────────────────────────────────┘

Kill it anywhere: what was journaled after the last checkpoint is read again from there, and gives the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from tickcast.clock import Clock
from tickcast.config import Settings
from tickcast.errors import TickcastError
from tickcast.events import Frame
from tickcast.journal.journal import Journal
from tickcast.journal.lock import DataDirLock
from tickcast.journal.quarantine import Quarantine
from tickcast.journal.reading import Position
from tickcast.runners.datadir import STORE_FILE, hold_flow, note_expired
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.runners.status import Status
from tickcast.sources.contract import Block, Feed, Message, Reject
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore

PENDING_ROWS_MAX = 100_000
"""Outputs that wait for a checkpoint; at this many a checkpoint is taken at once, whatever the time."""
SNAPSHOT_BYTES_A_SECOND = 8 << 20
"""States of a day of one-second candles are megabytes: checkpoints stand as far apart as this rate of writing wants."""


class Embedded:
    """A data directory at work. As a context manager it locks and repairs, and at the end checkpoints."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.pipeline = Pipeline(settings.flow, settings.pairs)
        self.intake = Intake(self.pipeline)
        self.status = Status(clock)
        self._pending: list[Frame] = []
        self._rejects: list[tuple[str, list[Reject]]] = []
        self._pending_rows = 0
        self._committed_s = clock.monotonic_s()
        self._moved: set[str] = set()
        self._pause_s = 0.0
        self._day = ""
        self._housework: threading.Thread | None = None
        self.chores: list[str] = []

    def __enter__(self) -> Embedded:
        root = self.settings.data_dir
        self._lock = DataDirLock(root)
        self._lock.__enter__()
        try:
            hold_flow(root, self.settings.flow)
            self.quarantine = Quarantine(root, clock=self.clock)
            self.journal = Journal(
                root,
                fsync_ms=self.settings.fsync_ms,
                clock=self.clock,
                keep_days=self.settings.journal_keep_days,
                quarantine=self.quarantine,
            )
            self.chores += self.journal.repaired
            self.store = DuckStore(root / STORE_FILE)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(error, Exception):  # a clean end or Ctrl-C: what was computed is kept
                self.checkpoint()
        finally:
            if self._housework is not None:
                self._housework.join()
            self.store.close()
            self.journal.close()
            self.quarantine.close()
            self._lock.__exit__(kind, error, trace)

    def warm_up(self) -> None:
        """Compile every kernel of this flow now, so that the first live minute does not wait for a compiler."""
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
                self._take(block)
                read = sum(self.intake.messages.values())
                advance(read)
                if self._pending_rows >= PENDING_ROWS_MAX:
                    self.settle()
        self.checkpoint()
        return read

    def pump(self, feeds: Sequence[Feed], timeout_s: float) -> int:
        """Ask each feed once, carry on what came, checkpoint when it is time; returns how many messages came."""
        came = 0
        for feed in feeds:
            came += self.accept(feed.poll(timeout_s / len(feeds)))
        self.journal.maybe_sync()
        since_s = self.clock.monotonic_s() - self._committed_s
        due_s = max(self.settings.checkpoint_ms / 1000, self._pause_s)
        if self._pending_rows >= PENDING_ROWS_MAX or since_s >= due_s:
            self.checkpoint()
        return came

    def accept(self, messages: Sequence[Message]) -> int:
        """Journal some messages, then carry them through all stages."""
        if messages:
            began_s = self.clock.monotonic_s()
            for block in self.journal.append(messages):
                self._take(block)
            self.status.spent(self.clock.monotonic_s() - began_s)
        return len(messages)

    def checkpoint(self) -> None:
        """Outputs, states and the journal's position, together or not at all."""
        if self._moved or self._pending:
            self.journal.sync()
            positions = {name: (at.day, at.offset) for name in self._moved for at in [self.journal.position(name)]}
            snapshots = self.pipeline.snapshots(changed_only=True)
            self._write(Checkpoint(positions, snapshots))
            self._moved.clear()
            self._pause_s = sum(map(len, snapshots.values())) / SNAPSHOT_BYTES_A_SECOND
        self._committed_s = self.clock.monotonic_s()
        self._keep_house()

    def _keep_house(self) -> None:
        """When all exchanges have reached a new day: seal, expire and roll the days before, beside the flow."""
        day = min((self.journal.position(exchange).day for exchange in self.journal.exchanges()), default="")
        busy = self._housework is not None and self._housework.is_alive()
        if day <= self._day or busy:
            return
        self._day = day
        self._housework = threading.Thread(target=self._tidy_up, args=(day,), name="housework", daemon=True)
        self._housework.start()

    def _tidy_up(self, day: str) -> None:
        try:
            sealed, expired = self.journal.seal_closed(day), self.journal.expire(day)
            note_expired(self.settings.data_dir, [name.partition("/")[2] for name in expired])
            self.store.roll_ticks(day)
            self.quarantine.expire(day, self.settings.journal_keep_days)
            self.chores += [f"sealed {name}" for name in sealed]
            self.chores += [f"deleted {name}, as retention asks" for name in expired]
        except TickcastError as exc:  # nothing is lost by not tidying: it is tried again on the next day, and said
            self.chores.append(str(exc))

    def settle(self) -> None:
        """Write outputs without moving the checkpoint, so that a long recovery stays within memory."""
        self._write(None)

    def _write(self, checkpoint: Checkpoint | None) -> None:
        """Quarantine is a log for people: a crash between the two can repeat a line there, never lose one."""
        for exchange, rejects in self._rejects:
            self.quarantine.add(rejects, exchange)
        self._rejects = []
        self.store.commit(self._pending, checkpoint)
        self._pending, self._pending_rows = [], 0

    def _take(self, block: Block) -> None:
        outputs = self.intake.take(block)
        self._moved.add(block.exchange)
        if outputs.rejects:
            self._rejects.append((block.exchange, outputs.rejects))
        self._pending.extend(outputs.frames)
        self._pending_rows += sum(map(len, outputs.frames)) + len(outputs.rejects)
        self.status.note(block.exchange, outputs)
