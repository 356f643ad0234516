"""What all walks share: whether pages join by trade id, what is new in them, and the Part that is made of one.

known  ...7 8 9|
page         8 9 10 11 12        joins: 10 to 12 are new
page               11 12 13      a hole: asked once more, then believed; 10 is gone at the venue
page         8 9 | 1 2 3         ids begin anew (`tickcast.sequences`): all from 1 on is new
"""

from __future__ import annotations

import numpy as np

from tickcast.errors import WireError
from tickcast.events import CANDLES, TRADES, Columns, concat
from tickcast.sequences import beginnings
from tickcast.sources.contract import TIME_MIN_MS
from tickcast.sources.history.contract import After, HistoryError, Part, Request
from tickcast.sources.pages.registry import read_page


class NotKept(HistoryError):
    """The venue keeps no such history; what it does keep was given before this was raised."""


DOUBTS_MAX = 3
"""How many different holes one page may show before it is believed, or how often one that no page shows whole."""
NOTES_MAX = 20
PAGES_MAX = 16
"""So many full pages of one millisecond make a Part; a longer crowd is told in several."""
_CUT, _NOT_SHOWN = (-1, -1), (-2, -2)
"""Doubts that are no holes: a page's end is torn off, or it does not show the trade that is known."""


def read_answer(exchange: str, what: str, pair: str, seconds: int, raw: bytes) -> Columns:
    """A page's rows; HistoryError where it is none."""
    try:
        return read_page(exchange, what, pair, seconds, raw)
    except WireError as exc:
        raise unreadable(exchange, pair, exc.what) from exc


def unreadable(exchange: str, pair: str, what: str) -> HistoryError:
    """An answer that is not what was asked for."""
    return HistoryError(f"{exchange}/history", f"the answer for {pair} is no page ({what})", "it is asked again later")


