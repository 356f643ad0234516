"""What a recorded file is, found out from its beginning: its form, whose messages it holds, and when it begins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tickcast.errors import DataError
from tickcast.sources.blocks import RECV_MAX_NS
from tickcast.sources.recorded_bytes import Progress, ignore, line_chunks, pieces
from tickcast.sources.recorded_lines import BOM, GARBAGE, JOURNAL, MESSAGE, OWN, Line, event_ns, read_line

DOCUMENT_BYTES_MAX = 64 << 20
_PREFIX_BYTES = 1 << 16
_PROBE_BYTES = 8 << 20
_STAMPED_WITHIN = 100
"""A file that has receive times has one within so many messages."""

_any = msgspec.json.Decoder(msgspec.Raw)


class Probe(NamedTuple):
    """One file to replay; an empty form says that there is nothing in it."""

    path: Path
    form: str
    """`journal`, `lines`, `document` (one message over many lines) or empty."""
    exchange: str
    first_ns: int
    """The first receive time; without one the first time its messages speak of; else 0."""
    prefix_sha256: bytes


def probe(path: Path, exchange: str) -> Probe:
    """Read as much of a file as it takes; `exchange` is whose it is where it does not tell ("": find out)."""
    damage: list[str] = []
    chunks = line_chunks(pieces(path, damage.append), path, _PREFIX_BYTES)
    start = next(chunks, b"")
    sha256 = hashlib.sha256(start[:_PREFIX_BYTES]).digest()
    first = next((line for line in map(read_line, split_lines(start, first=True)) if line.kind != OWN), None)
    if first is None and next(chunks, None) is None:
        return Probe(path, "", exchange, 0, sha256)
    if first is not None and first.kind == MESSAGE and not first.recv_ns and not is_message(first.raw):
        document = read_document(path)
        if document is not None:
            return _named(Probe(path, "document", exchange or sniff(document), event_ns(document), sha256))
    found = _Found(exchange)
    found.search(path)
    if not found.messages:
        raise DataError(
            str(path),
            f"holds nothing that can be read as a message{' (it is damaged)' if damage else ''}",
            "name files of JSON messages, one a line, plain or packed with gzip or zstd",
        )
    form = "journal" if found.in_journal else "lines"
    return _named(Probe(path, form, found.exchange, found.recv_ns or found.event_ns, sha256))


class _Found:
    """What the first lines of a file tell."""

    def __init__(self, exchange: str) -> None:
        self.exchange, self.in_journal = exchange, False
        self.recv_ns = self.event_ns = self.messages = 0

    def search(self, path: Path) -> None:
        """Read on until whose it is and when it begins is known, or a probe's bytes have been read."""
        seen = 0
        for chunk in line_chunks(pieces(path), path, _PREFIX_BYTES):
            for line in split_lines(chunk, first=seen == 0):
                self._take(read_line(line))
                if self._is_enough():
                    return
            seen += len(chunk)
            if seen > _PROBE_BYTES:
                return

    def _take(self, line: Line) -> None:
        if line.kind in (OWN, GARBAGE) or (line.kind == MESSAGE and not is_message(line.raw)):
            return
        self.messages += 1
        self.recv_ns = self.recv_ns or (line.recv_ns if 0 < line.recv_ns <= RECV_MAX_NS else 0)
        self.event_ns = self.event_ns or event_ns(line.raw)
        if line.kind == JOURNAL and self.messages == 1:
            self.in_journal, self.exchange = True, line.exchange
        self.exchange = self.exchange or line.exchange or sniff(line.raw)

    def _is_enough(self) -> bool:
        is_timed = self.recv_ns or (self.event_ns and self.messages >= _STAMPED_WITHIN)
        return bool(self.exchange and is_timed)


def _named(found: Probe) -> Probe:
    if not found.exchange:
        raise DataError(
            str(found.path),
            "does not tell whose messages it holds",
            "name their exchange, for example --exchange binance",
        )
    return found


def sniff(raw: bytes) -> str:
    """Whose message this is; "" where it does not tell."""
    from tickcast.sources.registry import sniff as sniff_message

    return sniff_message(raw) or ""


def is_message(raw: bytes) -> bool:
    """Tell whether this is a JSON object or array.

    >>> is_message(b'{"a":1}'), is_message(b"17"), is_message(b'{"a":')
    (True, False, False)
    """
    if raw.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        _any.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read_document(path: Path, progress: Progress = ignore) -> bytes | None:
    """A file that is one JSON text over many lines, without its byte order mark; None where it is not."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces(path, progress=progress):
        parts.append(piece)
        size += len(piece)
        if size > DOCUMENT_BYTES_MAX:
            return None
    text = b"".join(parts).removeprefix(BOM).strip()
    return text if is_message(text) else None


def split_lines(chunk: bytes, *, first: bool = False) -> Iterator[bytes]:
    """The lines of a chunk that are not empty, without their ends; a file's first may begin with a byte order mark."""
    if first:
        chunk = chunk.removeprefix(BOM)
    for line in chunk.split(b"\n"):
        line = line.removesuffix(b"\r")
        if line and not line.isspace():
            yield line
