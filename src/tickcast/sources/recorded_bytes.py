"""The bytes of a recording, plain or packed, in pieces of whole lines; damage is reported and what is whole is used.

How a file is packed is read from its first bytes, never from its name.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tickcast.errors import DataError

CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 64 << 20
_READ_BYTES = 1 << 18
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHER = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PAR1": "parquet"}

Report = Callable[[str], None]
Progress = Callable[[int], None]


def unreadable(path: Path, exc: OSError) -> DataError:
    """The sentence for a file that the system does not let us read."""
    return DataError(str(path), f"can not be read ({exc.strerror or exc})", "name a file that exists and may be read")


def ignore(_: object) -> None:
    """Hear a report or a count and do nothing."""


def pieces(path: Path, report: Report = ignore, progress: Progress = ignore) -> Iterator[bytes]:
    """The unpacked bytes; `progress` hears how many bytes of the file itself were taken."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as exc:
        raise unreadable(path, exc) from exc
    for start, name in _OTHER.items():
        if magic.startswith(start):
            raise DataError(str(path), f"is a {name} file, which holds no messages to replay", "unpack it first")
    if magic.startswith(_GZIP):
        return _gzip_pieces(path, report, progress)
    if magic.startswith(_ZSTD):
        return _zstd_pieces(path, report, progress)
    return _plain_pieces(path, progress)


def _plain_pieces(path: Path, progress: Progress) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                progress(len(piece))
                yield piece
    except OSError as exc:
        raise unreadable(path, exc) from exc


def _gzip_pieces(path: Path, report: Report, progress: Progress) -> Iterator[bytes]:
    """By hand, because the standard reader gives up what it has unpacked when it meets the damage."""
    unpacker, unpacked, whole = zlib.decompressobj(wbits=31), 0, False
    for packed in _plain_pieces(path, progress):
        while packed:
            before = unpacker.copy()
            try:
                piece = unpacker.decompress(packed, CHUNK_BYTES)
            except zlib.error as exc:
                piece = _salvage(before, packed)
                unpacked += len(piece)
                yield piece
                report(f"{path}: is damaged ({exc}); the {unpacked} bytes before the damage were read.")
                return
            unpacked += len(piece)
            if piece:
                yield piece
            packed, whole = unpacker.unconsumed_tail, unpacker.eof
            if whole:
                packed = unpacker.unused_data.lstrip(b"\0")  # another member may follow, or padding
                unpacker = zlib.decompressobj(wbits=31)
    if not whole:
        piece = unpacker.flush()
        unpacked += len(piece)
        yield piece
        report(f"{path}: ends before its gzip stream does; the {unpacked} bytes that could be unpacked were read.")


def _salvage(unpacker: zlib._Decompress, packed: bytes) -> bytes:
    """What can be unpacked before the damage: a call that meets it gives nothing, so byte by byte up to it."""
    parts: list[bytes] = []
    with contextlib.suppress(zlib.error):
        for at in range(len(packed)):
            parts.append(unpacker.decompress(packed[at : at + 1]))
    return b"".join(parts)


def _zstd_pieces(path: Path, report: Report, progress: Progress) -> Iterator[bytes]:
    import pyarrow as pa

    taken, unpacked = 0, 0
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
        while True:
            try:
                piece = stream.read(_READ_BYTES)
            except (OSError, pa.ArrowException) as exc:
                report(f"{path}: is damaged ({exc}); the {unpacked} bytes before the damage were read.")
                return
            if not piece:
                return
            unpacked += len(piece)
            at = file.tell()
            progress(at - taken)
            taken = at
            yield piece


def line_chunks(source: Iterator[bytes], path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Pieces cut behind line ends, of about `chunk_bytes`; only the last may end without one.

    >>> list(line_chunks(iter([b"a", b"b\\nc", b"d"]), Path("x"), 1))
    [b'ab\\n', b'cd']
    """
    parts: list[bytes] = []
    size = 0
    for piece in source:
        cut = piece.rfind(b"\n") + 1
        if cut and size + cut >= chunk_bytes:
            yield b"".join([*parts, piece[:cut]])
            parts, size = [piece[cut:]], len(piece) - cut
        else:
            parts.append(piece)
            size += len(piece)
        if size > LINE_BYTES_MAX:
            raise DataError(
                str(path),
                f"has a line of more than {LINE_BYTES_MAX >> 20} MiB, so it is no recording of messages",
                "name files with one message a line",
            )
    if size:
        yield b"".join(parts)
