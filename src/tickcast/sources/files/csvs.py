"""Text with separators: the separator, the header and what stands before it are found out from the first lines.

Every value stays text here, and every row keeps its line, so that a refused row can be named.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tickcast.sources.files.numbers import _NUMBER, times_us
from tickcast.sources.files.opening import Block, unknown
from tickcast.sources.files.tables import BadRow, Hints, Rows, Table

_SEPARATORS = ",;\t|"
_SNIFFED_LINES = 50
_MOST_COLUMNS = 500


class Dialect(NamedTuple):
    """How a text is separated; `skip` lines stand before the first row, the header among them."""

    separator: str
    names: list[str]
    width: int
    skip: int
    preamble: int


def read_csv(path: Path, blocks: Iterator[Block], hints: Hints) -> Table:
    """Open a separated text."""
    first = next(blocks)
    dialect = sniff(path, first.data)
    notes = [f"{dialect.preamble} lines before the header were passed over"] if dialect.preamble else []
    if not dialect.names:
        notes.append("there is no header; columns were told by their values")
    rows = (_rows(block, dialect) for block in chain([first], blocks))
    return Table(path, "CSV", dialect.names, "line", rows, hints, notes)


def sniff(path: Path, head: bytes) -> Dialect:
    """The dialect of a text, from its first lines.

    >>> sniff(Path("a.csv"), b"time;price;qty\\n1;2;3\\n").names
    ['time', 'price', 'qty']
    """
    lines = head.decode("utf-8", "replace").splitlines()[:_SNIFFED_LINES]
    best = max(_SEPARATORS, key=lambda one: _score(lines, one))
    counts = Counter(len(_fields(line, best)) for line in lines if line.strip())
    width = max(counts, key=lambda one: (counts[one], one), default=0)
    if width < 3:
        raise unknown(path, "is text without columns separated by comma, semicolon, tab or bar", "convert it")
    if width > _MOST_COLUMNS:
        raise unknown(path, f"is text with {width} fields in a line, neither candles nor trades", "convert it")
    start = next(at for at, line in enumerate(lines) if len(_fields(line, best)) == width)
    fields = _fields(lines[start], best)
    if any(_is_value(field) for field in fields):
        return Dialect(best, [], width, start, start)
    return Dialect(best, [field.strip() for field in fields], width, start + 1, start)


def _score(lines: list[str], separator: str) -> tuple[int, int]:
    counts = Counter(line.count(separator) for line in lines if line.strip())
    if not counts:
        return (0, 0)
    fields, often = max(counts.items(), key=lambda one: (one[1], one[0]))
    return (often, fields) if fields >= 2 else (0, fields)


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip().strip('"') for field in line.rstrip("\r\n").split(separator)]


def _is_value(field: str) -> bool:
    """A number or a date: a header has none."""
    if _NUMBER.fullmatch(field):
        return True
    return any(one.isdigit() for one in field) and not times_us(pa.array([field])).unreadable[0]


def _rows(block: Block, dialect: Dialect) -> Rows:
    data, line = block.data, block.first_line
    if line == 1:
        for _ in range(dialect.skip):
            data = data[data.find(b"\n") + 1 or len(data) :]
            line += 1
    if not data.strip():
        return Rows([pa.array([], pa.string())] * dialect.width, np.empty(0, np.int64), [])
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    table, bad = _parse(data, dialect, quote='"')
    if table.num_rows + len(bad) != count:  # an open quote swallowed line ends: then quotes are only characters
        table, bad = _parse(data, dialect, quote=False)
    numbers = np.arange(line, line + count, dtype=np.int64)
    if bad:
        numbers = np.delete(numbers, [row.number - 1 for row in bad])
        bad = [BadRow(row.number + line - 1, row.reason, row.row) for row in bad if row.row.strip()]
    columns = [column.combine_chunks() for column in table.columns]
    return Rows(columns, numbers, bad)


def _parse(data: bytes, dialect: Dialect, quote: str | bool) -> tuple[Any, list[BadRow]]:
    bad: list[BadRow] = []

    def keep(row: Any) -> str:
        reason = f"has {row.actual_columns} fields where {dialect.width} were expected"
        bad.append(BadRow(row.number, reason, row.text))
        return "skip"

    places = [str(at) for at in range(dialect.width)]
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        read_options=pyarrow.csv.ReadOptions(column_names=places, use_threads=False, block_size=len(data) + 1),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.separator, quote_char=quote, ignore_empty_lines=False, invalid_row_handler=keep
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )
    return table, bad
