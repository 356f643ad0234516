"""Binance's files of whole days: fetched to a temporary file, held to their checksum, told in parts of bounded size.

    .CHECKSUM ─→ .zip ─→ (sha256 equal? else both once more) ─→ 50,000 lines at a time ─→ page: one JSON string ─→ Part

Files are sometimes rewritten, so a checksum that does not fit is a file on the move before it is a broken one. A day
whose file is not there (yet) is DayMissing: REST has it.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from typing import IO

import msgspec

from tickcast.clock import DAY_MS
from tickcast.errors import WireError
from tickcast.events import TRADES
from tickcast.sources.decimals import MICROSECONDS_FROM
from tickcast.sources.history.binance import bulk_path
from tickcast.sources.history.contract import HistoryError, Part, Request
from tickcast.sources.history.faults import NotThere
from tickcast.sources.history.http import Answer
from tickcast.sources.history.rest import RestHistory
from tickcast.sources.pages.registry import read_page

LINES_MAX = 50_000
FILE_BYTES_MAX = 1 << 30
IDLE_S = 30.0
_LINE_BYTES_MAX = 4096
_TIME_AT = 5
"""The column of a trade's time."""
_SUM = re.compile(rb"[0-9a-f]{64}")


class DayMissing(HistoryError):
    """There is no file of that day: it is too young, or the pair was not traded yet."""


class BulkDays:
    """Days of one venue's files, over a RestHistory's connections, budget and patience."""

    def __init__(self, rest: RestHistory) -> None:
        self.rest = rest

    async def parts(
        self, what: str, pair: str, seconds: int, day_ms: int, align_ms: int = 60_000
    ) -> AsyncGenerator[Part]:
        """All of one UTC day, oldest first, in whole windows where those are not too large for a part."""
        path = bulk_path(what, pair, seconds, _day(day_ms))
        with tempfile.TemporaryFile(prefix="tickcast-") as file:
            await self._fetch(path, pair, file)
            try:
                for part in _parts(file, what, pair, seconds, day_ms, align_ms):
                    yield part._replace(fetched_ms=self.rest.our_ms())
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, WireError) as exc:
                raise HistoryError(
                    "binance/history",
                    f"the file {path} can not be read ({exc})",
                    "nothing of it was used; try again later, for the venue rewrites files now and then",
                ) from exc

    async def _fetch(self, path: str, pair: str, file: IO[bytes]) -> None:
        for _ in range(2):
            expected = await self._checksum(path, pair)
            if await self._download(path, pair, file) == expected:
                return
        raise HistoryError(
            "binance/history",
            f"the file {path} does not have the checksum that the venue names, twice",
            "it was not used; try again later",
        )

    async def _checksum(self, path: str, pair: str) -> bytes:
        request = Request(f"{path}.CHECKSUM", (), 1.0, "bulk")
        timeout_s = self.rest.patience.timeout_s
        try:
            answer, _ = await self.rest.persist(
                request, pair, lambda url: self.rest.http.get(url, timeout_s=timeout_s, body_max=1 << 16)
            )
        except NotThere as exc:
            raise DayMissing("binance/history", f"has no file {path}", "REST has what there is of that day") from exc
        named = _SUM.match(answer.body)
        return named.group() if named else b""

    async def _download(self, path: str, pair: str, file: IO[bytes]) -> bytes:
        async def once(url: str) -> Answer:
            file.seek(0)
            file.truncate()
            return await self.rest.http.download(url, file, idle_s=IDLE_S, size_max=FILE_BYTES_MAX)

        try:
            answer, _ = await self.rest.persist(Request(path, (), 1.0, "bulk"), pair, once)
        except NotThere as exc:
            raise DayMissing("binance/history", f"has no file {path}", "REST has what there is of that day") from exc
        return answer.body


def _parts(file: IO[bytes], what: str, pair: str, seconds: int, day_ms: int, align_ms: int) -> Iterator[Part]:
    """Parts that end where a window or at least a millisecond ends, so that none is told in halves."""
    from_ms, end_ms = day_ms, day_ms + DAY_MS
    for lines, next_ms in _cut(_lines(file), align_ms if what == TRADES.name else 0):
        page = msgspec.json.encode("".join(lines))
        rows = read_page("binance", what, pair, seconds, page)
        times = rows["timestamp_ms" if what == TRADES.name else "window_start_ms"]
        last_ms = int(times.max()) if len(times) else from_ms
        if len(times) and not day_ms <= int(times.min()) <= last_ms < end_ms:
            raise WireError("binance/page", f"has rows of another day than {_day(day_ms)}", "it was not used")
        to_ms = end_ms if next_ms is None else next_ms if next_ms >= 0 else last_ms + seconds * 1000
        yield Part(what, pair, seconds, from_ms, to_ms, (page,), rows, False)
        from_ms = to_ms
    if from_ms == day_ms:  # a file without a line: a day without a trade
        empty = read_page("binance", what, pair, seconds, b'""')
        yield Part(what, pair, seconds, day_ms, end_ms, (b'""',), empty, False)


def _cut(lines: Iterator[str], align_ms: int) -> Iterator[tuple[list[str], int | None]]:
    """Some lines, and up to which time they are all there are: None for the last ones, -1 for lines of candles."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) <= LINES_MAX:
            continue
        at, until_ms = len(held) - 1, -1
        if align_ms:
            for step_ms in (align_ms, 1):
                until_ms = _line_ms(held[-1]) // step_ms * step_ms
                at = bisect_left(held, until_ms, key=_line_ms)
                if at:
                    break
            at = at or len(held) - 1  # all of one millisecond: it has to be told in halves
        yield held[:at], until_ms
        held = held[at:]
    if held:
        yield held, None


def _line_ms(line: str) -> int:
    try:
        time = int(line.split(",", _TIME_AT + 1)[_TIME_AT])
    except (IndexError, ValueError):
        raise WireError("binance/page", "a line has no time", "it was not used") from None
    return time // 1000 if time >= MICROSECONDS_FROM else time


def _lines(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise WireError("binance/page", f"has {len(names)} tables where one was expected", "it was not used")
        with archive.open(names[0]) as table, io.TextIOWrapper(table, "ascii", errors="replace") as text:
            first = text.readline(_LINE_BYTES_MAX)
            if first[:1].isdigit():  # else it is a header
                yield first
            while line := text.readline(_LINE_BYTES_MAX):
                yield line


def _day(day_ms: int) -> str:
    return datetime.fromtimestamp(day_ms / 1000, tz=UTC).strftime("%Y-%m-%d")
