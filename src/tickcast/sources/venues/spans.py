"""What a mapper's events are to the live feed: the definition that every venue's faster way of hearing is held to.

A venue's `hear` knows the few layouts of its usual traffic. Whatever else comes goes through here, by the mapper
itself, so that both always agree about which trades a message holds: a trade that the feed believed to have and the
mapper refuses would be a hole that nobody looks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tickcast.errors import WireError
from tickcast.sources.contract import Alive, Event, Mapper, Quote, Trade
from tickcast.sources.venues.contract import NOISE, PROOF, QUOTE, TRADES, UNREADABLE, Heard, Span

Row = tuple[str, int, int, int]
"""One trade or aggregate: pair, first id (-1: ids are not consecutive), last id, ms."""

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
"""What decoding and checking of a wounded message may raise; ValueError is `Unreadable` and float("x")."""


def spans_of(rows: Iterable[Row]) -> tuple[Span, ...]:
    """Runs of ids without a hole, pair by pair in the order in which the message names them.

    Times are the earliest and the latest of a run: a venue's order of ids and its order of times may differ.

    >>> [tuple(span) for span in spans_of([("A", 7, 7, 50), ("B", 1, 1, 51), ("A", 5, 6, 52), ("A", 9, 9, 53)])]
    [('A', 5, 7, 50, 52), ('A', 9, 9, 53, 53), ('B', 1, 1, 51, 51)]
    """
    rows = list(rows)
    if not rows:
        return ()
    pair, first_id, last_id, first_ms = rows[0]
    last_ms = first_ms
    for other, low_id, high_id, ms in rows[1:]:  # nearly always one run, in order
        if other != pair or low_id != last_id + 1 or last_id < 0:
            return tuple(_all_runs(rows))
        last_id, first_ms, last_ms = high_id, min(first_ms, ms), max(last_ms, ms)
    return (Span(pair, first_id, last_id if first_id >= 0 else -1, first_ms, last_ms),)


def _all_runs(rows: list[Row]) -> Iterator[Span]:
    by_pair: dict[str, list[Row]] = {}
    for row in rows:
        by_pair.setdefault(row[0], []).append(row)
    for pair, own in by_pair.items():
        made: Span | None = None
        for _, first_id, last_id, ms in sorted(own, key=lambda row: row[1]):
            if first_id < 0:
                last_id = -1  # made of other things, and no count of anything
            if made is not None and first_id <= made.last_id + 1:
                last_id, first_ms, last_ms = max(last_id, made.last_id), min(ms, made.first_ms), max(ms, made.last_ms)
                made = Span(pair, made.first_id, last_id, first_ms, last_ms)
                continue
            if made is not None:
                yield made
            made = Span(pair, first_id, last_id, ms, ms)
        if made is not None:
            yield made


def quote_of(pairs: Sequence[str], venue_ms: int, sequence: int = -1) -> Heard:
    """A message of best prices; where it has several pairs, `spans` names each, without ids.

    >>> quote_of(["BTC-USD", "ETH-USD"], 5).spans[1]
    Span(pair='ETH-USD', first_id=-1, last_id=-1, first_ms=0, last_ms=0)
    """
    spans = tuple(Span(pair, -1, -1, 0, 0) for pair in dict.fromkeys(pairs)) if len(pairs) > 1 else ()
    return Heard(QUOTE, spans if len(spans) > 1 else (), pairs[0], venue_ms, sequence)


def heard_of(events: Sequence[Event]) -> Heard:
    """What a mapper's events are to the feed; nothing is noise."""
    trades = [
        (event.pair, event.first_id, event.trade_id, event.timestamp_ms) for event in events if type(event) is Trade
    ]
    if trades:
        return Heard(TRADES, spans_of(trades))
    quotes = [event for event in events if type(event) is Quote]
    if quotes:
        return quote_of([quote.pair for quote in quotes], max(quote.timestamp_ms for quote in quotes))
    alive = [event for event in events if type(event) is Alive]
    if not alive:
        return Heard(NOISE)
    venue_ms, pair = max(event.timestamp_ms for event in alive), alive[0].pair
    # Proof for one pair is none for the connection; it says what the venue's clock shows all the same.
    return Heard(NOISE, (), pair, venue_ms) if pair else Heard(PROOF, venue_ms=venue_ms)


def heard_by(mapper: Mapper, raw: bytes) -> Heard:
    """What a message is by its mapper alone: UNREADABLE where that refuses it, with its reason."""
    try:
        return heard_of(mapper.map_message(raw))
    except WireError as exc:
        return Heard(UNREADABLE, detail=exc.what)
