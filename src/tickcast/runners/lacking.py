"""What the store holds of a pair's past, and which spans it lacks of what somebody wants.

wanted   |---------------------------|
held        |------|       |----|            candles that it has, times of which history told all there is
lacking  |--|      |-------|    |----|
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tickcast.store.duckdb import DuckStore
from tickcast.store.schema import quoted

SPANS_MAX = 1_000_000
Span = tuple[int, int]
"""From a time (milliseconds) up to another one, exclusive."""


def fetched_spans(store: DuckStore, exchange: str, pair: str, seconds: int) -> list[Span]:
    """From when to when the store has all of a pair's trades (0) or candles from history, joined where they meet."""
    key = f"exchange = {quoted(exchange)} AND pair = {quoted(pair)} AND candle_seconds = {int(seconds)}"
    return joined(store.query(f"SELECT from_ms, to_ms FROM fetched WHERE {key}", limit=SPANS_MAX).rows)


class Held:
    """What the store has of some pairs since a time: two questions, however many pairs."""

    def __init__(self, store: DuckStore, exchange: str, pairs: Iterable[str], since_ms: int) -> None:
        self._spans: dict[tuple[str, int], list[Span]] = {}
        names = ", ".join(map(quoted, pairs))
        key = f"exchange = {quoted(exchange)} AND pair IN ({names})"
        starts = f"SELECT *, row_number() OVER (PARTITION BY pair, candle_seconds ORDER BY window_start_ms) AS place \
FROM candles WHERE {key} AND window_start_ms >= {int(since_ms)}"
        columns = "pair, candle_seconds, min(window_start_ms), max(window_start_ms) + 1000 * candle_seconds"
        runs = f"SELECT {columns} FROM ({starts}) GROUP BY 1, 2, window_start_ms - 1000 * candle_seconds * place"
        told = f"SELECT pair, candle_seconds, from_ms, to_ms FROM fetched WHERE {key} AND to_ms > {int(since_ms)}"
        for asked in (runs, told):
            for pair, seconds, from_ms, to_ms in store.query(asked, limit=SPANS_MAX).rows if names else ():
                self._spans.setdefault((pair, seconds), []).append((from_ms, to_ms))

    def of(self, pair: str, seconds: int) -> list[Span]:
        """Where there are candles of a length, or where history has told all there is: of candles, or of trades (0)."""
        return [*self._spans.get((pair, seconds), ()), *self._spans.get((pair, 0), ())]


def joined(spans: Iterable[Sequence[int]]) -> list[Span]:
    """Spans in order, joined where they meet.

    >>> joined([(5, 9), (0, 3), (3, 4), (6, 7)])
    [(0, 4), (5, 9)]
    """
    found: list[Span] = []
    for since, until in sorted((int(since), int(until)) for since, until in spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def without(wanted: Span, held: Iterable[Sequence[int]]) -> list[Span]:
    """What is left of a span.

    >>> without((0, 10), [(2, 3), (8, 20), (-5, -1)])
    [(0, 2), (3, 8)]
    """
    left: list[Span] = []
    at, end = wanted
    for since, until in joined(held):
        if since > at:
            left.append((at, min(since, end)))
        at = max(at, until)
        if at >= end:
            break
    else:
        if at < end:
            left.append((at, end))
    return [(since, until) for since, until in left if since < until]
