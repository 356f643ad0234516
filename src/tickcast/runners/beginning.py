"""What has to be fetched before a live feed starts, so that its first candle has the indicators it will always have.

    midnight - 520 candles ........ now - 10 min ...... now
    |--------- candles -----------|----- trades -----|  live

Indicators stand on 512 candles before midnight, tick features on five minutes of trades. Where a venue keeps no candles
of a length, or not enough of them, trades are fetched all the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tickcast.clock import DAY_MS
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.history.dialects import dialect_of

ANCHOR_CANDLES = 520
"""The anchor's 512, and a few more."""
TRADES_MS = 600_000
"""Trades to begin with: twice the longest window of the tick features."""
TRADES_DAYS_MAX = 3.0
"""Of trades that only the anchor wants; who wants more says so with `history_days`."""
KEPT_CANDLES = {"kraken": 720}
"""How many candles a venue keeps, where that is not enough for a day and its anchor."""


class CandlesSpan(NamedTuple):
    """Candles of one length, from when to when."""

    seconds: int
    from_ms: int
    to_ms: int


class Beginning(NamedTuple):
    """What to fetch of a pair that was never seen."""

    candles: tuple[CandlesSpan, ...]
    """What is fetched as candles; empty: trades tell all of it."""
    trades_from_ms: int
    wanted: tuple[CandlesSpan, ...]
    """The candles that there should be, whichever way they come."""
    recent_ms: int
    """Where the trades begin that are wanted as trades."""


def beginning(
    exchange: str, candle_seconds: Sequence[int], *, now_ms: int, what: str = "candles", days: float = 0.0
) -> Beginning:
    """Plan the history before `now_ms`; `what` is "candles" or "trades", `days` more than the anchor needs, or 0.

    >>> noon = 1_735_689_600_000 + DAY_MS // 2
    >>> plan = beginning("binance", (60,), now_ms=noon)
    >>> [((noon - from_ms) // 60_000, (noon - to_ms) // 60_000) for _, from_ms, to_ms in plan.candles]
    [(1240, 10)]
    >>> (noon - plan.trades_from_ms) // 60_000, beginning("kraken", (60,), now_ms=noon).candles
    (10, ())
    """
    midnight_ms, steps = now_ms - now_ms % DAY_MS, [1000 * seconds for seconds in candle_seconds]
    wanted_ms = now_ms - round(days * DAY_MS)
    since = {step: _floor(min(midnight_ms - ANCHOR_CANDLES * step, wanted_ms), step) for step in steps}
    recent_ms = min(_floor(now_ms - TRADES_MS, step) for step in steps)
    spans = tuple(CandlesSpan(step // 1000, since[step], _floor(recent_ms, step)) for step in steps)
    if what == "candles" and all(_is_kept(exchange, span, now_ms) for span in spans):
        return Beginning(spans, recent_ms, spans, recent_ms)
    longest_ms = round(max(days, TRADES_DAYS_MAX) * DAY_MS)
    earliest_ms = max(min(since.values()), now_ms - longest_ms)
    from_ms = min(recent_ms, _floor(earliest_ms, max(steps)))
    wanted = tuple(span._replace(from_ms=max(span.from_ms, from_ms)) for span in spans)
    return Beginning((), from_ms, wanted, recent_ms)


def _floor(time_ms: int, step_ms: int) -> int:
    return time_ms - time_ms % step_ms


def _is_kept(exchange: str, span: CandlesSpan, now_ms: int) -> bool:
    """Whether the venue has candles of that length, that far back."""
    try:
        dialect_of(exchange).CandlesWalk("", *span)
    except HistoryError:
        return False
    return (now_ms - span.from_ms) // (1000 * span.seconds) <= KEPT_CANDLES.get(exchange, 1 << 40)
