"""The windows of one candle length: they open, take trades, close, and are issued again when a late trade comes."""

from __future__ import annotations

import numpy as np

from tickcast.candles.gaps import broken
from tickcast.candles.layout import (
    BUY,
    BUY_REST,
    CHAIN,
    CLOSE,
    CLOSE_ID,
    CLOSE_TS,
    CLOSED,
    COUNT,
    DAMAGED,
    DAY_MS,
    EVIDENCE,
    HEAD,
    HEADER,
    HIGH,
    ISSUED,
    LATE,
    LOW,
    LOWEST,
    MONEY,
    OPEN,
    OPEN_ID,
    OPEN_TS,
    PARTIAL_FROM,
    PRICE_DIGITS,
    QUALITY,
    QUOTE,
    QUOTE_REST,
    RESTARTS,
    REVISION,
    RING,
    SELL_REST,
    SIZE_DIGITS,
    SLOTS,
    SPOT,
    STALE,
    START,
    TOO_LATE,
    UNWATCHED,
    WHOLE_FROM,
    WHOLE_TO,
    WIDTH,
    Book,
    Issue,
    Rows,
)
from tickcast.candles.sums import POWERS, add, fma, is_whole, units, value_of
from tickcast.events import COMPLETE, PARTIAL, REPAIRED
from tickcast.kernels import inline, kernel


@inline
def quality_now(book: Book, c: int, slot: int) -> int:
    """What the window would be labelled if it were issued now."""
    window = book.spot[c, slot]
    start = window[START]
    if window[DAMAGED] or broken(book, start, start + book.spot[c, HEADER, WIDTH]):
        return PARTIAL
    return COMPLETE if window[QUALITY] == COMPLETE else REPAIRED


@kernel
def issue(book: Book, c: int, slot: int, quality: int, out: Issue) -> None:
    """Write the window as a row, one revision further; the first whole one begins to count anew, above all others."""
    window, money = book.spot[c, slot], book.money[c, slot]
    window[REVISION] += 1
    if quality != PARTIAL:
        window[REVISION] = max(window[REVISION], 0)
    window[QUALITY], window[STALE] = quality, 0
    row, width = book.facts[ISSUED], book.spot[c, HEADER, WIDTH]
    out.spot[0, row], out.spot[1, row], out.spot[2, row] = width // 1000, window[START], window[START] + width
    out.spot[3, row], out.spot[4, row], out.spot[5, row] = window[COUNT], quality, window[REVISION]
    out.spot[6, row] = book.facts[LOW]
    for field in range(4):
        out.money[field, row] = money[OPEN + field]
    bought, sold = money[BUY], money[BUY + 1]
    volume = bought + sold
    back = volume - bought
    rest = (bought - (volume - back)) + (sold - back)
    price_digits, size_digits = book.facts[PRICE_DIGITS], book.facts[SIZE_DIGITS]
    power = POWERS[size_digits]
    out.money[4, row] = value_of(volume, rest + (money[BUY_REST] + money[SELL_REST]), power)
    out.money[5, row] = value_of(money[QUOTE], money[QUOTE_REST], POWERS[price_digits + size_digits])
    out.money[6, row] = value_of(bought, money[BUY_REST], power)
    book.facts[ISSUED] = row + 1


@inline
def open_window(book: Book, c: int, start: int, price: float) -> None:
    """Begin a window at the head of the ring; until a trade comes it is flat at `price`."""
    header = book.spot[c, HEADER]
    slot = header[HEAD]
    window, money = book.spot[c, slot], book.money[c, slot]
    for field in range(SPOT):
        window[field] = 0
    for field in range(MONEY):
        money[field] = 0.0
    window[START], window[REVISION] = start, PARTIAL_FROM - 1
    window[DAMAGED] = UNWATCHED if start < book.facts[EVIDENCE] else 0
    money[OPEN], money[HIGH], money[LOWEST], money[CLOSE] = price, price, price, price
    header[CHAIN] = 1


@kernel
def complete(book: Book, c: int, since: int, until: int) -> None:
    """History tells all of [since, until): a window in it whose beginning nobody watched lacks nothing any more."""
    header = book.spot[c, HEADER]
    for back in range(1, header[CLOSED] + 1):
        window = book.spot[c, (header[HEAD] - back) % SLOTS]
        if window[DAMAGED] == UNWATCHED and since <= window[START] and window[START] + header[WIDTH] <= until:
            window[DAMAGED] = 0


