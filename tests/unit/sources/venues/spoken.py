"""What venues say, a message of each kind, and a judge of whether `hear` and a mapper agree; for the tests beside."""

from __future__ import annotations

import random

from tickcast.errors import WireError
from tickcast.sources.contract import Alive, Mapper, Quote, Trade
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.coinbase import Coinbase
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
    PROOF,
    QUOTE,
    REFUSED,
    SHUTDOWN,
    TRADES,
    UNREADABLE,
    Heard,
    Venue,
)
from tickcast.sources.venues.kraken import Kraken

# cryptofeed_BINANCE.ws_20210814.txt and hftbacktest_btcusdt_spot_20240808.gz, combined as the live road has them
AGGREGATE = (
    b'{"stream":"ftmusdt@aggTrade","data":{"e":"aggTrade","E":1628952396573,"s":"FTMUSDT","a":31718372,"p":"0.33993000",'
    b'"q":"99.90000000","f":38248908,"l":38248910,"T":1628952396572,"m":true,"M":true}}'
)
BOOK_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",'
    b'"a":"61837.64000000","A":"1.54698000"}}'
)
KNOWN_QUOTE = BOOK_TICKER[: BOOK_TICKER.index(b'":500')]
BINANCE = [
    AGGREGATE,
    BOOK_TICKER,
    AGGREGATE.replace(b'"0.33993000"', b'"0"').replace(b'"99.90000000"', b'"0"').replace(b"38248908", b"-1")
    .replace(b"38248910", b"-1"),
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}',
    '{"stream":"币安人生usdt@aggTrade","data":{"e":"aggTrade","E":1628952396573,"s":"币安人生USDT","a":1,"p":"0.3","q":"9.9",'
    '"f":8,"l":9,"T":1628952396572,"m":true,"M":true}}'.encode(),
    b'{"e":"depthUpdate","E":1618677372122,"s":"BUSDTRY","U":10166139,"u":10166139,"b":[],"a":[]}',
    b'{"e":"serverShutdown","E":1770123456789}',
    b'{"stream":"!all","data":{"e":"serverShutdown","E":1770123456789}}',
    b'{"result":null,"id":1}',
    b'{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":1}',
    b'{"code":0,"msg":"Value not in range"}',
]  # fmt: skip
# coinbase_advanced_ws, 2026; the snapshot's shape is the documentation's
MARKET_TRADES = (
    b'{"channel":"market_trades","timestamp":"2026-09-30T02:39:56.25330544Z","sequence_num":115,"events":[{"type":'
    b'"update","trades":[{"product_id":"ETH-USD","trade_id":"846155152","price":"2666.64","size":"0.00007427","time":'
    b'"2026-09-30T02:39:56.164307Z","side":"SELL"}]}]}'
)
SNAPSHOT = (
    b'{"channel":"market_trades","client_id":"","timestamp":"2026-09-30T02:39:50.25Z","sequence_num":2,"events":[{"type":'
    b'"snapshot","trades":[{"product_id":"ETH-USD","trade_id":"9","price":"2.5","size":"1","time":'
    b'"2026-09-30T02:39:49.9Z","side":"BUY"},{"product_id":"BTC-USD","trade_id":"71","price":"7","size":"1","time":'
    b'"2026-09-30T02:39:48Z","side":"SELL"},{"product_id":"ETH-USD","trade_id":"8","price":"2.4","size":"1","time":'
    b'"2026-09-30T02:39:47.123456Z","side":"SELL"},{"product_id":"ETH-USD","trade_id":"6","price":"2.4","size":"1",'
    b'"time":"2026-09-30T02:39:46Z","side":"SELL"}]}]}'
)
TICKER = (
    b'{"channel":"ticker","timestamp":"2026-06-14T05:35:45.435813533Z","sequence_num":16,"events":[{"type":"update",'
    b'"tickers":[{"type":"ticker","product_id":"BTC-USD","price":"64281.7","volume_24_h":"3974.98800786","best_bid":'
    b'"64281.7","best_ask":"64281.71","best_bid_quantity":"0.21558849","best_ask_quantity":"0.02287045"}]}]}'
)
TICKERS = TICKER.replace(b"}]}]}", b"},") + TICKER[TICKER.index(b'{"type":"ticker"') :].replace(b"BTC-USD", b"ETH-USD")
HEARTBEATS = (
    b'{"channel":"heartbeats","timestamp":"2026-09-30T02:39:56.168979506Z","sequence_num":112,"events":[{"current_time":'
    b'"2026-09-30 02:39:56.167686736 +0000 UTC m=+12242.233881028","heartbeat_counter":12242}]}'
)
COINBASE = [
    MARKET_TRADES,
    SNAPSHOT,
    TICKER,
    TICKERS,
    HEARTBEATS,
    b'{"channel":"subscriptions","timestamp":"2026-06-14T05:35:45.540672514Z","sequence_num":17,"events":[{"subscriptions"'
    b':{"ticker":["BTC-USD"]}}]}',
    b'{"channel":"l2_data","timestamp":"2026-09-30T02:39:56.012931186Z","sequence_num":105,"events":[{"type":"update",'
    b'"product_id":"ETH-USD","updates":[{"side":"bid","event_time":"2026-09-30T02:39:55.93721Z","price_level":"2666.54",'
    b'"new_quantity":"0"}]}]}',
    b'{"channel":"market_trades","timestamp":"2026-09-30T02:39:56Z","sequence_num":3,"events":[{"type":"snapshot",'
    b'"trades":[]}]}',
    b'{"type":"error","message":"failure to subscribe","reason":"BTC-USDX is not a valid product"}',
]  # fmt: skip
# flashbook_live-btc-eth_20260707_part1.ndjson; ticker, pong and refusal as the venue's documentation has them
KRAKEN_TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"sell","price":1774.13,"qty":0.13466847,'
    b'"ord_type":"limit","trade_id":64175816,"timestamp":"2026-07-07T23:00:05.637989Z"},{"symbol":"ETH/USD","side":"sell",'
    b'"price":1774.13,"qty":0.99842733,"ord_type":"limit","trade_id":64175817,"timestamp":"2026-07-07T23:00:05.638989Z"}]}'
)
KRAKEN_TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,"ask":0.10036,'
    b'"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285,'
    b'"change":-0.00017,"change_pct":-0.17,"timestamp":"2026-07-07T23:00:04.585581Z"}]}'
)
PONG = b'{"method":"pong","req_id":7,"time_in":"2026-07-07T23:00:03.501510Z","time_out":"2026-07-07T23:00:03.501553Z"}'
SUBSCRIBED = (
    b'{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true,'
    b'"time_in":"2026-07-07T23:00:03.515033Z","time_out":"2026-07-07T23:00:03.515064Z"}'
)
NOT_SUBSCRIBED = (
    b'{"error":"Currency pair not supported BTC/USDX","method":"subscribe","success":false,"symbol":"BTC/USDX",'
    b'"time_in":"2026-07-07T23:00:03.501510Z","time_out":"2026-07-07T23:00:03.501553Z"}'
)
STATUS = (
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
    b'"connection_id":4421894013101914413}]}'
)
KRAKEN = [
    KRAKEN_TRADE,
    KRAKEN_TRADE.replace(b'"update"', b'"snapshot"').replace(b"64175816", b"64175811"),
    KRAKEN_TICKER,
    KRAKEN_TICKER[:-2] + b"," + KRAKEN_TICKER[KRAKEN_TICKER.index(b'{"symbol"') :].replace(b"ALGO", b"ADA"),
    PONG,
    SUBSCRIBED,
    SUBSCRIBED.replace(b'"subscribe"', b'"unsubscribe"'),
    NOT_SUBSCRIBED,
    STATUS,
    b'{"channel":"heartbeat"}',
    b'{"channel":"trade","type":"snapshot","data":[]}',
]


