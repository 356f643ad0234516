"""What ccxt told us of an exchange: one dialect for all of them, written by `lines.py` and read here.

    {"ccxt":"trade","symbol":"BTC/USDT","id":"4418","price":"94100.1","amount":"0.0021","side":"buy",
     "timestamp":1736208000123}
    {"ccxt":"quote","symbol":"BTC/USDT","bid":"94100.1","bid_size":"0.5","ask":"94100.2","ask_size":"1.0","last":""}

`side` is the taker's. Ids of exchanges in general are numbers, long numbers, texts or hashes, and ccxt promises nothing
of them: they need not rise, and one trade may have two, by stream and by page. So our id is made of the trade's time
first, and of the exchange's id second: it rises with time wherever it was read. What is late is found by it, and what
comes twice. It is not consecutive: what is not there tells nothing, so nothing that comes later can lift a doubt.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from tickcast.sources.contract import TIME_MIN_MS, Event, Quote, Trade
from tickcast.sources.decimals import (
    INT64_MAX,
    Pair,
    Unreadable,
    checked_ms,
    guarded,
    not_negative,
    pair_name,
    positive,
)

ID_BITS = 23
"""What is left beside the milliseconds since 2009, enough until 2043."""
_ID_MASK = (1 << ID_BITS) - 1


class _Head(msgspec.Struct):
    ccxt: str = ""


class _Trade(msgspec.Struct):
    symbol: Pair
    price: str
    amount: str
    timestamp: int
    id: str = ""
    side: str = ""
    ordinal: int = 0


class _Quote(msgspec.Struct):
    symbol: Pair
    bid: str = ""
    bid_size: str = ""
    ask: str = ""
    ask_size: str = ""
    last: str = ""


_head = msgspec.json.Decoder(_Head)
_trade = msgspec.json.Decoder(_Trade)
_quote = msgspec.json.Decoder(_Quote)


class Ccxt:
    """What the lines of one exchange say; no library is needed to read them again.

    >>> Ccxt("okx").map_message(b'{"ccxt":"quote","symbol":"BTC/USDT","bid":"1","ask":"2"}')[0].ask
    2.0
    """

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange

    def map_message(self, raw: bytes) -> Sequence[Event]:
        """What one line says; WireError for the unreadable."""
        return guarded(self.exchange, _read, raw)


def made_id(timestamp_ms: int, venue_id: str) -> int:
    """An id that is the same whenever the same trade is read, and rises with time; Unreadable for no trade's time.

    Numbers keep their last digits, so that neighbours of one millisecond stay apart and in order.

    >>> made_id(1_736_208_000_123, "4418") < made_id(1_736_208_000_123, "4419") < made_id(1_736_208_000_124, "a-b")
    True
    """
    if venue_id.isascii() and venue_id.isdecimal() and len(venue_id) <= 64:
        low = int(venue_id)
    else:
        low = zlib.crc32(venue_id.encode())
    made = (checked_ms(timestamp_ms, "timestamp") - TIME_MIN_MS) << ID_BITS | low & _ID_MASK
    if made > INT64_MAX:
        raise Unreadable("timestamp lies beyond what an id can hold")
    return made


def content_id(price: str, amount: str, side: str, ordinal: int) -> str:
    """What stands for an id where the exchange has none; equal trades of one moment are told apart by their number."""
    return f"{price}|{amount}|{side}|{ordinal}"


def _read(raw: bytes) -> Sequence[Event]:
    kind = _head.decode(raw).ccxt
    if kind == "trade":
        return (_map_trade(_trade.decode(raw)),)
    if kind == "quote":
        return (_map_quote(_quote.decode(raw)),)
    raise Unreadable(f"unknown kind {kind[:40]!r} of line" if kind else "no mapper reads this exchange's messages")


def _map_trade(wire: _Trade) -> Trade:
    if wire.side not in ("buy", "sell", ""):
        raise Unreadable("side is neither buy nor sell")
    made = made_id(wire.timestamp, wire.id or content_id(wire.price, wire.amount, wire.side, wire.ordinal))
    price, quantity = positive(wire.price, "price"), positive(wire.amount, "amount")
    return Trade(pair_name(wire.symbol), made, -1, price, quantity, wire.timestamp, wire.side == "sell")


def _map_quote(wire: _Quote) -> Quote:
    """Without a time: ccxt fills in the machine's own clock where an exchange sends none."""
    return Quote(
        pair_name(wire.symbol),
        not_negative(wire.bid, "bid"),
        not_negative(wire.bid_size, "bid_size"),
        not_negative(wire.ask, "ask"),
        not_negative(wire.ask_size, "ask_size"),
        not_negative(wire.last, "last"),
        0,
    )
