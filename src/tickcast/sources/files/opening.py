"""From a path to plain bytes: what wraps the file (gzip, zip) is taken off, what is no file at all is said."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from tickcast.errors import DataError

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "Feather version 1"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "7z"),
    (b"\x89HDF", "HDF5"),
    (b"SQLite format 3", "SQLite"),
)
_LINE_LIMIT = 64 << 20


class Text(NamedTuple):
    """An open text; `inner` is the name of what was wrapped, which often says more than the wrapper's."""

    stream: IO[bytes]
    inner: str
    wrapped: str


class Block(NamedTuple):
    """Whole lines; `first_line` counts from 1."""

    data: bytes
    first_line: int


def kind_of(path: Path) -> str:
    """The kind of file by its first bytes: `gzip`, `zip`, `parquet`, `feather` or `text`; DataError for all others."""
    if path.is_dir():
        raise DataError(str(path), "is a directory, so nothing was read", f"name its files, for example {path}/*.csv")
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except FileNotFoundError as exc:
        raise DataError(str(path), "does not exist", "check the spelling of the path") from exc
    except OSError as exc:
        raise DataError(str(path), f"can not be opened ({exc.strerror})", "make it readable for this user") from exc
    if not head:
        raise DataError(str(path), "is empty, so there was nothing to read", "fetch or write the file again")
    kind = next((name for magic, name in _MAGIC if head.startswith(magic)), "text")
    if kind in ("gzip", "zip", "parquet", "feather"):
        return kind
    if kind != "text":
        raise unknown(path, f"is a {kind} file", "unpack or convert it")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise unknown(path, "is text in UTF-16", "save it as UTF-8")
    if b"\0" in head:
        raise unknown(path, "is in a binary format that is not known", "convert it")
    return "text"


def unknown(path: Path, what: str, remedy: str) -> DataError:
    """The sentence for what no reader takes."""
    return DataError(str(path), what, f"{remedy}; CSV, JSON (plain, gzip or zip), Parquet and Feather can be read")


def open_text(path: Path, kind: str, pair: str = "") -> Text:
    """Open a text, or the one inside a gzip or zip file."""
    if kind == "gzip":
        return Text(cast(IO[bytes], gzip.open(path, "rb")), path.name.removesuffix(".gz"), "gzip")
    if kind == "zip":
        return _open_zip(path, pair)
    return Text(path.open("rb"), path.name, "")


def _open_zip(path: Path, pair: str) -> Text:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as exc:
        raise DataError(str(path), f"is a damaged zip file ({exc})", "fetch it again") from exc
    with archive:
        members = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")]
        wanted = "".join(filter(str.isalnum, pair)).upper()
        named = [one for one in members if wanted and Path(one.filename).stem.upper() == wanted]
        chosen = named or members
        if len(chosen) != 1:
            some = ", ".join(one.filename for one in members[:3])
            what = f"holds {len(members)} files ({some}...)" if members else "holds no file"
            raise DataError(str(path), what, "unpack it, or choose one with --pair if they are named by pair")
        if chosen[0].flag_bits & 1:
            raise DataError(str(path), "is encrypted", "unpack it first")
        try:
            # the opened member keeps the archive's file open by itself
            return Text(archive.open(chosen[0]), Path(chosen[0].filename).name, "zip")
        except (zipfile.BadZipFile, NotImplementedError) as exc:
            raise DataError(str(path), f"can not be unpacked ({exc})", "unpack it with another tool") from exc


def blocks(path: Path, text: Text, block_bytes: int, progress: Callable[[int], None] | None) -> Iterator[Block]:
    """Whole lines of about `block_bytes`; a last line without an end is a line too."""
    rest, line, told = b"", 1, 0
    with text.stream as stream:
        while True:
            data = _read(path, stream, block_bytes)
            if progress is not None:
                at = _position(stream)
                progress(at - told)
                told = at
            cut = data.rfind(b"\n") + 1
            if data and not cut:
                rest += data
                if len(rest) > _LINE_LIMIT:
                    raise unknown(path, f"has a line of more than {_LINE_LIMIT >> 20} MiB", "write one row a line")
                continue
            whole, rest = (rest + data[:cut], data[cut:]) if data else (rest, b"")
            if whole:
                yield Block(whole.removeprefix(b"\xef\xbb\xbf") if line == 1 else whole, line)
                line += whole.count(b"\n")
            if not data:
                return


def _read(path: Path, stream: IO[bytes], count: int) -> bytes:
    try:
        return stream.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as exc:
        raise DataError(
            str(path), f"is cut short or damaged ({exc}), so it was not imported", "fetch or write the file again"
        ) from exc
    except OSError as exc:
        raise DataError(str(path), f"can not be read ({exc.strerror})", "check the disk it lies on") from exc


def _position(stream: IO[bytes]) -> int:
    """How far the file on disk has been read, wrapped or not."""
    raw = getattr(stream, "fileobj", None) or getattr(stream, "_fileobj", None) or stream
    try:
        return int(raw.tell())
    except (OSError, ValueError, AttributeError):
        return 0
