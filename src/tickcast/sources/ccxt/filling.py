"""What came after a trade that is known, page by page, and whether the pages prove that nothing is missing.

    known   ──── L
    pages       [L a b c]          L is in it: nothing is missing between L and c
    stream                c d      c is in both: nothing is missing between the pages and the stream

ccxt promises nothing of ids, of page sizes, or of whether `since` is heeded. What is proven is what overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tickcast.sources.ccxt.lines import Row, trade_rows

PAGES_MAX = 50
"""Pages of one hole; what is longer stays a hole."""


class Filled(NamedTuple):
    """What the exchange's pages show after the known trade, in order, up to the newest."""

    rows: list[Row]
    """With the known trade itself where it was found, so that the joint is in the journal too."""
    joined: bool
    """Nothing is missing between the known trade and the newest."""


class Joint(NamedTuple):
    """What goes out before the held rows, and where it is not proven that nothing is missing."""

    rows: list[Row]
    doubt_before: bool
    """Between the known trade and the first of `rows`."""
    doubt_after: bool
    """Between the last of `rows` and the first that is held."""


async def fetch_after(exchange: Any, symbol: str, last: Row | None) -> Filled:
    """All trades after the known one; None: the newest page, which joins nothing.

    The newest page comes first: mostly it reaches back far enough. If not, pages are asked for from the known trade
    on, each beginning with the last trade of the page before, until one meets the newest page.
    """
    newest = _page(symbol, await exchange.fetch_trades(symbol))
    if last is None:
        return Filled(newest, False)
    goal = {row.id for row in newest}
    joined, edge = last.id in goal, last
    found: dict[int, Row] = {}
    for _ in range(0 if joined else PAGES_MAX):
        page = _page(symbol, await exchange.fetch_trades(symbol, edge.timestamp_ms - 1))
        fresh = [row for row in page if row.id not in found and row.timestamp_ms >= edge.timestamp_ms]
        if not fresh or all(row.id != edge.id for row in page):
            break  # it goes no further, or begins behind what was known
        found |= {row.id: row for row in fresh}
        joined, edge = any(row.id in goal for row in page), page[-1]
        if joined:
            break
    found |= {row.id: row for row in newest}
    from_ms = last.timestamp_ms if last.id in found else last.timestamp_ms + 1
    rows = [row for row in found.values() if row.timestamp_ms >= from_ms]
    return Filled(sorted(rows), joined)


def _page(symbol: str, trades: Iterable[Mapping[str, Any]]) -> list[Row]:
    """In the order of our ids: ccxt sorts those of one moment as texts, where 10 comes before 9."""
    return sorted(trade_rows(symbol, trades))


def join(filled: Filled, held: Sequence[Row]) -> Joint:
    """Put what was fetched before what the stream brought meanwhile, each trade once."""
    if not held:
        return Joint(filled.rows, not filled.joined, False)
    first, there = held[0], {row.id for row in held}
    if any(row.id == first.id for row in filled.rows):
        between = [row for row in filled.rows if row.timestamp_ms <= first.timestamp_ms and row.id not in there]
        return Joint(between, not filled.joined, False)
    # its ids are others than the stream's, or it does not reach that far: only what is surely older can be taken
    older = [row for row in filled.rows if row.timestamp_ms < first.timestamp_ms]
    return Joint(older, not filled.joined, True)
