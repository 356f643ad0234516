"""Recordings to replay: our own journal, or what others captured, as blocks of journal lines.

The blocks depend on what is in the files, never on their names or on the order in which they were named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tickcast.errors import DataError
from tickcast.sources.contract import Block
from tickcast.sources.recorded_bytes import Progress, pieces, unreadable
from tickcast.sources.recorded_merge import merge
from tickcast.sources.recorded_probe import Probe, probe
from tickcast.sources.recorded_streams import Run, Stream, check_seal, scan_exchanges

_DAY_FILE = re.compile(r"(\d{8})\.ndjson(?:\.zst|\.gz)?")
_PREFERENCE = (".ndjson", ".ndjson.zst", ".ndjson.gz")


class Recording:
    """Blocks to iterate over, as often as one likes; `notes` says what was damaged or left out."""

    def __init__(self, streams: list[Stream], notes: list[str]) -> None:
        self.notes = notes
        self.read_bytes = 0
        """How much of `total_bytes` has been read, for a progress bar."""
        self._streams = streams
        self.total_bytes = sum(_size(part.path) for stream in streams for part in stream.parts)

    def __iter__(self) -> Iterator[Block]:
        self.read_bytes = 0
        return merge(self._streams, self._open)

    def _open(self, stream: Stream) -> Iterator[Run]:
        return stream.runs(self._note, self._progress(len(stream.exchanges)))

    def _progress(self, lanes: int) -> Progress:
        """A file that is read once for each of its exchanges counts each time in part."""

        def count(taken: int) -> None:
            self.read_bytes = min(self.total_bytes, self.read_bytes + taken // lanes)

        return count

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def open_recording(paths: Sequence[Path], *, exchange: str | None = None) -> Recording:
    """Look into files, journals and data directories; `exchange` says whose messages they are where they do not tell.

    A file that is given twice, under whatever name or packing, is read once. DataError for what can not be replayed.
    """
    notes: list[str] = []
    files = sorted({file.absolute() for path in paths for file in _files_of(path)})
    probes: list[Probe] = []
    for file in files:
        found = _probe(file, exchange or "")
        if found.form:
            probes.append(found)
        else:
            notes.append(f"{file}: is empty.")
    if not probes:
        named = ", ".join(map(str, paths)) or "the recording"
        raise DataError(named, "holds no messages, so nothing was replayed", "name files or a data directory")
    return Recording(_streams(_once(probes, notes)), notes)


def _files_of(path: Path) -> list[Path]:
    try:
        if not path.exists():
            raise DataError(str(path), "does not exist, so nothing was replayed", "name a file or a data directory")
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise DataError(str(path), "is neither a file nor a directory", "name a file or a data directory")
        roots = [path / "raw"] if (path / "raw").is_dir() else [path]
        found = [day for root in roots for folder in (root, *_folders(root)) for day in _days_of(folder)]
    except OSError as exc:
        raise unreadable(path, exc) from exc
    if not found:
        raise DataError(
            str(path),
            "holds no journal (raw/<exchange>/YYYYMMDD.ndjson), so nothing was replayed",
            "name a data directory, or the captured files themselves",
        )
    return found


def _folders(root: Path) -> list[Path]:
    return [entry for entry in root.iterdir() if entry.is_dir()]


def _days_of(folder: Path) -> list[Path]:
    """The day files of a folder; of a day that is both plain and sealed the plain one, which is the whole one."""
    names = {entry.name for entry in folder.iterdir() if entry.is_file()}
    days = {found[1] for name in names if (found := _DAY_FILE.fullmatch(name))}
    return [folder / next(day + end for end in _PREFERENCE if day + end in names) for day in days]


def _probe(file: Path, exchange: str) -> Probe:
    try:
        return probe(file, exchange)
    except DataError:
        if file.name.endswith(".ndjson.zst"):
            check_seal(file, lambda _: None)  # says more exactly what is wrong
        raise


def _once(probes: list[Probe], notes: list[str]) -> list[tuple[Probe, bytes]]:
    """Each content once, with a hash that tells it from the others; only what begins alike is read to its end."""
    alike: dict[bytes, list[Probe]] = {}
    for found in probes:
        alike.setdefault(found.prefix_sha256, []).append(found)
    kept: dict[bytes, Probe] = {}
    for prefix, group in alike.items():
        for found in group:
            content = prefix if len(group) == 1 else prefix + _content_sha256(found.path)
            if content in kept:
                notes.append(f"{found.path}: holds the same as {kept[content].path}, so it was read once.")
            else:
                kept[content] = found
    return [(found, content) for content, found in kept.items()]


def _content_sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.digest()


def _streams(files: list[tuple[Probe, bytes]]) -> list[Stream]:
    """Files as streams in an order that only their contents decide; a journal's days follow each other."""
    chains: dict[Path, list[tuple[str, bytes, Probe]]] = {}
    for found, content in files:
        day = _DAY_FILE.fullmatch(found.path.name)
        in_tree = found.form == "journal" and day and found.path.parent.name == found.exchange
        chains.setdefault(found.path.parent if in_tree else found.path, []).append(
            (day[1] if day else "", content, found)
        )
    ranked: list[tuple[int, bytes, Stream]] = []
    for place, chain in chains.items():
        chain.sort(key=lambda entry: entry[:2])
        parts = [found for _, _, found in chain]
        loose = parts[0].form == "journal" and place == parts[0].path
        exchanges = scan_exchanges(parts[0]) if loose and len(chains) > 1 else frozenset({parts[0].exchange})
        ranked.append((parts[0].first_ns, chain[0][1], Stream(parts, exchanges, mixed=loose)))
    ranked.sort(key=lambda entry: entry[:2])
    for rank, (_, _, stream) in enumerate(ranked):
        stream.rank = rank
    return [stream for _, _, stream in ranked]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as exc:
        raise unreadable(path, exc) from exc
