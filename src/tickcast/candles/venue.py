"""Candles that the venue made beside those made from trades: for each window the highest revision is the truth.

    -2,000,000        -1,000,000 ...    -500,000 ...           -2       -1          0 ...            1,048,577 ...
    venue, in part  < partial         < partial, rebuilt  <  venue    venue, mends < whole         < whole, rebuilt

So neither stage nor store need know what came before: a whole candle made from trades stands above the venue's own, a
partial one below it, however old the window is, and in whatever order they come.

One case wants a memory: a candle that was whole turns out to lack trades, and then counts on above zero. The venue's
candle takes the next number in its stead, as soon as both are known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.candles.layout import (
    CHAIN,
    CLOSED,
    EVIDENCE,
    HEAD,
    HEADER,
    LOW,
    REBUILDS,
    REVISION,
    SLOTS,
    START,
    WIDTH,
    Book,
)
from tickcast.candles.rebuild import REBUILT_PARTIAL_FROM, REVISION_FROM, floor
from tickcast.events import CANDLES, PARTIAL, REPAIRED, Columns, concat

IN_PART, PLAIN, MENDS = -2_000_000, -2, -1
"""Revisions of the venue's candles: seen in part, as our own files can say; of any window; of one whose time our own
windows had passed when it came, so that it is in the place of a partial candle, or of none."""
KEPT = 64
"""The venue's candles that are remembered of each length, from the oldest window of the ring on."""
LACKING_MAX = 256
"""Windows that were whole and turned out to lack trades, and that no candle of the venue has mended; of more, the
oldest are forgotten, and stay partial."""

_INTS = ("candle_seconds", "window_start_ms", "trade_count")
_FLOATS = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume")
_KEPT = (*_INTS, *_FLOATS)


class Venue:
    """What is remembered of one key."""

    __slots__ = ("lacking", "told")

    def __init__(self) -> None:
        self.told: Columns = {name: column for name, column in CANDLES.empty().items() if name in _KEPT}
        """Sorted by length and window, each once."""
        self.lacking: dict[tuple[int, int], None] = {}
        """(length, window), in the order in which it turned out."""

    def take(self, book: Book, columns: Columns) -> Columns:
        """The venue's candles as they are issued."""
        rows = dict(columns)
        in_part = rows["quality"] == PARTIAL
        late = _passed(book, rows) & ~in_part
        rows["revision"] = np.where(in_part, IN_PART, np.where(late, MENDS, PLAIN)).astype(np.int64)
        rows["quality"] = np.where(late, REPAIRED, rows["quality"]).astype(np.uint8)
        rows["known_at_ms"] = np.where(late, np.maximum(rows["known_at_ms"], book.facts[LOW]), rows["known_at_ms"])
        if self.lacking:
            self._mend(book, rows)
        self._remember(book, {name: column[~in_part] for name, column in rows.items()})
        return rows

    def beside(self, issued: Columns) -> Columns:
        """What trades gave, with the venue's candle in the place of a partial one that counts above its own."""
        partial = issued["quality"] == PARTIAL
        if self.lacking:
            for key in _pairs(issued, np.flatnonzero(~partial)):
                self.lacking.pop(key, None)
        rebuilt = partial & (issued["revision"] >= REBUILT_PARTIAL_FROM) & (issued["revision"] < 0)
        for place, key in zip(np.flatnonzero(rebuilt), _pairs(issued, np.flatnonzero(rebuilt)), strict=True):
            if key in self.lacking:
                issued["revision"][place] += REVISION_FROM - REBUILT_PARTIAL_FROM
        above = np.flatnonzero(partial & (issued["revision"] >= 0))
        if not len(above):
            return issued
        told = {key: row for row, key in enumerate(_pairs(self.told, slice(None)))}
        for at, key in zip(above.tolist(), _pairs(issued, above), strict=True):
            if key in told:
                for name in _KEPT:
                    issued[name][at] = self.told[name][told[key]]
                issued["quality"][at] = REPAIRED
            else:
                self.lacking.pop(key, None)
                self.lacking[key] = None
        while len(self.lacking) > LACKING_MAX:
            del self.lacking[next(iter(self.lacking))]
        return issued

    def _mend(self, book: Book, rows: Columns) -> None:
        """Put the venue's candles above those that were whole and turned out not to be."""
        forgotten = int(book.facts[REBUILDS]) + 1
        for place, key in enumerate(_pairs(rows, slice(None))):
            if key not in self.lacking or rows["quality"][place] == PARTIAL:
                continue
            del self.lacking[key]
            window = _closed(book, *key)
            if window is not None:
                window[REVISION] += 1
                rows["revision"][place] = window[REVISION]
            else:
                book.facts[REBUILDS] = forgotten
                rows["revision"][place] = REVISION_FROM + forgotten

    def _remember(self, book: Book, rows: Columns) -> None:
        """Keep the candles whose windows trades may still change; of one window the newest."""
        whole = concat([self.told, {name: rows[name] for name in _KEPT}])
        order = np.lexsort((whole["window_start_ms"], whole["candle_seconds"]))
        start, seconds = whole["window_start_ms"][order], whole["candle_seconds"][order]
        last = np.ones(len(order), dtype=np.bool_)
        last[:-1] = (start[1:] != start[:-1]) | (seconds[1:] != seconds[:-1])
        kept: list[NDArray[Any]] = [order[:0]]
        for c, header in enumerate(book.spot[:, HEADER]):
            since = floor(book, c)
            mine = order[last & (seconds == header[WIDTH] // 1000) & (start >= since)]
            kept.append(mine[:KEPT] if since else mine[-KEPT:])  # before the first trade: those nearest to it
        places = np.concatenate(kept)
        self.told = {name: column[places] for name, column in whole.items()}

    def parts(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        ints, floats = (np.array([self.told[name] for name in names]) for names in (_INTS, _FLOATS))
        return {"lacking": list(map(list, self.lacking)), "told": ints, "told_values": floats}

    @classmethod
    def load(cls, parts: dict[str, Any]) -> Venue:
        """What `parts` wrote."""
        venue = cls()
        venue.told = dict(zip(_KEPT, [*parts["told"], *parts["told_values"]], strict=True))
        venue.lacking = dict.fromkeys((seconds, start) for seconds, start in parts["lacking"])
        return venue


def _passed(book: Book, rows: Columns) -> NDArray[np.bool_]:
    """Whether our own windows of that length had begun, and have passed."""
    found = np.zeros(len(rows["window_start_ms"]), dtype=np.bool_)
    for header in book.spot[:, HEADER]:
        width = int(header[WIDTH])
        if header[CHAIN] or header[CLOSED]:
            since = int(book.facts[EVIDENCE]) // width * width
            mine = rows["candle_seconds"] == width // 1000
            found |= mine & (rows["window_start_ms"] >= since) & (rows["window_end_ms"] <= book.facts[LOW])
    return found


def _closed(book: Book, seconds: int, start_ms: int) -> NDArray[np.int64] | None:
    """The closed window of the ring that begins then."""
    for spot in book.spot:
        header = spot[HEADER]
        if header[WIDTH] == seconds * 1000:
            for back in range(1, int(header[CLOSED]) + 1):
                window: NDArray[np.int64] = spot[(header[HEAD] - back) % SLOTS]
                if window[START] == start_ms:
                    return window
    return None


def _pairs(columns: Columns, places: NDArray[np.intp] | slice) -> list[tuple[int, int]]:
    return list(
        zip(columns["candle_seconds"][places].tolist(), columns["window_start_ms"][places].tolist(), strict=True)
    )
