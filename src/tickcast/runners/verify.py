"""The proof that what was stored is what a recomputation from the journal gives, bit for bit.

The journal is carried through fresh stages into a second store, and the two are read side by side in the order of
their rows' ids. Where retention has taken the journal's first days, rows that depend on them are counted apart.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.clock import DAY_MS, SystemClock, utc_text
from tickcast.config import FlowSettings, Settings
from tickcast.events import INDICATORS, Columns, Frame
from tickcast.features.names import reach_ms
from tickcast.indicators.spec import ANCHOR
from tickcast.journal.journal import Journal
from tickcast.journal.lock import DataDirLock
from tickcast.runners.datadir import AHEAD_FILE, STORE_FILE, expired_until_ms, flow_of, must_exist
from tickcast.runners.embedded import Embedded
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline, rows_of
from tickcast.store.contract import KINDS
from tickcast.store.duckdb import DuckStore

COMMIT_ROWS = 100_000
SCRATCH = "verify-"
LONGEST_TICK_WINDOW_MS = 300_000


class Seen(msgspec.Struct):
    """How the rows of one table compare."""

    same: int = 0
    differ: int = 0
    unverifiable: int = 0


class Verdict(msgspec.Struct):
    """What verify found; `sentence` names the first difference, or says that there is none."""

    holds: bool
    sentence: str
    tables: dict[str, Seen]


def verify(root: Path, *, advance: Callable[[float], None] = lambda done: None) -> Verdict:
    """Recompute a data directory that no process works on."""
    must_exist(root)
    settings = flow_of(root) or FlowSettings()
    if (root / AHEAD_FILE).exists():
        _finish_recovery(root, settings)
    with DataDirLock(root), _scratch(root) as scratch:
        stored = DuckStore(root / STORE_FILE, read_only=True)
        again = DuckStore(Path(scratch) / STORE_FILE)
        try:
            with Journal(root, fsync_ms=0, clock=SystemClock(), keep_days=0) as journal:
                _recompute(journal, settings, again, stored.load_checkpoint().positions, advance)
            return _compare(stored, again, settings, expired_until_ms(root))
        finally:
            stored.close()
            again.close()


@contextmanager
def _scratch(root: Path) -> Iterator[str]:
    """A folder for the second store; what a verify that was killed left goes first. The lock keeps others away."""
    for left in root.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=root) as scratch:
        yield scratch


def _finish_recovery(root: Path, settings: FlowSettings) -> None:
    """A recovery that was killed left rows ahead of the checkpoint: do what the next start would do."""
    named = {name: getattr(settings, name) for name in FlowSettings.__struct_fields__}
    with Embedded(Settings(data_dir=root, journal_keep_days=0, **named), SystemClock()) as embedded:
        embedded.recover()


def _recompute(
    journal: Journal,
    settings: FlowSettings,
    again: DuckStore,
    ends: dict[str, tuple[str, int]],
    advance: Callable[[float], None],
) -> None:
    """Carry the journal, as far as the store's checkpoint, through fresh stages."""
    intake = Intake(Pipeline(settings))
    pending: list[Frame] = []
    for place, exchange in enumerate(sorted(ends)):
        for block, position in journal.read(exchange):
            day, offset = ends[exchange]
            if position > (day, offset):  # what was journaled after the checkpoint has no rows in the store yet
                started = position.offset - len(block.lines)
                block = block._replace(lines=block.lines[: max(0, offset - started) if position.day == day else 0])
            if block.lines:
                pending.extend(intake.take(block).frames)
            if rows_of(pending) >= COMMIT_ROWS:
                again.commit(pending, None)
                pending = []
            share = position.offset / offset if position.day == day and offset else 0.0
            advance((place + min(share, 1.0)) / len(ends))
            if position >= (day, offset):
                break
    again.commit(pending, None)


def _compare(stored: DuckStore, again: DuckStore, settings: FlowSettings, expired_ms: int) -> Verdict:
    tables = {kind: Seen() for kind in KINDS}
    first = ""
    for kind, seen in tables.items():
        for exchange, pair in sorted({*stored.keys(kind), *again.keys(kind)}):
            pairs = _aligned(
                kind, stored.rows(kind, exchange=exchange, pair=pair), again.rows(kind, exchange=exchange, pair=pair)
            )
            for left, right, where in pairs:
                if left is not None and right is not None:
                    unequal = _unequal(left, right)
                else:
                    rows = left if left is not None else right
                    unequal = np.ones(_length(rows or {}), dtype=np.bool_)
                unsure = unequal & (where < _sure_from_ms(kind, settings, expired_ms))
                seen.same += int(len(unequal) - unequal.sum())
                seen.unverifiable += int(unsure.sum())
                seen.differ += int(unequal.sum() - unsure.sum())
                certain = np.flatnonzero(unequal & ~unsure)
                if len(certain) and not first:
                    first = _difference(f"{kind} of {exchange}:{pair}", left, right, int(certain[0]), where)
    compared = sum(seen.same for seen in tables.values())
    sentence = first or f"all {compared:,} rows that the journal can tell of are the same, bit for bit"
    return Verdict(not first, sentence, tables)


