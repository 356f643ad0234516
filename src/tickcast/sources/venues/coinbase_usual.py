"""Coinbase Advanced's usual messages as `Coinbase.hear` hears them, read by kernels; see `usual.py`.

Updates of one event: trades of one pair whose ids follow each other, newest or oldest first, or one ticker.
"""

from __future__ import annotations

from tickcast.kernels import helper
from tickcast.sources.coinbase_scan import read_head, read_ticker, read_trade
from tickcast.sources.scan_bytes import after, byte_at
from tickcast.sources.venues.told import NO_TRADE, Told

_COMMA = ord(",")


@helper
def read_message(at: int, end: int) -> Told:
    """One message."""
    trades, snapshot, sent_ms, sequence, at = read_head(at, end)
    if snapshot:
        at = 0
    if not trades:
        low, high, _, _, at = read_ticker(at, end)
        return low, high, NO_TRADE, NO_TRADE, 0, sent_ms, sequence, after(at, end, "]}]}")
    low, high, first, last_ms, _, _, _, at = read_trade(at, end)
    last = before = first
    while at != 0 and at < end and byte_at(at) == _COMMA:
        low_n, high_n, number, ms, _, _, _, at = read_trade(at + 1, end)
        if low_n != low or high_n != high or (number != before + 1 and number != before - 1):
            at = 0  # of another pair, or with a hole
        before = number
        first, last, last_ms = min(first, number), max(last, number), max(last_ms, ms)
    return low, high, first, last, last_ms, sent_ms, sequence, after(at, end, "]}]}")
