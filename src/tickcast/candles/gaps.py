"""What was not seen: holes between the ids, and spans in which nothing was observed.

    ids      ──── 180 ╌╌╌╌ 195 ────      the hole reaches from the time of 180 to the time of 195
    windows  |   A    |    B    |  C
                      partial: A and B, until 181 to 194 have come

A blind span is only a doubt while ids are consecutive: the next trade joins the last one, and it meant nothing; or it
does not, and the hole says all. Where ids are not consecutive the doubt can never be lifted.
"""

from __future__ import annotations

from tickcast.candles.layout import (
    BLIND_COUNT,
    BLINDS,
    CERTAIN,
    CHAIN,
    CLOSED,
    DAMAGED,
    FROM,
    HEAD,
    HEADER,
    LOST_IDS,
    LOW,
    POINTS,
    SLOTS,
    START,
    TO,
    USED,
    WIDTH,
    Book,
)
from tickcast.kernels import inline, kernel
from tickcast.seen import HI, KEEP, LO, TS_HI, TS_LO, begin_anew, insert, squeeze


@inline
def hole(book: Book, k: int) -> tuple[int, int]:
    """From when to when trades are missing before interval `k`."""
    left, right = book.ids[k - 1, TS_HI], book.ids[k, TS_LO]
    return min(left, right), max(left, right)


@inline
def broken(book: Book, start: int, end: int) -> bool:
    """Whether some of the window was not seen, as far as is known now."""
    if not book.facts[POINTS]:
        for k in range(1, book.facts[USED]):
            since, until = hole(book, k)
            if since < end and until >= start:
                return True
    blind = False
    for k in range(book.facts[BLIND_COUNT]):
        blind |= book.blinds[k, FROM] < end and book.blinds[k, TO] > start
    return blind


@kernel
def damage(book: Book, since: int, until: int) -> None:
    """Mark for good the windows, open and closed, that touch a span which nothing can repair any more."""
    for c in range(len(book.spot)):
        header = book.spot[c, HEADER]
        first = 0 if header[CHAIN] else 1
        for k in range(first, header[CLOSED] + 1):
            slot = (header[HEAD] - k) % SLOTS
            start = book.spot[c, slot, START]
            if since < start + header[WIDTH] and until >= start:
                book.spot[c, slot, DAMAGED] = 1


@kernel
def remember(book: Book, k: int, first: int, last: int, timestamp_ms: int, linked: bool) -> tuple[int, int]:
    """Add new ids before interval `k`; returns the span in which a hole came, shrank or went (or an empty one)."""
    facts, ids = book.facts, book.ids
    used = facts[USED]
    has_left, has_right = k > 0, k < used
    since = min(ids[k - 1, TS_HI], timestamp_ms) if has_left else timestamp_ms
    until = max(ids[k, TS_LO], timestamp_ms) if has_right else timestamp_ms
    if has_left and not has_right:
        until = max(ids[k - 1, TS_HI], timestamp_ms)
    elif has_right and not has_left:
        since = min(ids[k, TS_LO], timestamp_ms)
    extends = not has_right and (not has_left or ids[k - 1, HI] + 1 == first)
    extends = extends or (not has_left and last + 1 == ids[k, LO])
    used = insert(ids, used, k, first, last, timestamp_ms, linked)
    facts[USED] = used
    if linked and used > KEEP:
        lost_since, lost_until = hole(book, 1)
        facts[LOST_IDS] += ids[1, LO] - ids[0, HI] - 1 if ids[0, HI] >= 0 else 0
        damage(book, lost_since, lost_until)
        facts[USED] = squeeze(ids, used, KEEP)
    if extends or not linked:
        return 1, 0
    return since, until


@kernel
def leave_old(book: Book) -> None:
    """Ids begin anew: what is missing of the old ones stays missing."""
    facts, ids = book.facts, book.ids
    if not facts[POINTS]:
        for k in range(1, facts[USED]):
            damage(book, *hole(book, k))
            facts[LOST_IDS] += ids[k, LO] - ids[k - 1, HI] - 1 if ids[k - 1, HI] >= 0 else 0
    facts[USED] = begin_anew(ids, facts[USED])


