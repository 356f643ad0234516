"""One pair of a feed: what is known of it, what waits, and what goes out in which order."""

from __future__ import annotations

from collections.abc import Iterable

from tickcast.sources import own
from tickcast.sources.ccxt.filling import Filled, join
from tickcast.sources.ccxt.lines import NO_ID, Row
from tickcast.sources.live.contract import KnownTrades, PairStatus

HELD_MAX = 20_000
"""Trades of one pair that wait for a hole to be filled; when there are more, they go out and the hole stays."""
RECENT_MAX = 4_000
"""Ids that are remembered, so that what came by page does not go out by stream once more."""

LIVE, JOINING, DOWN = "live", "joining", "down"


class PairState:
    """One pair. It is in doubt after each connection's end, until pages and stream have met again."""

    def __init__(self, exchange: str, pair: str, known: KnownTrades | None = None) -> None:
        self.pair = pair
        self.status = PairStatus(exchange, pair, JOINING)
        self.last: Row | None = None
        """The newest trade that went out."""
        self.doubted = False
        """What the stream brings next must meet the pages first."""
        self.held: list[Row] = []
        self.came_s = self.proved_s = self.asked_s = 0.0
        """When its stream last said something, when that was last enough to know it, when pages were last asked."""
        self._recent: dict[int, None] = {}
        self._unseen_from_ms = 0
        """Known to have been seen until then, and not by which trade: nothing can show that none was missed since."""
        if known is not None and known.spans:
            _, highest, _, time_ms = known.spans[-1]
            self.last, self.doubted = Row(highest, time_ms), True
        elif known is not None:
            self._unseen_from_ms = known.reached_ms

    def lost(self) -> None:
        """Its connection has ended."""
        self.status.state = DOWN
        self.doubted = self.last is not None

    def take(self, rows: Iterable[Row]) -> list[bytes]:
        """What the stream brought; answers the lines that may go out at once."""
        if self.doubted:
            self.held += rows
            self.status.held = len(self.held)
            return []
        self.status.state = LIVE
        return self._out(rows)

    def is_met_by(self, filled: Filled) -> bool:
        """Whether the pages reach as far as the first trade that waits."""
        return not self.held or any(row.id == self.held[0].id for row in filled.rows)

    def is_news(self, row: Row) -> bool:
        """Whether a trade has not gone out yet, as far back as is remembered."""
        return row.id not in self._recent and (self.last is None or row.timestamp_ms >= self.last.timestamp_ms)

    def settle(self, filled: Filled) -> list[bytes]:
        """Pages came, or none did in time: all that waits goes out, with word of what is not proven."""
        if not self.doubted:
            return []
        joint, held, since = join(filled, self.held), self.held, self.last
        fresh = [row for row in joint.rows if row.id not in self._recent and row.id != (since and since.id)]
        doubt_before = joint.doubt_before and bool(fresh or held)
        lines = self._blind() if doubt_before else []
        lines += self._out(joint.rows)
        if joint.doubt_after and (fresh or not doubt_before):
            lines += self._blind()
        lines += self._out(held)
        self._count(len(fresh), lost=doubt_before or joint.doubt_after)
        if filled.joined or held:
            self.status.state = LIVE
        self.doubted = not held  # of a quiet pair: its next trade is held to the pages once more
        self.held, self.status.held = [], 0
        return lines

    def page(self, filled: Filled) -> list[bytes]:
        """What was asked for, where there is no stream."""
        rows = [row for row in filled.rows if row.id not in self._recent]
        lines = self._blind() if rows and not filled.joined else []
        self._count(0, lost=bool(lines))
        self.status.state = LIVE if filled.joined else JOINING
        return lines + self._out(rows)

    def _blind(self) -> list[bytes]:
        return [] if self.last is None else [own.blind(self.pair, self.last.timestamp_ms)]

    def _count(self, repaired: int, *, lost: bool) -> None:
        self.status.gaps_found += bool(repaired) or lost
        self.status.gaps_lost += lost
        self.status.gaps_repaired += bool(repaired) and not lost
        self.status.trades_repaired += repaired

    def _out(self, rows: Iterable[Row]) -> list[bytes]:
        """The lines of new rows. The last one goes out again where a page begins with it: it is the joint."""
        lines: list[bytes] = []
        for row in rows:
            if self._unseen_from_ms:
                lines.append(own.blind(self.pair, self._unseen_from_ms))
                self._unseen_from_ms = 0
            if row.id in self._recent and row != self.last:
                continue
            lines.append(row.raw)
            if row.id == NO_ID:
                continue
            self._recent[row.id] = None
            if self.last is None or row.timestamp_ms >= self.last.timestamp_ms:
                self.last = row
        if len(self._recent) > 2 * RECENT_MAX:
            self._recent = dict.fromkeys(list(self._recent)[-RECENT_MAX:])
        return lines
