"""Closed days, compressed beside their checksums.

A sealed file is written under another name, synced, read back, and only then takes its place and the plain file goes.
Killed anywhere in between, the plain file is still there and wins; sealing again does it over.

    20240809.ndjson.zst
    20240809.ndjson.zst.sha256     sha256sum's format, for the compressed file and for what is in it
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tickcast.errors import JournalError
from tickcast.journal.files import failure, plain_path, sealed_path, sync_dir

_CHUNK = 1 << 20
_SUMS = re.compile(r"# (\d+) bytes\n([0-9a-f]{64})  \S+\n([0-9a-f]{64})  \S+\n")


class Seal(NamedTuple):
    """What a sealed file must hold; `size` counts the bytes before compression."""

    size: int
    packed_sha256: str
    plain_sha256: str


def sums_path(sealed: Path) -> Path:
    """Where the checksums of a sealed file stand."""
    return sealed.with_name(sealed.name + ".sha256")


def seal_day(folder: Path, day: str, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Compress one closed day; false when there is nothing (left) to do.

    It is given up as soon as `goes_on` says no: JournalError, and the day is as it was.
    """
    plain, sealed = plain_path(folder, day), sealed_path(folder, day)
    try:
        if not plain.exists():
            return False
        _write_sealed(plain, sealed, goes_on)
        with contextlib.suppress(PermissionError):  # Windows, while somebody reads it: the plain file wins until then
            plain.unlink()
        sync_dir(folder)
    except OSError as exc:
        raise failure(sealed, "can not be written, so the day stays uncompressed", exc) from exc
    return True


def _write_sealed(plain: Path, sealed: Path, goes_on: Callable[[], bool]) -> None:
    unfinished = sealed.with_name(f".{sealed.name}.tmp")
    unfinished_sums = sealed.with_name(f".{sealed.name}.sha256.tmp")
    try:
        size, plain_sha256 = _compress(plain, unfinished, goes_on)
        packed_sha256 = sha256_of(unfinished)
        if _sha256_unpacked(unfinished, goes_on) != (size, plain_sha256):
            raise JournalError(
                str(sealed),
                "did not read back as it was written, so the day stays uncompressed",
                "check the disk and the machine's memory",
            )
        with unfinished_sums.open("w", encoding="ascii", newline="\n") as file:
            file.write(f"# {size} bytes\n{packed_sha256}  {sealed.name}\n{plain_sha256}  {plain.name}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished_sums, sums_path(sealed))  # first: a sealed file never stands without its checksums
        os.replace(unfinished, sealed)
        sync_dir(sealed.parent)
    finally:
        for path in (unfinished, unfinished_sums):
            with contextlib.suppress(OSError):
                path.unlink()


def _unless_given_up(path: Path, goes_on: Callable[[], bool]) -> None:
    if not goes_on():
        raise JournalError(
            str(path), "was not finished, as we are to end, so the day stays uncompressed", "the next start seals it"
        )


def _compress(plain: Path, packed: Path, goes_on: Callable[[], bool]) -> tuple[int, str]:
    import pyarrow as pa

    digest, size = hashlib.sha256(), 0
    with (
        plain.open("rb") as source,
        packed.open("wb") as target,
        pa.CompressedOutputStream(pa.PythonFile(target, "w"), "zstd") as stream,
    ):
        while chunk := source.read(_CHUNK):
            _unless_given_up(packed, goes_on)
            digest.update(chunk)
            size += len(chunk)
            stream.write(chunk)
    with packed.open("rb+") as written:  # the stream has closed its file, whose end it wrote on closing
        os.fsync(written.fileno())
    return size, digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The checksum of a file as it lies on the disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_unpacked(path: Path, goes_on: Callable[[], bool]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in unpack(path):
        _unless_given_up(path, goes_on)
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def unpack(path: Path) -> Iterator[bytes]:
    """The bytes in a zstd file, piece by piece."""
    import pyarrow as pa

    with path.open("rb") as file, pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def read_seal(sealed: Path) -> Seal:
    """What the checksum file says, or JournalError where there is none that can be read."""
    sums = sums_path(sealed)
    try:
        found = _SUMS.fullmatch(sums.read_text(encoding="ascii"))
    except FileNotFoundError:
        found = None
    except UnicodeDecodeError:
        found = None
    except OSError as exc:
        raise failure(sums, "can not be read", exc) from exc
    if found is None:
        raise JournalError(
            str(sealed),
            f"has no checksums that can be read in {sums.name}, so it was not read",
            "restore both files from a copy, or move the day away to go on without it",
        )
    return Seal(int(found[1]), found[2], found[3])


def open_sealed(sealed: Path) -> IO[Any]:
    """A sealed day's bytes as a stream, after its checksum has been compared."""
    import pyarrow as pa

    expected = read_seal(sealed)
    try:
        if sha256_of(sealed) != expected.packed_sha256:
            raise JournalError(
                str(sealed),
                f"differs from its checksum in {sums_path(sealed).name}, so it was not read",
                "restore both files from a copy, or move the day away to go on without it",
            )
        stream: IO[Any] = pa.input_stream(str(sealed), compression="zstd")
    except OSError as exc:
        raise failure(sealed, "can not be read", exc) from exc
    return stream


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed sealing left behind; the plain files are still there."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
