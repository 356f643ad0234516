"""The fold over a frame's rows: ordinary rows go in runs, all others one by one, each whole or not at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tickcast.candles.gaps import close_old, go_blind, judge, leave_old, lift, remember, settle, tells_old
from tickcast.candles.layout import (
    BLIND_COUNT,
    BUY,
    BUY_REST,
    CHAIN,
    CLOSED,
    DAY_MS,
    DUPLICATES,
    EVIDENCE,
    HEAD,
    HEADER,
    ISSUED,
    LOW,
    NEED,
    OUTDATED_FROM,
    OUTDATED_TO,
    OVERLAPPING,
    POINTS,
    PRICE_DIGITS,
    QUOTE,
    QUOTE_REST,
    SELL_REST,
    SIZE_DIGITS,
    SLOTS,
    START,
    USED,
    WHOLE_FROM,
    WHOLE_TO,
    WIDTH,
    Book,
    Floats,
    Ints,
    Issue,
    Rows,
)
from tickcast.candles.sums import POWERS, digits_of, first_unfit, rescale
from tickcast.candles.windows import (
    advance,
    carry_in,
    complete,
    oldest,
    open_window,
    quiet_windows,
    reissue_stale,
    review,
    take,
    take_late,
    take_run,
)
from tickcast.kernels import borrow, inline, kernel
from tickcast.seen import DUPLICATE, HI, KEEP, NEW, TS_HI, place, restarted, see, squeeze


@inline
def room_for(book: Book, low: int) -> int:
    """The most candles that moving to `low` can issue, with all that a late trade may issue again."""
    need = 0
    for c in range(len(book.spot)):
        header = book.spot[c, HEADER]
        need += header[CLOSED] + 1
        if header[CHAIN]:
            start = book.spot[c, header[HEAD], START]
            need += min(quiet_windows(start, header[WIDTH], low), DAY_MS // header[WIDTH])
    return need


@inline
def run_from(book: Book, rows: Rows, row: int) -> tuple[int, bool]:
    """How far the rows are ordinary: new, in order, joined to what was seen, before any window's end.

    And whether the row that ends them is ordinary too, but for its time: it closes a window.
    """
    facts = book.facts
    if facts[BLIND_COUNT] or facts[USED] == 0:
        return row, False
    low = facts[LOW]
    bound = low + DAY_MS + 1
    for c in range(len(book.spot)):
        if not book.spot[c, HEADER, CHAIN]:
            return row, False
        bound = min(bound, book.spot[c, book.spot[c, HEADER, HEAD], START] + book.spot[c, HEADER, WIDTH])
    last, count = book.ids[facts[USED] - 1, HI], len(rows.trade_id)
    trade_id, first_id, time = rows.trade_id, rows.first_id, rows.timestamp_ms
    if facts[POINTS]:
        while row < count and first_id[row] < 0 and trade_id[row] > last and low <= time[row] and time[row] < bound:
            last, low = trade_id[row], time[row]
            row += 1
        return row, row < count and first_id[row] < 0 and trade_id[row] > last and bound <= time[row]
    while row < count and first_id[row] == last + 1 and trade_id[row] > last and low <= time[row] and time[row] < bound:
        last, low = trade_id[row], time[row]
        row += 1
    return row, row < count and first_id[row] == last + 1 and trade_id[row] > last and bound <= time[row]


@kernel
def widen(book: Book, price: float, quantity: float) -> bool:
    """Count in smaller units if this trade has more decimals than any before; says whether that was so."""
    facts = book.facts
    price_digits = max(digits_of(price, facts[PRICE_DIGITS]), facts[PRICE_DIGITS])
    size_digits = max(digits_of(quantity, facts[SIZE_DIGITS]), facts[SIZE_DIGITS])
    size_factor = POWERS[size_digits - facts[SIZE_DIGITS]]
    paid_factor = POWERS[price_digits - facts[PRICE_DIGITS]] * size_factor
    if paid_factor == 1.0:
        return False
    for c in range(len(book.spot)):
        for slot in range(SLOTS):
            money = book.money[c, slot]
            rescale(money, BUY, BUY_REST, size_factor)
            rescale(money, BUY + 1, SELL_REST, size_factor)
            rescale(money, QUOTE, QUOTE_REST, paid_factor)
    facts[PRICE_DIGITS], facts[SIZE_DIGITS] = price_digits, size_digits
    return True


@inline
def fold_run(book: Book, rows: Rows, start: int, stop: int) -> None:
    """Fold ordinary rows into the open window of every length."""
    facts, ids = book.facts, book.ids
    if facts[POINTS]:
        used = facts[USED]
        for row in range(start, stop):
            _, used = see(ids, used, -1, rows.trade_id[row], rows.timestamp_ms[row], facts[LOW])
        facts[USED] = used
    else:
        newest = facts[USED] - 1
        ids[newest, HI], ids[newest, TS_HI] = rows.trade_id[stop - 1], rows.timestamp_ms[stop - 1]
    facts[LOW] = rows.timestamp_ms[stop - 1]
    trusting = True  # that all are whole numbers of units; else look first
    while start < stop:
        fit = stop
        if not trusting:
            fit = first_unfit(rows.quantity, start, stop, POWERS[facts[SIZE_DIGITS]])
            fit = first_unfit(rows.price, start, fit, POWERS[facts[PRICE_DIGITS]])
        whole = fit > start
        for c in range(len(book.spot)):
            whole = whole and take_run(book, c, rows, start, fit)
        if whole:
            start = fit
        elif trusting:
            trusting = False
        elif not widen(book, rows.price[start], rows.quantity[start]):
            for c in range(len(book.spot)):
                take(book, c, book.spot[c, HEADER, HEAD], rows, start)
            start += 1


@kernel
def admit(book: Book, rows: Rows, row: int) -> tuple[bool, int, int]:
    """Whether a row is new, and the span in which it changes what is known to be missing."""
    facts, ids = book.facts, book.ids
    last, first, time = rows.trade_id[row], rows.first_id[row], rows.timestamp_ms[row]
    linked = first >= 0
    if not linked:
        facts[POINTS] = 1
    if first < 0 or first > last:
        first = last
    facts[USED] = squeeze(ids, facts[USED], KEEP)
    anew = restarted(ids, facts[USED], last, time, facts[LOW])
    if anew:
        leave_old(book)
    used = facts[USED]
    verdict, k = place(ids, used, first, last, time)
    if verdict != NEW:
        facts[DUPLICATES if verdict == DUPLICATE else OVERLAPPING] += 1
        return False, 1, 0
    since, until = remember(book, k, first, last, time, linked)
    if anew and 0 < facts[WHOLE_FROM] <= facts[LOW] and facts[BLIND_COUNT] == 0:
        since, until = close_old(book)
    if facts[BLIND_COUNT] and k == used:
        since, until = judge(book, linked and used > 0, since, until)
    return True, since, until


@kernel
def note_outdated(book: Book, since: int, until: int) -> None:
    """What is known of a span has changed: where windows of it have left the ring, only history can say it anew."""
    facts = book.facts
    for c in range(len(book.spot)):
        if since <= until and book.spot[c, HEADER, CHAIN] and since < oldest(book, c):
            first = since - since % book.spot[c, HEADER, WIDTH]
            facts[OUTDATED_FROM] = min(facts[OUTDATED_FROM], first) if facts[OUTDATED_TO] else first
            facts[OUTDATED_TO] = max(facts[OUTDATED_TO], min(until, oldest(book, c)))


@kernel
def fold_row(book: Book, rows: Rows, row: int, out: Issue) -> None:
    """Fold one row of any kind."""
    fresh, since, until = admit(book, rows, row)
    if not fresh:
        return
    note_outdated(book, since, until)
    facts, time, old_low = book.facts, rows.timestamp_ms[row], book.facts[LOW]
    newest = book.ids[facts[USED] - 1, HI] == rows.trade_id[row]
    if newest and time < old_low:  # what was flat since then stood at another price
        note_outdated(book, time, old_low)
    facts[LOW] = max(old_low, time)
    widen(book, rows.price[row], rows.quantity[row])
    if facts[EVIDENCE] < 0:
        facts[EVIDENCE] = time
    for c in range(len(book.spot)):
        header = book.spot[c, HEADER]
        start = time - time % header[WIDTH]
        late = start + header[WIDTH] <= old_low
        changed_from, changed_to = take_late(book, c, rows, row) if late else (0, 1)
        if late and facts[WHOLE_FROM] and changed_from == 0 and (newest or until >= oldest(book, c)):
            carry_in(book, c, rows.price[row])
        review(book, c, changed_from, changed_to, since, until, out)
        advance(book, c, out)
        if not late:
            if not header[CHAIN]:
                open_window(book, c, start, rows.price[row])
            take(book, c, header[HEAD], rows, row)
    if facts[BLIND_COUNT]:
        settle(book)


@kernel
def fold(
    facts: Ints, ids: Ints, blinds: Ints, spot: Ints, money: Floats,
    trade_id: Ints, first_id: Ints, price: Floats, quantity: Floats, timestamp_ms: Ints,
    is_buyer_maker: NDArray[np.bool_],
    out_spot: Ints, out_money: Floats, row: int, low_ms: int, blind_from_ms: int, whole_from_ms: int,
) -> int:  # fmt: skip
    """Fold the rows from `row` on, then the frame's low; returns how many candles were issued since the state was read.

    A negative answer -1 - n: row n waits until there is room for `NEED` more candles; call again from there.
    `whole_from_ms` is not 0 where the rows are history, all there is from then up to `low_ms`.
    """
    book = Book(borrow(facts), borrow(ids), borrow(blinds), borrow(spot), borrow(money))
    maker = borrow(is_buyer_maker)
    rows = Rows(borrow(trade_id), borrow(first_id), borrow(price), borrow(quantity), borrow(timestamp_ms), maker)
    out = Issue(borrow(out_spot), borrow(out_money))
    count, room = len(trade_id), out_spot.shape[1]
    facts[WHOLE_FROM], facts[WHOLE_TO] = whole_from_ms, low_ms
    if blind_from_ms:
        observed_from = timestamp_ms[0] if count else low_ms
        go_blind(book, blind_from_ms, whole_from_ms if whole_from_ms else observed_from)
    if whole_from_ms and facts[EVIDENCE] < 0:
        facts[EVIDENCE] = whole_from_ms
    while True:
        stop, closes = run_from(book, rows, row)
        if stop > row:
            fold_run(book, rows, row, stop)
            row = stop
        ended = row == count
        low = max(facts[LOW], low_ms if ended else timestamp_ms[row])
        facts[NEED] = room_for(book, low)
        if facts[ISSUED] + facts[NEED] > room:
            return -1 - row
        if not ended and not closes:
            fold_row(book, rows, row, out)
            row += 1
            continue
        if ended and whole_from_ms:
            lifted_from, lifted_to = lift(book, whole_from_ms, low_ms)
            note_outdated(book, lifted_from, lifted_to - 1)
            if tells_old(book, whole_from_ms, low_ms):
                note_outdated(book, *close_old(book))
            for c in range(len(spot)):
                complete(book, c, whole_from_ms, low_ms)
                review(book, c, 0, 1, whole_from_ms, low_ms, out)
        facts[LOW] = low
        if facts[EVIDENCE] < 0 and low > 0:
            facts[EVIDENCE] = low
        for c in range(len(spot)):
            advance(book, c, out)
            if ended and whole_from_ms:
                reissue_stale(book, c, out)
        if ended:
            return int(facts[ISSUED])
