"""JSON: one document (rows somewhere in it) or one value a line; lists by place, objects by name.

    [[1618951320000,1.26,1.27,1.26,1.27,712612.6],...]            freqtrade candles, Binance and Coinbase REST candles
    [{"a":13519807,"p":"0.00141342","q":"23.0","f":1,"l":1,"T":1570752011620,"m":true},...]       Binance aggTrades
    {"error":[],"result":{"XBTUSDT":[["105433.6","0.0002",1762795433.97,"b","l","",10218208],...],"last":"..."}} Kraken

Numbers stay the text they were, so that times keep all their digits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tickcast.errors import DataError
from tickcast.sources.files.opening import Block, unknown
from tickcast.sources.files.tables import BadRow, Hints, Rows, Table, from_lists

_DOCUMENT_LIMIT = 1 << 30
_ROWS_AT_ONCE = 200_000
_KRAKEN_TRADE = ["price", "volume", "time", "side", "order_type", "misc", "trade_id"]
_KRAKEN_OHLC = ["time", "open", "high", "low", "close", "vwap", "volume", "count"]

_decoder = msgspec.json.Decoder(float_hook=str)


def read_json(path: Path, blocks: Iterator[Block], hints: Hints) -> Table:
    """Open JSON, whichever of its two ways."""
    first = next(blocks)
    if _by_lines(first.data):
        return _read_lines(path, first, blocks, hints)
    return _read_document(path, chain([first], blocks), hints)


def _by_lines(head: bytes) -> bool:
    line, _, rest = head.lstrip().partition(b"\n")
    if not rest.strip():
        return False
    try:
        _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _read_lines(path: Path, first: Block, blocks: Iterator[Block], hints: Hints) -> Table:
    head = [row for _, row in _decoded_lines(first, []) if row is not None][:100]
    names, width = _shape(path, head)

    def rows() -> Iterator[Rows]:
        for block in chain([first], blocks):
            bad: list[BadRow] = []
            found = list(_decoded_lines(block, bad))
            numbers = np.array([number for number, _ in found], np.int64)
            made = from_lists([row for _, row in found], numbers, names, width)
            yield Rows(made.columns, made.numbers, [*bad, *made.bad])

    return Table(path, "JSON lines", names, "line", rows(), hints, [])


def _decoded_lines(block: Block, bad: list[BadRow]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        if not line.strip():
            continue
        try:
            yield number, _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            bad.append(BadRow(number, "is not JSON", line.decode("utf-8", "replace")))


def _read_document(path: Path, blocks: Iterator[Block], hints: Hints) -> Table:
    parts, size = [], 0
    for block in blocks:
        parts.append(block.data)
        size += len(block.data)
        if size > _DOCUMENT_LIMIT:
            raise unknown(path, f"is one JSON document of more than {_DOCUMENT_LIMIT >> 30} GiB", "write a row a line")
    try:
        document = _decoder.decode(b"".join(parts))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        remedy = "fetch or write the file again"
        raise DataError(str(path), f"is not whole JSON ({exc}), so it was not imported", remedy) from exc
    form = "JSON"
    names: list[str] = []
    if isinstance(document, dict) and {"error", "result"} <= document.keys():
        form, (listed, names, hints) = "Kraken REST answer", _kraken(path, document, hints)
    else:
        listed = _rows_in(path, document)
    found, width = _shape(path, listed[:100])
    names = names[:width] or found
    numbers = np.arange(1, len(listed) + 1, dtype=np.int64)

    def rows() -> Iterator[Rows]:
        for at in range(0, len(listed), _ROWS_AT_ONCE):
            cut = slice(at, at + _ROWS_AT_ONCE)
            yield from_lists(listed[cut], numbers[cut], names, width)

    return Table(path, form, names, "row", rows(), hints, [])


def _rows_in(path: Path, document: Any) -> list[Any]:
    """The list of rows: the document itself, or the only list of rows that it holds."""
    if isinstance(document, list) and document:
        return document
    if isinstance(document, dict):
        lists = [one for one in document.values() if isinstance(one, list) and one and isinstance(one[0], list | dict)]
        if len(lists) == 1:
            return lists[0]
    raise unknown(path, "is JSON without rows of trades or candles", "give the rows as a list")


def _kraken(path: Path, document: dict[str, Any], hints: Hints) -> tuple[list[Any], list[str], Hints]:
    if document["error"]:
        raise DataError(str(path), f"is Kraken's refusal {document['error']}", "ask Kraken again and save the answer")
    result = document["result"]
    pairs = [name for name in result if name != "last"] if isinstance(result, dict) else []
    listed = result[pairs[0]] if len(pairs) == 1 else None
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], list):
        raise unknown(path, "is a Kraken answer, but not of Trades or OHLC", "save one of these")
    names = _KRAKEN_OHLC if len(listed[0]) == len(_KRAKEN_OHLC) else _KRAKEN_TRADE
    what = "candles" if names is _KRAKEN_OHLC else "trades"
    # the newest row of OHLC is the candle that was still forming; `last` is the newest that was whole
    committed = int(result.get("last", 0)) * 1_000_000 if what == "candles" else 0
    return listed, names, hints._replace(exchange="kraken", pair=pairs[0], what=what, committed_us=committed)


def _shape(path: Path, head: list[Any]) -> tuple[list[str], int]:
    if all(isinstance(row, dict) for row in head) and head:
        names = list(dict.fromkeys(name for row in head for name in row))
        return names, len(names)
    widths = Counter(len(row) for row in head if isinstance(row, list))
    if not widths or widths.most_common(1)[0][0] < 3:
        raise unknown(path, "is JSON without rows of trades or candles", "give the rows as a list")
    return [], widths.most_common(1)[0][0]
