"""Who changed what serves, when, and why: lines that are only ever added, each with the hash of the line before.

A line that is changed or taken out breaks the chain at the next one. The last line may be torn by a crash: it is told,
and cut off when the next line is written, which says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from tickcast.errors import BundleError

AUDIT_FILE = "audit.ndjson"
Action = Literal["registered", "promoted", "refused", "forced", "rolled back", "aliased", "deleted"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line."""

    time_ms: int
    who: str
    action: Action
    task: str
    version_from: str = ""
    """What served before; empty where nothing did, or nothing changed."""
    version_to: str
    reason: str
    verdict: tuple[str, ...] = ()
    """The sentences of the gate, one a check."""
    cut_bytes: int = 0
    """How many bytes of a torn line were cut off before this one."""
    previous: str = ""
    """SHA-256 of the line before, without its newline; empty in the first."""
    own: str = ""
    """SHA-256 of this line where `own` is empty."""


class Trail(NamedTuple):
    """What the file holds."""

    entries: list[Entry]
    torn_bytes: int
    faults: list[str]
    """What does not add up, a sentence each; empty: the chain is whole."""


def read(root: Path) -> Trail:
    """The whole trail, checked."""
    try:
        raw = (root / AUDIT_FILE).read_bytes()
    except FileNotFoundError:
        return Trail([], 0, [])
    except OSError as exc:
        told = f"can not be read ({exc.strerror or exc}), so nothing was changed"
        raise BundleError(str(root / AUDIT_FILE), told, "see that it may be read") from exc
    *lines, torn = raw.split(b"\n")
    entries: list[Entry] = []
    faults: list[str] = []
    previous = ""
    for number, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            faults.append(f"line {number} can not be read ({exc})")
        else:
            entries.append(entry)
            if entry.previous != previous:
                faults.append(f"line {number} does not follow the line before it: one was changed, added or taken out")
            if _line_of(msgspec.structs.replace(entry, own="")) != line:
                faults.append(f"line {number} was changed since it was written")
        previous = hashlib.sha256(line).hexdigest()
    return Trail(entries, len(torn), faults)


def append(root: Path, entry: Entry) -> Entry:
    """Add a line and see it on the disk; call it under the lock of the shelf."""
    path = root / AUDIT_FILE
    try:
        with path.open("a+b") as opened:
            opened.seek(0)
            raw = opened.read()
            whole = raw.rfind(b"\n") + 1
            if whole < len(raw):
                opened.truncate(whole)
            last = raw[:whole].rstrip(b"\n").rpartition(b"\n")[2]
            entry = msgspec.structs.replace(
                entry,
                cut_bytes=len(raw) - whole,
                previous=hashlib.sha256(last).hexdigest() if last else "",
            )
            opened.write(_line_of(entry) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as exc:
        told = f"can not be written to ({exc.strerror or exc}), so nothing was changed"
        raise BundleError(str(path), told, "see that it may be written to and has space") from exc
    return entry


def champions(entries: Iterable[Entry], task: str, current: str) -> list[str]:
    """What served before the current champion, the last one first; what was rolled back is not among them.

    >>> def entry(action, version): return Entry(
    ...     time_ms=0, who="", action=action, task="price", version_to=version, reason="")
    >>> trail = [entry("promoted", "v1-har"), entry("forced", "v2-har"), entry("promoted", "v3-har")]
    >>> champions(trail, "price", "v3-har")
    ['v2-har', 'v1-har']
    >>> champions([*trail, entry("rolled back", "v2-har")], "price", "v2-har")
    ['v1-har']
    """
    stack: list[str] = []
    for entry in entries:
        if entry.task != task:
            continue
        if entry.action in ("promoted", "forced"):
            stack.append(entry.version_to)
        elif entry.action == "rolled back" and entry.version_to in stack:
            while stack[-1] != entry.version_to:
                stack.pop()
    if current in stack:  # a crash may have come between the line and the deed
        while stack[-1] != current:
            stack.pop()
    before = dict.fromkeys(reversed(stack))
    before.pop(current, None)
    return list(before)


def last_change_ms(entries: Iterable[Entry], task: str) -> int | None:
    """When a task's champion changed last."""
    changes = ("promoted", "forced", "rolled back")
    return max((entry.time_ms for entry in entries if entry.task == task and entry.action in changes), default=None)


def _line_of(entry: Entry) -> bytes:
    """The line of an entry, with its own hash."""
    own = hashlib.sha256(msgspec.json.encode(entry)).hexdigest()
    return msgspec.json.encode(msgspec.structs.replace(entry, own=own))