@kernel
def tells_old(book: Book, since: int, until: int) -> bool:
    """Whether history of [since, until) tells all between the old ids and the new ones, which nobody knew yet."""
    ids = book.ids
    if book.facts[USED] < 2 or ids[0, HI] >= 0:
        return False
    return bool(since <= ids[0, TS_HI] and ids[1, TS_LO] < until)


@kernel
def close_old(book: Book) -> tuple[int, int]:
    """Nothing is missing between the old ids and the new ones; returns the span that was in doubt."""
    since, until = hole(book, 1)
    book.ids[1, LO], book.ids[1, TS_LO] = book.ids[0, LO], book.ids[0, TS_LO]
    for k in range(1, book.facts[USED]):
        for field in range(4):
            book.ids[k - 1, field] = book.ids[k, field]
    book.facts[USED] -= 1
    return since, until


@kernel
def move(book: Book, k: int, to: int) -> None:
    """Copy one blind span over another."""
    for field in range(3):
        book.blinds[to, field] = book.blinds[k, field]


@kernel
def go_blind(book: Book, since: int, until: int) -> None:
    """Remember that nothing was observed from `since` until `until`."""
    facts, blinds = book.facts, book.blinds
    if until <= since:
        return
    count = facts[BLIND_COUNT]
    if count and not blinds[count - 1, CERTAIN] and blinds[count - 1, FROM] <= since <= blinds[count - 1, TO]:
        blinds[count - 1, TO] = max(blinds[count - 1, TO], until)
        return
    if count == BLINDS:
        blinds[1, FROM] = min(blinds[0, FROM], blinds[1, FROM])
        blinds[1, TO] = max(blinds[0, TO], blinds[1, TO])
        blinds[1, CERTAIN] = max(blinds[0, CERTAIN], blinds[1, CERTAIN])
        for k in range(1, BLINDS):
            move(book, k, k - 1)
        count -= 1
    blinds[count, FROM], blinds[count, TO], blinds[count, CERTAIN] = since, until, 0
    facts[BLIND_COUNT] = count + 1


@kernel
def lift(book: Book, since: int, until: int) -> tuple[int, int]:
    """History tells all of [since, until): what was not observed in it is known after all; says from when to when."""
    facts, blinds = book.facts, book.blinds
    kept, lifted_from, lifted_to = 0, until, since
    for k in range(facts[BLIND_COUNT]):
        if since < blinds[k, TO] and blinds[k, FROM] < until:
            lifted_from = min(lifted_from, max(since, blinds[k, FROM]))
            lifted_to = max(lifted_to, min(until, blinds[k, TO]))
        if since <= blinds[k, FROM] and blinds[k, TO] <= until:
            continue
        if since <= blinds[k, FROM] < until:
            blinds[k, FROM] = until
        elif since < blinds[k, TO] <= until:
            blinds[k, TO] = since
        move(book, k, kept)
        kept += 1
    facts[BLIND_COUNT] = kept
    return lifted_from, lifted_to


@kernel
def judge(book: Book, provable: bool, since: int, until: int) -> tuple[int, int]:
    """A newer trade has come: lift the doubts, or (not `provable`) make them certain; returns the span to look at."""
    facts, blinds = book.facts, book.blinds
    if not provable:
        for k in range(facts[BLIND_COUNT]):
            blinds[k, CERTAIN] = 1
        return since, until
    kept = 0
    for k in range(facts[BLIND_COUNT]):
        if blinds[k, CERTAIN]:
            move(book, k, kept)
            kept += 1
            continue
        empty = since > until
        since = blinds[k, FROM] if empty else min(since, blinds[k, FROM])
        until = blinds[k, TO] if empty else max(until, blinds[k, TO])
    facts[BLIND_COUNT] = kept
    return since, until


@kernel
def settle(book: Book) -> None:
    """Write certain blindness into the windows, and forget it once time has passed it."""
    facts, blinds = book.facts, book.blinds
    kept = 0
    for k in range(facts[BLIND_COUNT]):
        if blinds[k, CERTAIN]:
            damage(book, blinds[k, FROM], blinds[k, TO] - 1)
            if blinds[k, TO] <= facts[LOW]:
                continue
        move(book, k, kept)
        kept += 1
    facts[BLIND_COUNT] = kept