@inline
def close_window(book: Book, c: int, out: Issue) -> None:
    """Issue the open window and move the ring's head behind it."""
    header = book.spot[c, HEADER]
    slot = header[HEAD]
    issue(book, c, slot, quality_now(book, c, slot), out)
    header[HEAD] = (slot + 1) % SLOTS
    header[CLOSED] = min(header[CLOSED] + 1, RING)
    header[CHAIN] = 0


@inline
def quiet_windows(start: int, width: int, low: int) -> int:
    """How many windows beside the open one would end when time moves to `low`."""
    return max(0, (low - start) // width - 1)


@kernel
def reissue_stale(book: Book, c: int, out: Issue) -> None:
    """Issue, once each and oldest first, the closed windows that fetched history changed."""
    header = book.spot[c, HEADER]
    back = header[CLOSED]
    while back > 0:
        slot = (header[HEAD] - back) % SLOTS
        if book.spot[c, slot, STALE]:
            quality = quality_now(book, c, slot)
            issue(book, c, slot, REPAIRED if quality == COMPLETE else quality, out)
        back -= 1


@kernel
def advance(book: Book, c: int, out: Issue) -> None:
    """Close what ends at or before the low; flat windows fill at most a day, beyond it the chain starts anew."""
    width, low = book.spot[c, HEADER, WIDTH], book.facts[LOW]
    slot = book.spot[c, HEADER, HEAD]
    start, price = book.spot[c, slot, START], book.money[c, slot, CLOSE]
    if not book.spot[c, HEADER, CHAIN] or start + width > low:
        return
    if book.facts[WHOLE_FROM]:
        reissue_stale(book, c, out)  # before the ring forgets them
    ends_chain = quiet_windows(start, width, low) * width > DAY_MS
    while start + width <= low:
        close_window(book, c, out)
        if ends_chain:
            book.facts[RESTARTS] += 1
            return
        start += width
        open_window(book, c, start, price)


@kernel
def take(book: Book, c: int, slot: int, rows: Rows, row: int) -> None:
    """Fold one trade into a window; open and close are those of the least and greatest (time, id)."""
    window, money = book.spot[c, slot], book.money[c, slot]
    price, quantity = rows.price[row], rows.quantity[row]
    time, number = rows.timestamp_ms[row], rows.trade_id[row]
    first = window[COUNT] == 0
    if first:
        money[HIGH], money[LOWEST] = price, price
    money[HIGH] = max(money[HIGH], price)
    money[LOWEST] = min(money[LOWEST], price)
    if first or time < window[OPEN_TS] or (time == window[OPEN_TS] and number < window[OPEN_ID]):
        money[OPEN], window[OPEN_TS], window[OPEN_ID] = price, time, number
    if first or time > window[CLOSE_TS] or (time == window[CLOSE_TS] and number > window[CLOSE_ID]):
        money[CLOSE], window[CLOSE_TS], window[CLOSE_ID] = price, time, number
    side = 1 if rows.is_buyer_maker[row] else 0
    price_units, price_rest = units(price, book.facts[PRICE_DIGITS])
    size_units, size_rest = units(quantity, book.facts[SIZE_DIGITS])
    add(money, BUY + side, BUY_REST + side, size_units, size_rest)
    paid = price_units * size_units
    paid_rest = fma(price_units, size_units, -paid) + (price_units * size_rest + price_rest * size_units)
    add(money, QUOTE, QUOTE_REST, paid, paid_rest)
    window[COUNT] += max(1, number - rows.first_id[row] + 1) if rows.first_id[row] >= 0 else 1


@inline
def take_run(book: Book, c: int, rows: Rows, start: int, stop: int) -> bool:
    """Fold trades in order, all of the open window: the hot loop. False: one has more decimals, and none is folded."""
    price_power, size_power = POWERS[book.facts[PRICE_DIGITS]], POWERS[book.facts[SIZE_DIGITS]]
    header = book.spot[c, HEADER]
    window, money = book.spot[c, header[HEAD]], book.money[c, header[HEAD]]
    price, quantity, is_buyer_maker = rows.price, rows.quantity, rows.is_buyer_maker
    empty, final, whole = window[COUNT] == 0, stop - 1, True
    high = price[start] if empty else money[HIGH]
    lowest = price[start] if empty else money[LOWEST]
    quote, quote_rest = money[QUOTE], money[QUOTE_REST]
    buy, buy_rest, sell, sell_rest = money[BUY], money[BUY_REST], money[BUY + 1], money[SELL_REST]
    for row in range(start, stop):
        high = max(price[row], high)
        lowest = min(price[row], lowest)
        p, q = np.rint(price[row] * price_power), np.rint(quantity[row] * size_power)
        whole &= is_whole(price[row], price_power) & is_whole(quantity[row], size_power)
        side = 1 if is_buyer_maker[row] else 0
        add(money, BUY + side, BUY_REST + side, q, 0.0)
        paid = p * q
        new = quote + paid
        back = new - quote
        quote_rest += ((quote - (new - back)) + (paid - back)) + fma(p, q, -paid)
        quote = new
    if not whole:
        money[BUY], money[BUY_REST], money[BUY + 1], money[SELL_REST] = buy, buy_rest, sell, sell_rest
        return False
    if empty:
        money[OPEN], window[OPEN_TS], window[OPEN_ID] = price[start], rows.timestamp_ms[start], rows.trade_id[start]
    money[HIGH], money[LOWEST], money[QUOTE], money[QUOTE_REST] = high, lowest, quote, quote_rest
    money[CLOSE], window[CLOSE_TS], window[CLOSE_ID] = price[final], rows.timestamp_ms[final], rows.trade_id[final]
    window[COUNT] += rows.trade_id[final] - rows.first_id[start] + 1 if rows.first_id[start] >= 0 else stop - start
    return True


@kernel
def take_late(book: Book, c: int, rows: Rows, row: int) -> tuple[int, int]:
    """Fold a trade into its closed window and carry a new close into the flat windows after it.

    Returns how far back in the ring the changed windows begin and end (0, 1: nothing changed).
    """
    header = book.spot[c, HEADER]
    width, head = header[WIDTH], header[HEAD]
    start = rows.timestamp_ms[row] - rows.timestamp_ms[row] % width
    back = 1
    while back <= header[CLOSED] and book.spot[c, (head - back) % SLOTS, START] != start:
        back += 1
    if back > header[CLOSED]:
        rebuilt = book.facts[WHOLE_FROM] and book.facts[WHOLE_FROM] <= start and start + width <= book.facts[WHOLE_TO]
        if not rebuilt:
            book.facts[TOO_LATE] += 1
        return 0, 1
    book.facts[LATE] += 1
    take(book, c, (head - back) % SLOTS, rows, row)
    close = book.money[c, (head - back) % SLOTS, CLOSE]
    until = back
    while until > 0:
        start += width
        slot = (head - until + 1) % SLOTS
        if (until == 1 and not header[CHAIN]) or book.spot[c, slot, START] != start:
            break
        money = book.money[c, slot]
        if book.spot[c, slot, COUNT] or money[CLOSE] == close:
            break
        money[OPEN], money[HIGH], money[LOWEST], money[CLOSE] = close, close, close, close
        until -= 1
    return back, max(until, 1)


@inline
def oldest(book: Book, c: int) -> int:
    """Where the oldest window of the ring starts."""
    header = book.spot[c, HEADER]
    return int(book.spot[c, (header[HEAD] - header[CLOSED]) % SLOTS, START])


@kernel
def carry_in(book: Book, c: int, price: float) -> None:
    """A trade from before the ring, and the last before it: the flat windows that the ring begins with stand at it."""
    header = book.spot[c, HEADER]
    back, least = header[CLOSED], 0 if header[CHAIN] else 1
    while back >= least:
        slot = (header[HEAD] - back) % SLOTS
        money = book.money[c, slot]
        if book.spot[c, slot, COUNT] or money[CLOSE] == price:
            break
        money[OPEN], money[HIGH], money[LOWEST], money[CLOSE] = price, price, price, price
        book.spot[c, slot, STALE] = back > 0
        back -= 1


@kernel
def review(book: Book, c: int, changed_from: int, changed_to: int, since: int, until: int, out: Issue) -> None:
    """Issue again the closed windows that changed, and those in the span whose quality is another now; oldest first.

    While history is folded in they are only marked, and issued once when all of it has come.
    """
    header = book.spot[c, HEADER]
    width, head = header[WIDTH], header[HEAD]
    back = changed_from
    if since <= until:
        while back < header[CLOSED] and book.spot[c, (head - back - 1) % SLOTS, START] + width > since:
            back += 1
    while back > 0:
        slot = (head - back) % SLOTS
        quality = quality_now(book, c, slot)
        if changed_to <= back <= changed_from or quality != book.spot[c, slot, QUALITY]:
            if book.facts[WHOLE_FROM]:
                book.spot[c, slot, STALE] = 1
            else:
                issue(book, c, slot, quality, out)
        back -= 1