def venues() -> dict[str, Venue]:
    """Fresh ones, of which Binance knows how the messages of its two pairs begin."""
    binance = Binance()
    for raw in (AGGREGATE, BOOK_TICKER):
        binance.hear(raw)
    return {"binance": binance, "coinbase": Coinbase(), "kraken": Kraken()}


def agreed(venue: Venue, mapper: Mapper, raw: bytes) -> Heard:
    """Hear a message, twice (the second time it may be known), and hold the answer to the mapper's events.

    One thing may differ: a quote may be one that the mapper refuses, for its prices are not looked at. Of Binance's
    bookTickers nothing is, once it is known how a pair's begin.
    """
    first, heard = venue.hear(raw), venue.hear(raw)
    assert first == heard, raw
    try:
        events = mapper.map_message(raw)
    except WireError:
        assert heard.kind in (UNREADABLE, REFUSED, QUOTE), raw
        assert heard.kind == QUOTE or (heard.spans, heard.sequence) == ((), -1), raw
        return heard
    assert kind_of(events, heard) == heard.kind, raw
    if heard.kind == QUOTE and raw.startswith(KNOWN_QUOTE):
        return heard
    if heard.kind == QUOTE:
        pairs = list(dict.fromkeys(event.pair for event in events))
        assert (pairs[0], pairs if len(pairs) > 1 else []) == (heard.pair, [span.pair for span in heard.spans]), raw
        return heard
    trades = [event for event in events if isinstance(event, Trade)]
    assert ids_of(trades) == ids_told(heard), raw
    times = {pair: [trade.timestamp_ms for trade in trades if trade.pair == pair] for pair in ids_told(heard)}
    told = {pair: [span for span in heard.spans if span.pair == pair] for pair in times}
    for pair, spans in told.items():
        assert (min(times[pair]), max(times[pair])) == (
            min(span.first_ms for span in spans),
            max(span.last_ms for span in spans),
        ), raw
    return heard


