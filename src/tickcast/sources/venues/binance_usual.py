"""Binance's usual messages as `Binance.hear` hears them, read by kernels; see `usual.py`.

The combined stream's layout, the stream's name and the symbol the same pair, plain numbers in their bounds.
"""

from __future__ import annotations

from tickcast.kernels import helper
from tickcast.sources.binance_scan import read_book_ticker, read_trade
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.decimals import ID_MAX
from tickcast.sources.scan_bytes import NAME_CHARS, after, byte_at, integer
from tickcast.sources.venues.told import NO_TRADE, Told


@helper
def _streamed(at: int, end: int) -> tuple[int, int, int]:
    """The pair that a stream's name begins with: (the symbol's bytes as two words, the place of the @)."""
    start, low, high = at, 0, 0
    if at == 0:
        return 0, 0, 0
    while at < end:
        char, nth = byte_at(at), at - start
        if 97 <= char <= 122:
            char -= 32
        elif not 48 <= char <= 57:
            break
        if nth >= NAME_CHARS:
            return 0, 0, 0
        if nth < 8:
            low |= char << (8 * nth)
        else:
            high |= char << (8 * (nth - 8))
        at += 1
    return low, high, at if at > start else 0


@helper
def read_message(at: int, end: int) -> Told:
    """One message."""
    low, high, name_end = _streamed(after(at, end, '{"stream":"'), end)
    first, last, time_ms, sent_ms = NO_TRADE, NO_TRADE, 0, 0
    data = after(name_end, end, '@aggTrade","data":{"e":"aggTrade","E":')
    if data:
        sent_ms, place = integer(data, end)
        fields, stop = read_trade(data, end, True)
        _, low_s, high_s, last, first, time_ms, _, _, _ = fields
        if place == 0 or not TIME_MIN_MS <= sent_ms <= TIME_MAX_MS or last > ID_MAX:
            stop = 0
    else:
        fields, stop = read_book_ticker(after(name_end, end, '@bookTicker","data":{"u":'), end)
        _, low_s, high_s, _, _, _, _, _, _ = fields
    stop = after(stop, end, "}}")
    if low != low_s or high != high_s:
        stop = 0
    return low, high, first, last, time_ms, sent_ms, -1, stop
