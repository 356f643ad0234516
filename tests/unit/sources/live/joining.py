"""A joiner in tests: what it hears, what it is told, what goes out."""

from __future__ import annotations

from typing import Any

from tests.unit.sources.live.storms import PAIR, Trade, part_of
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import Part
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Joined, Limits, Out, Unseen, Want
from tickcast.sources.venues.contract import Span

QUOTE = Message(0, "kraken", b"quote")


def known(last: int, ms: int = 1000) -> KnownTrades:
    return KnownTrades(((1, last, 500, ms),), ms)


def trade(first: int, last: int | None = None, ms: int | None = None) -> tuple[Message, Span]:
    last = first if last is None else last
    ms = 1000 + 10 * first if ms is None else ms
    return Message(0, "kraken", b"%d-%d" % (first, last)), Span(PAIR, first, last, ms, ms)


def hear(joiner: Joiner, now_s: float, first: int, last: int | None = None) -> list[Out]:
    message, span = trade(first, last)
    return [message] if joiner.flows(span) else joiner.hear(now_s, message, span)


def rows(first: int, last: int, *, end: bool = True) -> Part:
    listed = [Trade(one, one, 1000 + 10 * one) for one in range(first, last + 1)]
    return part_of(listed, (1000, 1001 + 10 * last), end=end)


def lives(out: list[Any]) -> list[bool]:
    """Which pieces of history end where the stream goes on."""
    return [one.live for one in out]


def names(out: list[Any]) -> list[str]:
    """What went out: `5`, `quote`, `history 5..8`."""
    told = []
    for one in out:
        if isinstance(one, Joined):
            ids = one.part.rows["trade_id"].tolist()
            told.append(f"history {ids[0]}..{ids[-1]}" if ids else "history of nothing")
        elif isinstance(one, Unseen):
            told.append(f"unseen from {one.from_ms}")
        else:
            first, _, last = one.raw.decode().partition("-")
            told.append(first if last in ("", first) else f"{first}-{last}")
    return told


def a_live_one(last: int = 4, limits: Limits | None = None) -> Joiner:
    joiner = Joiner(PAIR, known(last), limits=limits)
    joiner.subscribed(0.0, 0)
    want = joiner.want(0.5)
    assert want is not None
    joiner.part(want, rows(1, 0), 0.0)
    joiner.done(want, 0.0)
    assert joiner.live
    return joiner


def wanted(joiner: Joiner, now_s: float) -> Want:
    want = joiner.want(now_s)
    assert want is not None
    return want