def kind_of(events: object, heard: Heard) -> int:
    """The kind that a mapper's events call for; without market data the venue's own words decide."""
    assert isinstance(events, list | tuple)
    if any(isinstance(event, Trade) for event in events):
        return TRADES
    if any(isinstance(event, Quote) for event in events):
        return QUOTE
    if any(isinstance(event, Alive) and not event.pair for event in events):
        return PROOF
    return heard.kind if heard.kind in (NOISE, ANSWER, SHUTDOWN) else NOISE


def ids_of(events: list[Trade]) -> dict[str, set[int]]:
    """By pair, every id that trades cover; -1 where ids are not consecutive."""
    found: dict[str, set[int]] = {}
    for event in events:
        ids = range(event.first_id, event.trade_id + 1) if event.first_id >= 0 else (-1,)
        found.setdefault(event.pair, set()).update(ids)
    return found


def ids_told(heard: Heard) -> dict[str, set[int]]:
    """By pair, every id that the spans cover."""
    found: dict[str, set[int]] = {}
    for span in heard.spans:
        ids = set(range(span.first_id, span.last_id + 1)) if span.first_id >= 0 else {-1}
        assert not found.setdefault(span.pair, set()) & ids, "two spans of a pair never overlap"
        assert span.first_id < 0 or span.first_id - 1 not in found[span.pair], "two spans that touch are one"
        found[span.pair] |= ids
    return found


def wounded(chance: random.Random, raw: bytes) -> bytes:
    """A small wound: bytes changed, cut out or put in, numbers replaced, fields swapped, the end torn off."""
    at = chance.randrange(len(raw) + 1)
    match chance.randrange(7):
        case 0:
            return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
        case 1:
            return raw[:at] + raw[at + chance.randrange(1, 4) :]
        case 2:
            return (
                raw[:at]
                + chance.choice([b" ", b"\\", b'"', b"_", b"-", b"\xd9\xa1", b"\\u0661", b"}", b"]"])
                + raw[at:]
            )
        case 3:
            return raw[:at]
        case 4:
            to = chance.randrange(len(raw))
            return raw[:at] + raw[to : to + chance.randrange(60)] + raw[at:]
        case 5:
            parts = raw.split(b",")
            one, two = chance.randrange(len(parts)), chance.randrange(len(parts))
            parts[one], parts[two] = parts[two], parts[one]
            return b",".join(parts)
        case _:
            digits = [place for place, byte in enumerate(raw) if 48 <= byte <= 57] or [0]
            where = chance.choice(digits)
            put = chance.choice([b"0", b"9", b"-1", b"99999999999999999999", b"", b"e9", b"nan", b"1_0", b"."])
            return raw[:where] + put + raw[where + 1 :]
