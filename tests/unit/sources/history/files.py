"""Binance's files of whole days, made of trades in memory, beside its REST."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable

from aiohttp import web

from tests.unit.sources.history.desk import Desk
from tests.unit.sources.history.memory import BinanceVenue, Row
from tickcast.clock import DAY_MS
from tickcast.sources.history.binance import bulk_path

DAY_2025_MS = 1_736_208_000_000
"""2025-01-07: files are in microseconds."""
DAY_2024_MS = 1_704_153_600_000
"""2024-01-02: files are in milliseconds."""


def day_of(day_ms: int, count: int, *, clump: int = 4) -> list[Row]:
    """Aggregates of one day, some to a millisecond; the last ones lie in the day's last second."""
    step_us = (DAY_MS * 1000 - 500_000) // max(count - 1, 1)
    return [
        Row(9000 + at, 2 * at + 1, 2 * at + 2, day_ms * 1000 + (at - at % clump) * step_us, at % 3 == 0)
        for at in range(count)
    ]


def lines(rows: Iterable[Row], unit: int) -> str:
    """As Binance writes them; `unit` 1 is microseconds, 1000 milliseconds."""
    return "".join(
        f"{r.aggregate},2.50000000,4.00000000,{r.first},{r.last},{r.us // unit},{r.maker},True\n" for r in rows
    )


def zipped(text: str, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("table.csv",):
            archive.writestr(name, text)
    return packed.getvalue()


class Files(Desk):
    """A desk with files."""

    def __init__(self, rows: list[Row], now_ms: int) -> None:
        super().__init__("binance", BinanceVenue(rows, now_ms))
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.spoil: Callable[[int, str, bytes], bytes] = lambda number, path, content: content

    def add(self, day: str, content: bytes, what: str = "trades", seconds: int = 0) -> str:
        path = bulk_path(what, "XBT", seconds, day)
        self.files[path] = content
        self.files[f"{path}.CHECKSUM"] = f"{hashlib.sha256(content).hexdigest()}  {path.rpartition('/')[2]}\n".encode()
        return path

    async def __aenter__(self) -> Files:
        await super().__aenter__()
        return self

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not request.path.startswith("/data/"):
            return await super()._serve(request)
        self.asked.append(request.path)
        content = self.files.get(request.path)
        if content is None:
            return web.Response(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")
        return web.Response(body=self.spoil(len(self.asked), request.path, content))
