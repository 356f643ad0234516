"""What the tests of this folder write and read with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tickcast.events import Columns, concat
from tickcast.sources.files.reader import ReadResult, read_file
from tickcast.sources.files.result import ReadOptions

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000


def options(**said: Any) -> ReadOptions:
    return ReadOptions(**{"exchange": "binance", "pair": "BTCUSDT", **said})


def opened(path: Path, **said: Any) -> ReadResult:
    return read_file(path, options=options(**said))


def taken(result: ReadResult) -> Columns:
    return concat([frame.columns for frame in result.frames()])


def text_file(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def candle_lines(count: int, start_ms: int = START_MS) -> list[str]:
    return [f"{start_ms + at * MINUTE_MS},{100 + at},{103 + at},{99 + at},{101 + at},{at + 0.5}" for at in range(count)]


def candle_file(folder: Path, lines: Sequence[str], name: str = "rows.csv") -> Path:
    return text_file(folder, "\n".join(["time,open,high,low,close,volume", *lines, ""]), name)


def trade_file(folder: Path, rows: Sequence[tuple[int, int, float, float]], name: str = "rows.csv") -> Path:
    lines = [f"{number},{time_ms},{price},{quantity},buy" for number, time_ms, price, quantity in rows]
    return text_file(folder, "\n".join(["id,time,price,quantity,side", *lines, ""]), name)
