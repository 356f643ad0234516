"""The shelf: all bundles of a data directory, and which of them serve.

    models/
      audit.ndjson                 who, when, why
      <task>/aliases.json          champion and challengers
      <task>/<version>/            a bundle; never changed
      <task>/.numbers/<n>          numbers that were given out, so that none is given twice

One process writes at a time (a lock of the system, let go by whoever dies); readers need no lock.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tickcast.clock import NS_PER_MS, Clock, SystemClock
from tickcast.config import FlowSettings
from tickcast.errors import BundleError
from tickcast.registry import audit, bundle, disk
from tickcast.registry import manifest as manifests
from tickcast.registry.audit import Action, Entry
from tickcast.registry.bundle import PART, Bundle, Parts
from tickcast.registry.manifest import VERSION, Content, Manifest

TASKS = ("price", "direction", "volatility")
ALIASES_FILE, NUMBERS = "aliases.json", ".numbers"
_ALIASES_BYTES_MAX = 100_000
_GONE = ".gone-"


class Aliases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which versions of a task serve, and which run beside them to be judged."""

    champion: str = ""
    challengers: tuple[str, ...] = ()


class Shelf:
    """All bundles under one folder.

    >>> Shelf(Path("nowhere")).versions("price")
    []
    """

    def __init__(self, root: Path, *, clock: Clock | None = None, who: str = "") -> None:
        self.root = root
        self.clock = clock or SystemClock()
        self.who = who

    # --- reading

    def versions(self, task: str) -> list[str]:
        """All versions of a task, oldest first."""
        folder = self.folder(task)
        try:
            names = [path.name for path in folder.iterdir() if VERSION.fullmatch(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(names, key=lambda name: (number_of(name), name))

    def newest(self, task: str) -> str | None:
        """The last version of a task."""
        return next(reversed(self.versions(task)), None)

    def resolve(self, task: str, name: str) -> str:
        """The version that a name means: a version, its number (`v3`), `champion`, `challenger` or `newest`."""
        versions, aliases = self.versions(task), self.aliases(task)
        wanted = {"champion": aliases.champion, "newest": versions[-1] if versions else ""}.get(name, name)
        if name == "challenger" and len(aliases.challengers) == 1:
            wanted = aliases.challengers[0]
        found = [version for version in versions if wanted and (version == wanted or version.startswith(f"{wanted}-"))]
        if len(found) != 1:
            near = f"there are {', '.join(versions[-5:])}" if versions else "train one first"
            raise BundleError(f"{task}/{name}", "names no version on the shelf, so nothing was done", near)
        return found[0]

    def path(self, task: str, version: str) -> Path:
        """Where a bundle is."""
        if VERSION.fullmatch(version) is None:
            raise BundleError(f"{task}/{version[:60]}", "is no version", "versions look like v1-lightgbm")
        return self.folder(task) / version

    def folder(self, task: str) -> Path:
        """Where the bundles of a task are."""
        if task not in TASKS:
            raise BundleError(f"task {task[:60]}", "is not known, so nothing was done", f"give {', '.join(TASKS)}")
        return self.root / task

    def manifest(self, task: str, version: str) -> Manifest:
        """What a bundle says of itself."""
        found = bundle.read_manifest(self.path(task, version))
        if (found.task, found.version) != (task, version):
            what = f"holds {found.task}/{found.version}, which belongs elsewhere, so it was refused"
            raise BundleError(str(self.path(task, version)), what, disk.RESTORE)
        return found

    def load(self, task: str, version: str, *, flow: FlowSettings | None = None) -> Bundle:
        """A verified bundle; it stays good when its folder goes."""
        return bundle.read(self.path(task, version), flow=flow, version=version, task=task)

    def aliases(self, task: str) -> Aliases:
        """Champion and challengers; none where nothing was promoted yet."""
        path = self.folder(task) / ALIASES_FILE
        if not path.exists():
            return Aliases()
        try:
            return msgspec.json.decode(disk.read_bounded(path, _ALIASES_BYTES_MAX, str(path)), type=Aliases)
        except msgspec.MsgspecError as exc:
            what = f"can not be read ({exc}), so it is not known what serves"
            remedy = "move it away and promote again; `tickcast models audit` tells what served"
            raise BundleError(str(path), what, remedy) from exc

    # --- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The lock for all that changes; not to be taken twice."""
        with disk.locked(self.root, self.clock):
            yield

    def add(self, content: Content, parts: Parts, *, note: str = "") -> Manifest:
        """Put a new bundle on the shelf under the next free version."""
        content, files = bundle.pack(content, parts)
        return self._put(content, files, note, "trained")

    def adopt(self, directory: Path) -> Manifest:
        """Bring in a bundle from elsewhere; one whose hash is here already is not brought in twice."""
        found = bundle.read(directory).manifest
        files = bundle.read_files(directory, found)
        for version in self.versions(found.task):
            with contextlib.suppress(BundleError):  # a damaged one is not the one that comes
                if (here := self.manifest(found.task, version)).hash == found.hash:
                    return here
        return self._put(found.content, files, found.note, f"brought in from {directory}")

    def record(
        self, action: Action, task: str, *, version_from: str = "", version_to: str, reason: str,
        verdict: tuple[str, ...] = (),
    ) -> Entry:  # fmt: skip
        """A line of the audit trail; call it under the lock, before the deed."""
        entry = Entry(
            time_ms=self.now_ms(), who=self.who, action=action, task=task, version_from=version_from,
            version_to=version_to, reason=reason, verdict=verdict,
        )  # fmt: skip
        return audit.append(self.root, entry)

    def set_aliases(self, task: str, aliases: Aliases) -> None:
        """Say what serves; call it under the lock. Only `promote` and `rollback` change a champion."""
        folder = self.folder(task)
        folder.mkdir(parents=True, exist_ok=True)
        disk.replace_whole(folder / ALIASES_FILE, msgspec.json.encode(aliases) + b"\n")

    def challenge(self, task: str, versions: tuple[str, ...], reason: str) -> Aliases:
        """Let these run beside the champion, and no others."""
        with self.writing():
            before = self.aliases(task)
            for version in versions:
                self.manifest(task, version)
                if version == before.champion:
                    raise BundleError(f"{task}/{version}", "is the champion already", "name another version")
            after = Aliases(before.champion, tuple(dict.fromkeys(versions)))
            told = ", ".join(after.challengers) or "none"
            self.record("aliased", task, version_to=told, reason=reason)
            self.set_aliases(task, after)
        return after

    def delete(self, task: str, version: str, reason: str) -> None:
        """Take a version away; the champion stays. Whoever has it loaded goes on with it."""
        with self.writing():
            path, aliases = self.path(task, version), self.aliases(task)
            if version == aliases.champion:
                raise BundleError(f"{task}/{version}", "is the champion, so it was not deleted", "promote another")
            if not path.is_dir():
                raise BundleError(f"{task}/{version}", "is not on the shelf, so nothing was deleted", "name another")
            self.record("deleted", task, version_to=version, reason=reason)
            if version in aliases.challengers:
                rest = tuple(other for other in aliases.challengers if other != version)
                self.set_aliases(task, Aliases(aliases.champion, rest))
            _take_away(path)

    def now_ms(self) -> int:
        """The time, for what is not hashed."""
        return self.clock.now_ns() // NS_PER_MS

    def _put(self, content: Content, files: dict[str, bytes], note: str, reason: str) -> Manifest:
        folder = self.folder(content.task.name)
        try:
            with self.writing():
                _sweep(folder)
                version = f"v{_next_number(folder, self.versions(content.task.name))}-{content.kind}"
                made = manifests.sealed(
                    content, version=version, created_ms=self.now_ms(), created_by=self.who, note=note
                )
                path = bundle.put(folder, made, files)
                told = f"{reason}, hash {made.hash[:12]}"
                try:
                    self.record("registered", content.task.name, version_to=version, reason=told)
                except BundleError:
                    _take_away(path)
                    raise
        except OSError as exc:
            what = f"can not be written to ({exc.strerror or exc}), so no bundle was kept"
            raise BundleError(str(folder), what, "name a writable place with space") from exc
        return made


def number_of(version: str) -> int:
    """The number in a version.

    >>> number_of("v12-lightgbm")
    12
    """
    found = VERSION.fullmatch(version)
    return int(found[1]) if found else 0


def _next_number(folder: Path, versions: list[str]) -> int:
    """The next free number; it is taken by making its folder, which only one can."""
    numbers = folder / NUMBERS
    numbers.mkdir(parents=True, exist_ok=True)
    given = [int(path.name) for path in numbers.iterdir() if path.name.isdecimal()]
    number = max([0, *given, *map(number_of, versions)]) + 1
    while True:
        try:
            (numbers / str(number)).mkdir()
        except FileExistsError:  # a file system without locks: another was faster
            number += 1
        else:
            return number


def _take_away(path: Path) -> None:
    """A bundle goes at once, as it came; its files after it."""
    gone = path.with_name(_GONE + path.name)
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Take away what writers that were killed have left; under the lock nobody else writes."""
    for left in [*folder.glob(f"{PART}*"), *folder.glob(f"{_GONE}*")]:
        shutil.rmtree(left, ignore_errors=True)