def some(rows: Columns, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Columns:
    """The rows to keep."""
    return rows if keep.all() else {name: column[keep] for name, column in rows.items()}


class Seam:
    """Whether trades join by id to those before; what looks wrong is asked for once more before it is believed."""

    def __init__(self, last_id: int, known_ms: int = 0) -> None:
        self.last_id, self.known_ms = last_id, known_ms
        """Of the last trade that is known; -1: none."""
        self.anew_ms = 0
        """Where ids began anew on the way: the time of the last of the older ones, of which no more is told."""
        self.lost = False
        """The trade that is known was not shown."""
        self.gone: tuple[int, int] | None = None
        """The first hole of the page that was believed last."""
        self.sure = True
        """False after a page that ends before the trade that is known: who has forgotten it may have forgotten more."""
        self._shown = last_id < 0  # the first page begins at the known trade's time, so it must show it
        self._doubted: set[tuple[int, int]] = set()  # of this page
        self._hole_after, self._hole_seen = -1, 0  # a hole right after this trade, and how often it was seen

    def joins(self, rows: Columns) -> bool:
        """Whether the first row is known, or the next one after the known."""
        if self.last_id < 0 or not len(rows["trade_id"]) or self.anew(rows)[:1] == [0]:
            return False
        return int(rows["first_id"][0]) <= self.last_id + 1

    def has_new(self, rows: Columns) -> bool:
        """Whether any row is after the known."""
        return bool(np.any(self._is_new(rows)))

    def anew(self, rows: Columns) -> list[int]:
        """At which rows ids begin anew."""
        return beginnings(rows["trade_id"], rows["timestamp_ms"], self.last_id, self.known_ms)

    def _is_new(self, rows: Columns) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        fresh = rows["trade_id"] > self.last_id
        for at in self.anew(rows)[:1]:
            fresh[at:] = True
        return fresh

    def believed(self, rows: Columns, *, cut: bool = False) -> bool:
        """Whether to go on with this page; False: ask again, from the known trade on. `cut`: its end looks torn off."""
        doubt = self._doubt(rows) or (_CUT if cut else None)
        if doubt is not None and not self._asked_again(doubt, rows):
            return False
        self.gone = doubt if doubt not in (_CUT, _NOT_SHOWN) else None
        self.sure = doubt != _NOT_SHOWN and (self.sure or len(rows["trade_id"]) > 0)
        self.lost |= doubt == _NOT_SHOWN
        self._doubted.clear()
        self._shown = True
        return True

    def new(self, rows: Columns) -> Columns:
        """The rows after the last known one, which are known from now on."""
        for at in self.anew(rows):
            self.anew_ms = int(rows["timestamp_ms"][at - 1]) if at else self.known_ms
        fresh = some(rows, self._is_new(rows))
        if len(fresh["trade_id"]):
            self.last_id, self.known_ms = int(fresh["trade_id"][-1]), int(fresh["timestamp_ms"][-1])
            self.lost = False
        return fresh

    def _asked_again(self, doubt: tuple[int, int], rows: Columns) -> bool:
        """Whether this was doubted often enough; it is doubted once more now.

        A hole right after the known trade is asked for from there on, in smaller steps perhaps, so it outlives its
        page. Two pages that show both sides of it prove it; where no page does, one of the steps may have been torn.
        """
        if doubt[0] == self.last_id + 1:
            if self._hole_after != self.last_id:
                self._hole_after, self._hole_seen = self.last_id, 0
            self._hole_seen += 1
            return self._hole_seen > (1 if int(rows["trade_id"][0]) <= self.last_id else DOUBTS_MAX)
        before = doubt in self._doubted or len(self._doubted) >= DOUBTS_MAX
        self._doubted.add(doubt)
        return before

    def _doubt(self, rows: Columns) -> tuple[int, int] | None:
        anew = self.anew(rows)
        known = some(rows, np.arange(len(rows["trade_id"])) < anew[0]) if anew else rows
        first, last = rows["first_id"], rows["trade_id"]
        if not len(known["trade_id"]) or int(known["trade_id"][-1]) < self.last_id:
            return None if self._shown else _NOT_SHOWN
        if self.last_id >= 0 and int(first[0]) > self.last_id + 1:
            return self.last_id + 1, int(first[0]) - 1
        inside = np.flatnonzero(first[1:] > last[:-1] + 1)
        if not len(inside):
            return None
        return int(last[inside[0]]) + 1, int(first[inside[0] + 1]) - 1


class TradesSteps:
    """What the walks through trades share; a venue adds what to ask and how to read it."""

    exchange = ""

    def __init__(self, pair: str, after: After, until_ms: int) -> None:
        self.pair, self.until_ms = pair, until_ms
        self.from_ms = max(after.timestamp_ms, TIME_MIN_MS)
        """Where the next Part begins."""
        self.known_ms = self._begin_ms = self.from_ms
        """The time of the last trade that is known."""
        self.seam = Seam(after.trade_id, self.known_ms)
        self.done = False
        self._pages: list[bytes] = []
        self._rows: list[Columns] = []
        self.notes: list[str] = []
        """What a reader should know, a sentence each."""
        self.refusal: HistoryError | None = None
        """Why some of what was asked for can not be had; to be raised when the walk has ended."""

    @property
    def request(self) -> Request | None:
        """What to ask next; None: done."""
        return None if self.done else self._request()

    def _request(self) -> Request:
        raise NotImplementedError

    def _go_back(self) -> None:
        """Ask again from the last known trade on."""
        raise NotImplementedError

    def _joins(self, rows: Columns) -> bool:
        """Whether a page that lost its beginning lost nothing that is wanted.

        It may have lost known trades of the first millisecond, so no Part that begins with a second is made of it:
        there a window may begin, which is to be whole by its Part alone.
        """
        return self.seam.joins(rows) and self.from_ms % 1000 != 0

    def _believed(self, rows: Columns, *, cut: bool = False) -> bool:
        if self.seam.believed(rows, cut=cut):
            return True
        if self.seam.last_id >= 0:
            self.from_ms = min(self.from_ms, self.known_ms)  # what was told of since may not have been whole
            self._go_back()
        return False

    def _read(self, raw: bytes) -> Columns:
        rows = read_answer(self.exchange, TRADES.name, self.pair, 0, raw)
        return some(rows, rows["timestamp_ms"] > self.seam.anew_ms) if self.seam.anew_ms else rows

    def _part(self, raw: bytes, rows: Columns, to_ms: int, *, reached_end: bool = False) -> Part:
        """The next Part; it ends the walk where it reaches what was asked for."""
        self._keep(raw, rows)
        pages, fresh = tuple(self._pages), concat(self._rows)
        self._pages, self._rows = [], []
        if self.until_ms and to_ms >= self.until_ms:
            to_ms, reached_end, self.done = self.until_ms, False, True
            fresh = some(fresh, fresh["timestamp_ms"] < to_ms)  # the page may know of more than was asked for
            if self.seam.gone is not None and not np.any(fresh["trade_id"] > self.seam.gone[1]):
                to_ms = int(fresh["timestamp_ms"][-1]) if len(fresh["timestamp_ms"]) else self.from_ms
        self.done = self.done or reached_end
        from_ms, self.from_ms = self.from_ms, max(to_ms, self.from_ms)
        proves = reached_end and self.seam.sure
        return Part(TRADES.name, self.pair, 0, from_ms, self.from_ms, pages, fresh, proves)

    def _crowd(self, raw: bytes, rows: Columns) -> bool:
        """Keep a full page of one millisecond for the Part that tells all of it; False: it is too long for that."""
        if len(self._pages) >= PAGES_MAX:
            return False
        self._keep(raw, rows)
        return True

    def _keep(self, raw: bytes, rows: Columns) -> None:
        """A page for the next Part, which may need several: a millisecond is told by one Part or by none."""
        wanted = rows if self.seam.last_id >= 0 else some(rows, rows["timestamp_ms"] >= self._begin_ms)
        for at in self.seam.anew(wanted):
            self._note(f"its trade ids begin anew, with {wanted['first_id'][at]}")
            if at == 0 and self.seam.lost:  # who knows what was traded after the last trade that is known
                self.from_ms = max(self.from_ms, int(wanted["timestamp_ms"][0]))
        fresh = self.seam.new(wanted)
        if len(fresh["timestamp_ms"]):
            self.known_ms = int(fresh["timestamp_ms"][-1])
        if self.seam.gone is not None:
            self._note("trades {} to {} are gone at the venue; their windows stay partial".format(*self.seam.gone))
        self._pages.append(raw)
        self._rows.append(fresh)

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(f"{self.exchange} {self.pair}: {text}")


class CandlesSteps:
    """What the walks through candles share: so many windows at a time, closed ones only."""

    exchange = ""
    at_once = 1000

    def __init__(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> None:
        self.pair, self.seconds, self.step_ms = pair, seconds, seconds * 1000
        self.from_ms = -(-max(from_ms, TIME_MIN_MS) // self.step_ms) * self.step_ms
        self.to_ms = to_ms // self.step_ms * self.step_ms
        self.notes: list[str] = []
        self.refusal: HistoryError | None = None
        self._asked_again = False

    @property
    def request(self) -> Request | None:
        """What to ask next; None: done."""
        return None if self.from_ms >= self.to_ms else self._request(self.from_ms, self._end_ms())

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the answer; a page that may hold a candle still being made is asked for again without it."""
        rows = read_answer(self.exchange, CANDLES.name, self.pair, self.seconds, raw)
        end_ms = self._end_ms()
        closed_ms = asked_ms // self.step_ms * self.step_ms
        if end_ms > closed_ms:
            self.to_ms = closed_ms
            return None
        start_ms = rows["window_start_ms"]
        rows = some(rows, (start_ms >= self.from_ms) & (start_ms < end_ms))
        if self._looks_cut(rows, self.from_ms, end_ms) and not self._asked_again:
            self._asked_again = True
            return None
        self._asked_again = False
        from_ms, self.from_ms = self.from_ms, end_ms
        return Part(
            CANDLES.name, self.pair, self.seconds, from_ms, end_ms, (raw,), rows, end_ms + self.step_ms > asked_ms
        )

    def _end_ms(self) -> int:
        return min(self.to_ms, self.from_ms + self.at_once * self.step_ms)

    def _looks_cut(self, rows: Columns, from_ms: int, end_ms: int) -> bool:
        """Whether candles are missing at an end: quiet windows are often left out, a torn page has lost one end."""
        starts = rows["window_start_ms"]
        return not len(starts) or int(starts[0]) > from_ms or int(starts[-1]) < end_ms - self.step_ms

    def _request(self, from_ms: int, end_ms: int) -> Request:
        raise NotImplementedError


def no_such_span(exchange: str, seconds: int, known: str) -> HistoryError:
    """The venue has no candles of this length."""
    return HistoryError(f"{exchange}/history", f"has no candles of {seconds} seconds", f"ask for one of {known}")
