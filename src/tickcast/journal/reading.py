"""Whole journal lines, in the order in which they were written, through sealed and open days. Reads, never repairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tickcast.errors import JournalError
from tickcast.journal.files import exchange_dir, failure, list_days, plain_path, sealed_path
from tickcast.journal.sealing import open_sealed, read_seal
from tickcast.sources.contract import Block


class Position(NamedTuple):
    """A place between two lines of one exchange's journal: the day file, and bytes into it before compression.

    Later places compare greater; in JSON it is a list of two.

    >>> Position("20240809", 120) < Position("20240810", 0)
    True
    """

    day: str
    offset: int


START = Position("", 0)
"""Before the first line of any journal."""


def end_of_day(folder: Path, day: str) -> int:
    """How many bytes of lines a day has."""
    try:
        return plain_path(folder, day).stat().st_size
    except FileNotFoundError:
        return read_seal(sealed_path(folder, day)).size
    except OSError as exc:
        raise failure(plain_path(folder, day), "can not be read", exc) from exc


def read_days(
    root: Path, exchange: str, after: Position | None = None, max_bytes: int = 1 << 20
) -> Iterator[tuple[Block, Position]]:
    """Blocks of about `max_bytes` after a place, each with the place behind it; `root` is the folder `raw`.

    A line that is still being written is not read. A day that has expired is gone without a word: the receive times
    on both sides tell of the silence.
    """
    start = after or START
    folder = exchange_dir(root, exchange)
    for day in list_days(folder):
        if day >= start.day:
            offset = start.offset if day == start.day else 0
            for lines, end in _read_day(folder, day, offset, max_bytes):
                yield Block(exchange, lines), Position(day, end)


def _read_day(folder: Path, day: str, offset: int, max_bytes: int) -> Iterator[tuple[bytes, int]]:
    path = plain_path(folder, day)
    try:
        with _open_day(folder, day) as file:
            _seek(file, path, offset)
            rest = b""
            while chunk := file.read(max_bytes):
                cut = chunk.rfind(b"\n") + 1
                if cut:
                    lines, rest = rest + chunk[:cut], chunk[cut:]
                    offset += len(lines)
                    yield lines, offset
                else:
                    rest += chunk
    except OSError as exc:
        raise failure(path, "can not be read", exc) from exc


def _open_day(folder: Path, day: str) -> IO[Any]:
    """The plain file where there is one: a sealed one beside it may be left from a sealing that was killed."""
    try:
        return plain_path(folder, day).open("rb")
    except FileNotFoundError:
        return open_sealed(sealed_path(folder, day))


def _seek(file: IO[Any], path: Path, offset: int) -> None:
    """Go to a place, which must stand behind a line's end."""
    if offset == 0:
        return
    skip, last = offset, b""
    if file.seekable():
        file.seek(offset - 1)
        skip = 1
    while skip > 0 and (chunk := file.read(min(skip, 1 << 20))):
        skip -= len(chunk)
        last = chunk[-1:]
    if skip or last != b"\n":
        raise JournalError(
            str(path),
            f"has no line that ends at byte {offset}, where reading was to go on",
            "the journal was cut or exchanged; rebuild the store from it with `tickcast replay`",
        )
