"""Tables and figures that fit the terminal: what matters least gives way first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

GAP = 2


class Column(NamedTuple):
    """One column of a table."""

    name: str
    cells: Sequence[str | Text]
    drop: int = 0
    """Where it gives way: the greatest first, 0 never."""
    left: bool = False


def fitted(columns: Sequence[Column], width: int, *, tight: bool = False) -> Table:
    """The columns that have room, in their order; `tight` moves them together before one gives way."""
    kept, gap = list(columns), GAP
    while _taken(kept, gap) > width and (tight or any(column.drop for column in kept)):
        if tight:
            gap, tight = 1, False
        else:
            kept.remove(max(kept, key=lambda column: column.drop))
    drawn = Table(box=None, header_style="dim", padding=(0, gap, 0, 0), pad_edge=False, collapse_padding=True)
    for column in kept:
        drawn.add_column(column.name, justify="left" if column.left else "right", no_wrap=True, overflow="ellipsis")
    for row in zip(*(column.cells for column in kept), strict=True):
        drawn.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn


def room(columns: Sequence[Column], width: int) -> int:
    """What is left for one column more."""
    return width - _taken(columns, GAP) - GAP


def _taken(columns: Sequence[Column], gap: int) -> int:
    return sum(max(map(cell_len, (column.name, *map(str, column.cells)))) + gap for column in columns) - gap


def flowed(figures: Sequence[tuple[str, str]], width: int) -> Table:
    """Names and values in as many columns as have room, at most five."""
    texts = [Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in figures]
    across = next((n for n in (5, 4, 3, 2) if _across(texts, n) <= width), 1)
    grid = Table.grid(padding=(0, GAP + 1, 0, 0))
    for start in range(0, len(texts), across):
        row = texts[start : start + across]
        grid.add_row(*row, *[Text("")] * (across - len(row)))
    return grid


def _across(texts: Sequence[Text], columns: int) -> int:
    widths = [max(text.cell_len for text in texts[at::columns]) for at in range(min(columns, len(texts)))]
    return sum(widths) + (GAP + 1) * (len(widths) - 1)
