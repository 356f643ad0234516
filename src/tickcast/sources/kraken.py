"""Kraken spot: websocket v2, the arrays of v1, and REST pages of /0/public/Trades. `side` is the TAKER's on all.

    {"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1774.14,"qty":0.00147959,
     "ord_type":"limit","trade_id":64175815,"timestamp":"2026-07-07T23:00:04.585581Z"}]}
    [993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]                        (v1)
    {"error":[],"result":{"XBTUSDT":[["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208]],
     "last":"1762795433971744500"}}                                                                             (REST)

Ids are consecutive within a pair on v2 and REST. v1 sends none: `v1_trade_id` makes one of what it sends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from tickcast.sources.contract import Alive, Event, Quote, Trade
from tickcast.sources.decimals import (
    INT64_MAX,
    Id,
    Pair,
    Unreadable,
    guarded,
    not_negative,
    pair_name,
    positive,
    rfc3339_ms,
    seconds_us,
)

CHANNEL_NOISE = frozenset(("heartbeat", "status", "instrument", "ohlc", "level3"))
EVENT_NOISE = frozenset(("heartbeat", "systemStatus", "subscriptionStatus", "subscribe", "unsubscribe", "ping", "pong"))
V1_NOISE = frozenset(("book", "ohlc", "spread"))


def is_buyer_maker(side: str) -> bool:
    """Say it once for all of Kraken: `side` is the taker's, so a sell met a resting buyer.

    >>> is_buyer_maker("buy"), is_buyer_maker("s")
    (False, True)
    """
    return side in ("sell", "s")


def v1_trade_id(time_us: int, ordinal: int, content: bytes) -> int:
    """Make an id that is the same whenever the same trade is read, and grows with time: v1 has none of its own.

    52 bits of microseconds (enough until 2041), 4 of the place among the message's rows of that microsecond, 8 of
    the content's checksum. Ids made so are not consecutive.
    """
    made = (time_us << 12) | ((ordinal & 15) << 8) | (zlib.crc32(content) & 255)
    if made > INT64_MAX:
        raise Unreadable("time lies beyond what an id can hold")
    return made


class _Head(msgspec.Struct):
    channel: str = ""
    method: str = ""
    success: bool = True
    time_out: str = ""
    event: str = ""
    errorMessage: str = ""
    error: str | list[str] | None = None
    result: msgspec.Raw = msgspec.Raw()


class _Trade(msgspec.Struct):
    symbol: Pair
    side: Literal["buy", "sell"]
    price: float
    qty: float
    trade_id: Id
    timestamp: str


class _TradeMessage(msgspec.Struct):
    data: list[_Trade]


class _Ticker(msgspec.Struct):
    symbol: Pair
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    last: float
    timestamp: str = ""


class _TickerMessage(msgspec.Struct):
    data: list[_Ticker]


class _Book(msgspec.Struct):
    symbol: Pair
    timestamp: str = ""


class _BookMessage(msgspec.Struct):
    data: list[_Book]


class _RowV1(msgspec.Struct, array_like=True):
    price: str
    volume: str
    time: str
    side: Literal["b", "s"]
    type: str
    misc: str


class _TickerV1(msgspec.Struct):
    a: list[str | int]
    b: list[str | int]
    c: list[str | int]


class _RowRest(msgspec.Struct, array_like=True):
    price: str
    volume: str
    time: msgspec.Raw
    side: Literal["b", "s"]
    type: str
    misc: str
    trade_id: Id


_head = msgspec.json.Decoder(_Head)
_trades = msgspec.json.Decoder(_TradeMessage)
_tickers = msgspec.json.Decoder(_TickerMessage)
_books = msgspec.json.Decoder(_BookMessage)
_parts_v1 = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_rows_v1 = msgspec.json.Decoder(list[_RowV1])
_ticker_v1 = msgspec.json.Decoder(_TickerV1)
_result = msgspec.json.Decoder(dict[str, msgspec.Raw])
_page = msgspec.json.Decoder(list[_RowRest])


class Kraken:
    """What Kraken's messages say.

    >>> Kraken().map_message(b'{"channel":"heartbeat"}')
    ()
    """

    exchange = "kraken"

    def map_message(self, raw: bytes) -> Sequence[Event]:
        """What one message says; empty for known noise; WireError for the unreadable."""
        return guarded(self.exchange, _read, raw)


def _read(raw: bytes) -> Sequence[Event]:
    if raw[:1] == b"[":
        return _read_v1(raw)
    reader = _BY_START.get(raw[: raw.find(b",")])
    if reader is not None:
        return reader(raw)
    head = _head.decode(raw)
    if head.channel in CHANNEL_NOISE:
        return ()
    if head.channel:
        reader = _CHANNELS.get(head.channel)
        if reader is None:
            raise Unreadable(f"unknown channel {head.channel[:40]!r}")
        return reader(raw)
    if head.method:
        if not head.success:
            raise Unreadable(f"the venue refused to {head.method[:40]}: {head.error}")
        # The answer to our ping: all that was due before it has been sent, whatever the pair.
        return (Alive("", rfc3339_ms(head.time_out, "time_out")),) if head.method == "pong" and head.time_out else ()
    if head.event in EVENT_NOISE and not head.errorMessage:
        return ()
    if head.errorMessage or head.error:
        raise Unreadable(f"the venue says: {head.errorMessage or head.error}")
    if head.result:
        return _read_page(head.result)
    raise Unreadable(f"unknown event {head.event[:40]!r}")


def _read_trades(raw: bytes) -> Sequence[Event]:
    trades = [_map_trade(row) for row in _trades.decode(raw).data]
    if len(trades) > 1:
        trades.sort(key=lambda trade: trade.trade_id)
    return trades


def _read_tickers(raw: bytes) -> Sequence[Event]:
    return [_map_ticker(row) for row in _tickers.decode(raw).data]


def _read_books(raw: bytes) -> Sequence[Event]:
    """A heartbeat tells no time on this venue: in a quiet market it is the books that prove it."""
    rows = _books.decode(raw).data
    return [Alive(pair_name(row.symbol), rfc3339_ms(row.timestamp, "timestamp")) for row in rows if row.timestamp]


def _map_trade(row: _Trade) -> Trade:
    price, quantity = positive(row.price, "price"), positive(row.qty, "qty")
    ms, maker = rfc3339_ms(row.timestamp, "timestamp"), is_buyer_maker(row.side)
    return Trade(pair_name(row.symbol), row.trade_id, row.trade_id, price, quantity, ms, maker)


def _map_ticker(row: _Ticker) -> Quote:
    return Quote(
        pair_name(row.symbol),
        not_negative(row.bid, "bid"),
        not_negative(row.bid_qty, "bid_qty"),
        not_negative(row.ask, "ask"),
        not_negative(row.ask_qty, "ask_qty"),
        not_negative(row.last, "last"),
        rfc3339_ms(row.timestamp, "timestamp") if row.timestamp else 0,
    )


def _read_v1(raw: bytes) -> Sequence[Event]:
    """`[channelID, payload, name, pair]`; a book may come with two payloads."""
    parts = _parts_v1.decode(raw)
    if len(parts) < 4:
        raise Unreadable("an array of fewer than 4 parts")
    name, pair = _text.decode(parts[-2]), pair_name(_text.decode(parts[-1]))
    if name == "trade":
        return _map_v1_trades(pair, _rows_v1.decode(parts[1]))
    if name == "ticker":
        return (_map_v1_ticker(pair, _ticker_v1.decode(parts[1])),)
    if name.partition("-")[0] in V1_NOISE:  # book-1000, ohlc-5
        return ()
    raise Unreadable(f"unknown channel {name[:40]!r}")


def _map_v1_trades(pair: str, rows: list[_RowV1]) -> Sequence[Event]:
    seen: dict[int, int] = {}
    trades = []
    for row in rows:
        price, quantity = positive(row.price, "price"), positive(row.volume, "volume")
        us = seconds_us(row.time, "time")
        ordinal = seen.get(us, 0)
        seen[us] = ordinal + 1
        content = f"{row.price}|{row.volume}|{row.side}|{row.type}|{row.misc}".encode()
        made = v1_trade_id(us, ordinal, content)
        trades.append(Trade(pair, made, -1, price, quantity, us // 1000, is_buyer_maker(row.side)))
    if len(trades) > 1:
        trades.sort(key=lambda trade: trade.trade_id)
    return trades


def _map_v1_ticker(pair: str, wire: _TickerV1) -> Quote:
    if not (len(wire.a) >= 3 and len(wire.b) >= 3 and wire.c):
        raise Unreadable("a, b or c has too few parts")
    return Quote(
        pair,
        not_negative(wire.b[0], "b[0]"),
        not_negative(wire.b[2], "b[2]"),
        not_negative(wire.a[0], "a[0]"),
        not_negative(wire.a[2], "a[2]"),
        not_negative(wire.c[0], "c[0]"),
        0,
    )


def _read_page(result: msgspec.Raw) -> Sequence[Event]:
    """Read one page of REST trades; the pair is named as the venue names it in the answer."""
    found = [(pair, rows) for pair, rows in _result.decode(result).items() if pair != "last"]
    if len(found) != 1 or bytes(found[0][1])[:1] != b"[":
        raise Unreadable("a REST answer that is not a page of trades")
    pair = pair_name(found[0][0])
    trades = [
        Trade(
            pair,
            row.trade_id,
            row.trade_id,
            positive(row.price, "price"),
            positive(row.volume, "volume"),
            seconds_us(bytes(row.time).decode(), "time") // 1000,
            is_buyer_maker(row.side),
        )
        for row in _page.decode(found[0][1])
    ]
    trades.sort(key=lambda trade: trade.trade_id)
    return trades


_CHANNELS: dict[str, Callable[[bytes], Sequence[Event]]] = {
    "trade": _read_trades,
    "ticker": _read_tickers,
    "book": _read_books,
}
_BY_START = {b'{"channel":"%b"' % name.encode(): reader for name, reader in _CHANNELS.items()}
"""The same by the bytes with which the venue begins them; any other beginning is read as a whole first."""