Pairing = tuple[Columns | None, Columns | None, NDArray[np.int64]]


def _aligned(kind: str, left: Iterator[Columns], right: Iterator[Columns]) -> Iterator[Pairing]:
    """Rows of the same ids side by side; rows that only one side has come alone, with None for the other."""
    key = KINDS[kind].key
    ours: Columns | None = next(left, None)
    theirs: Columns | None = next(right, None)
    while ours is not None and theirs is not None:
        count = min(_length(ours), _length(theirs))
        a, b = _head(ours, count), _head(theirs, count)
        if all(np.array_equal(a[name], b[name]) for name in key):
            yield a, b, _times(a)
            ours, theirs = _rest(ours, count) or next(left, None), _rest(theirs, count) or next(right, None)
            continue
        ids, other = _ids(a, key), _ids(b, key)
        end = min(ids[-1], other[-1])
        upto, other_upto = sum(one <= end for one in ids), sum(one <= end for one in other)
        known = ids[:upto], other[:other_upto]
        both = set(known[0]) & set(known[1])
        picks = [_firsts(some, both) for some in known]
        a, b = _head(a, upto), _head(b, other_upto)
        yield _pick(a, picks[0]), _pick(b, picks[1]), _times(_pick(a, picks[0]))
        yield _pick(a, ~picks[0]), None, _times(_pick(a, ~picks[0]))
        yield None, _pick(b, ~picks[1]), _times(_pick(b, ~picks[1]))
        ours, theirs = _rest(ours, upto) or next(left, None), _rest(theirs, other_upto) or next(right, None)
    while ours is not None:
        yield ours, None, _times(ours)
        ours = next(left, None)
    while theirs is not None:
        yield None, theirs, _times(theirs)
        theirs = next(right, None)


def _firsts(ids: list[tuple[Any, ...]], wanted: set[tuple[Any, ...]]) -> NDArray[np.bool_]:
    """Where each of the wanted ids stands first: a damaged store can hold a row twice.

    >>> _firsts([(1,), (1,), (2,), (3,)], {(1,), (3,)}).tolist()
    [True, False, False, True]
    """
    left = set(wanted)
    picked = np.zeros(len(ids), dtype=np.bool_)
    for at, one in enumerate(ids):
        if one in left:
            left.remove(one)
            picked[at] = True
    return picked


def _unequal(left: Columns, right: Columns) -> NDArray[np.bool_]:
    """Which rows differ in any bit of any column; a null equals a null."""
    unequal = np.zeros(_length(left), dtype=np.bool_)
    for name in left.keys() | right.keys():
        if name not in left or name not in right:
            unequal[:] = True
            continue
        a, b = left[name], right[name]
        if a.dtype == np.float64 and b.dtype == np.float64:
            unequal |= (a.view(np.int64) != b.view(np.int64)) & ~(np.isnan(a) & np.isnan(b))
        else:
            unequal |= a != b
    return unequal


def _sure_from_ms(kind: str, settings: FlowSettings, expired_ms: int) -> int:
    """Rows before this may depend on journal days that retention has taken."""
    if expired_ms == 0:
        return 0
    if kind == "ticks_features":
        return expired_ms + LONGEST_TICK_WINDOW_MS
    longest_ms = 1000 * max(settings.candle_seconds)
    if kind == "candles":
        return expired_ms + DAY_MS + longest_ms
    # an anchor counts candles, so with gaps it reaches further back than its candles' lengths add up to
    anchor_ms = 2 * ANCHOR * longest_ms
    return expired_ms + DAY_MS + (anchor_ms if kind == INDICATORS.name else max(anchor_ms, reach_ms(settings)))


def _difference(where: str, left: Columns | None, right: Columns | None, row: int, times: NDArray[np.int64]) -> str:
    at = f"{where} at {utc_text(int(times[row]))}"
    if left is None or right is None:
        return f"{at}: {'only the journal' if left is None else 'only the store'} has this row"
    for name in left:
        if name not in right or _unequal({name: left[name][row : row + 1]}, {name: right[name][row : row + 1]})[0]:
            again = repr(right[name][row].item()) if name in right else "absent"
            return f"{at}: {name} is {left[name][row].item()!r} in the store and {again} recomputed"
    return f"{at}: differs"


def _times(rows: Columns) -> NDArray[np.int64]:
    return next(rows[name] for name in ("window_start_ms", "timestamp_ms", "from_ms") if name in rows)


def _ids(rows: Columns, key: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name].tolist() for name in key), strict=True))


def _length(rows: Columns) -> int:
    return len(next(iter(rows.values()), ()))


def _head(rows: Columns, count: int) -> Columns:
    return {name: column[:count] for name, column in rows.items()}


def _rest(rows: Columns, count: int) -> Columns | None:
    return {name: column[count:] for name, column in rows.items()} if count < _length(rows) else None


def _pick(rows: Columns, mask: NDArray[np.bool_]) -> Columns:
    return {name: column[mask] for name, column in rows.items()}
