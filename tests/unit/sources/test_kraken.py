"""Kraken's three dialects, on captured traffic of 2021, 2025 and 2026."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.sources.captured import KRAKEN_PAGE, KRAKEN_V1, KRAKEN_V2, raws
from tickcast.errors import WireError
from tickcast.sources.contract import Alive, Event, Quote, Trade
from tickcast.sources.kraken import Kraken, v1_trade_id

# flashbook_live-btc-eth_20260707_part1.ndjson
TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1774.14,"qty":0.00147959,'
    b'"ord_type":"limit","trade_id":64175815,"timestamp":"2026-07-07T23:00:04.585581Z"}]}'
)
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[],"asks":[{"price":1774.14,'
    b'"qty":2.00130641}],"checksum":3356266482,"timestamp":"2026-07-07T23:00:03.977459Z"}]}'
)
# cryptofeed_KRAKEN.ws_{trade,ticker}_20210417.txt
TRADE_V1 = b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]'
TICKER_V1 = (
    b'[1668,{"a":["13.253900",35,"35.72892241"],"b":["13.232900",185,"185.18432037"],"c":["13.253900","3.71672000"],'
    b'"v":["26560.85364463","72035.05488104"],"t":[640,1353]},"ticker","WAVES/EUR"]'
)


def says(raw: bytes) -> list[Event]:
    return list(Kraken().map_message(raw))


def trades(raw: bytes) -> list[Trade]:
    return [event for event in says(raw) if isinstance(event, Trade)]


def reason(raw: bytes) -> str:
    with pytest.raises(WireError) as caught:
        Kraken().map_message(raw)
    return caught.value.what


def test_a_v2_trade_has_its_takers_side() -> None:
    assert [Trade("ETH/USD", 64175815, 64175815, 1774.14, 0.00147959, 1783465204585, False)] == says(TRADE)
    assert [True] == [trade.is_buyer_maker for trade in trades(TRADE.replace(b'"buy"', b'"sell"'))]


def test_several_trades_of_one_message_leave_in_the_order_of_their_ids() -> None:
    rows = b",".join(TRADE.partition(b'"data":[')[2][:-2].replace(b"64175815", b"%d" % n) for n in (9, 7, 8))

    assert [7, 8, 9] == [trade.trade_id for trade in trades(b'{"channel":"trade","data":[%b]}' % rows)]


def test_prices_are_json_numbers_and_lose_no_digit() -> None:
    assert [0.1 + 0.2] == [trade.price for trade in trades(TRADE.replace(b"1774.14", b"0.30000000000000004"))]
    assert [5.1e-05] == [trade.quantity for trade in trades(TRADE.replace(b"0.00147959", b"0.00005100"))]
    assert [63487.0] == [trade.price for trade in trades(TRADE.replace(b"1774.14", b"63487"))]


def test_a_v2_ticker_is_a_quote_with_the_last_price_and_a_time_only_if_sent() -> None:
    fields = '"symbol":"BTC/USD","bid":10.5,"bid_qty":1.0,"ask":10.75,"ask_qty":2.0,"last":10.6,"volume":5.0'
    old = f'{{"channel":"ticker","type":"snapshot","data":[{{{fields}}}]}}'.encode()
    new = old.replace(b'"volume"', b'"timestamp":"2026-07-07T23:00:04.585581Z","volume"')

    assert [Quote("BTC/USD", 10.5, 1.0, 10.75, 2.0, 10.6, 0)] == says(old)
    assert [1783465204585] == [event.timestamp_ms for event in says(new)]


def test_books_and_pongs_prove_the_time_because_heartbeats_do_not() -> None:
    pong = b'{"method":"pong","req_id":1,"time_in":"2026-07-07T23:00:03.5Z","time_out":"2026-07-07T23:00:03.501553Z"}'

    assert [] == says(b'{"channel":"heartbeat"}')
    assert [Alive("ETH/USD", 1783465203977)] == says(BOOK)
    assert [Alive("", 1783465203501)] == says(pong)


def test_a_v1_trade_gets_an_id_that_is_the_same_whenever_it_is_read() -> None:
    (trade,) = trades(TRADE_V1)

    assert ("XMR/USD", -1, 354.11, 0.89594024, 1618678142557, True) == (
        trade.pair, trade.first_id, trade.price, trade.quantity, trade.timestamp_ms, trade.is_buyer_maker,
    )  # fmt: skip
    assert trade.trade_id >> 12 == 1618678142557535
    assert [trade] == says(TRADE_V1)


def test_made_ids_grow_with_time_and_tell_neighbours_of_one_microsecond_apart() -> None:
    rows = [("1.0", "5.000001"), ("1.0", "5.000001"), ("2.0", "5.000000"), ("3.0", "5.000002")]
    text = ",".join(f'["{price}","1.0","161867814{time}","b","l",""]' for price, time in rows)
    found = trades(f'[1,[{text}],"trade","XBT/USD"]'.encode())

    assert [2.0, 1.0, 1.0, 3.0] == [trade.price for trade in found]
    assert 4 == len({trade.trade_id for trade in found})
    assert sorted(trade.trade_id for trade in found) == [trade.trade_id for trade in found]


def test_made_ids_fit_until_2041_and_are_refused_after() -> None:
    assert v1_trade_id(2_240_000_000_000_000, 15, b"x") < 2**63
    assert "time lies beyond what an id can hold" == reason(TRADE_V1.replace(b"1618678142", b"2618678142"))


def test_a_v1_ticker_is_a_quote_without_a_time() -> None:
    assert [Quote("WAVES/EUR", 13.2329, 185.18432037, 13.2539, 35.72892241, 13.2539, 0)] == says(TICKER_V1)


def test_a_rest_page_reads_whole_with_consecutive_ids_in_their_order(shared_data: Path) -> None:
    (page,) = raws(shared_data / KRAKEN_PAGE)
    found = trades(page)

    assert list(range(10218208, 10219208)) == [trade.trade_id for trade in found]
    assert {"XBTUSDT"} == {trade.pair for trade in found}
    assert Trade("XBTUSDT", 10218208, 10218208, 105433.6, 0.00027625, 1762795433971, False) == found[0]


def test_float_times_of_rest_pages_are_cut_to_the_millisecond_by_their_digits(shared_data: Path) -> None:
    """`1762820035.9822779` times 1000 is a float; its digits are exact, and agree with the page's nanosecond cursor."""
    (page,) = raws(shared_data / KRAKEN_PAGE)
    body = json.loads(page, parse_float=Decimal)["result"]
    found = trades(page)

    assert [int(row[2] * 1000) for row in body["XBTUSDT"]] == [trade.timestamp_ms for trade in found]
    assert int(body["last"]) // 1_000_000 == found[-1].timestamp_ms
    edge = b'{"error":[],"result":{"X":[["1.0","1.0",1762795433.001,"b","l","",1]],"last":"1"}}'
    assert [1762795433001] == [trade.timestamp_ms for trade in trades(edge)]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"channel":"status","type":"update","data":[{"system":"online"}]}',
        b'{"method":"subscribe","result":{"channel":"book"},"success":true,"time_in":"2026-07-07T23:00:03.501510Z"}',
        b'{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[]}}',
        b'{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD"}]}',
        b'{"event":"heartbeat"}',
        b'{"connectionID":17843232920108168701,"event":"systemStatus","status":"online","version":"1.8.3"}',
        b'{"channelID":1664,"event":"subscriptionStatus","pair":"WAVES/EUR","status":"subscribed"}',
        b'[1920,{"a":[["0.042990","364630.2","1618678145.920470"]]},{"b":[],"c":"4105471083"},"book-1000","SC/EUR"]',
        b'[0,["5698.4","5700.0","1542057299.545897","1.01","0.98"],"spread","XBT/USD"]',
        b'[42,["1542057314.748","1542057360.435","3586.7"],"ohlc-5","XBT/USD"]',
    ],
)
def test_known_noise_is_empty_and_not_quarantined(raw: bytes) -> None:
    assert [] == says(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (TRADE.replace(b"1774.14", b"-1774.14"), "price is not a positive, finite number"),
        (TRADE.replace(b"1774.14", b"1e999"), "Number out of range - at `$.data[...].price`"),
        (TRADE.replace(b"1774.14", b'"1774.14"'), "Expected `float`, got `str` - at `$.data[...].price`"),
        (TRADE.replace(b"64175815", b"6417581.5"), "Expected `int`, got `float` - at `$.data[...].trade_id`"),
        (TRADE.replace(b'"qty"', b'"quantity"'), "Object missing required field `qty` - at `$.data[...]`"),
        (TRADE.replace(b'"buy"', b'"b"'), "Invalid enum value 'b' - at `$.data[...].side`"),
        (TRADE[:-5], "is not JSON"),
        (TRADE_V1.replace(b"1618678142.557535", b"1618678142557"),
         "time is not a time in seconds"),
        (TRADE_V1.replace(b'"s"', b'"sell"'), "Invalid enum value 'sell' - at `$[...][...]`"),
        (TRADE_V1.replace(b'"trade"', b'"trades"'), "unknown channel 'trades'"),
        (b'{"channel":"trades"}', "unknown channel 'trades'"),
        (b'{"method":"subscribe","success":false,"error":"Currency pair not supported"}',
         "the venue refused to subscribe: Currency pair not supported"),
        (b'{"event":"subscriptionStatus","status":"error","errorMessage":"Currency pair not in ISO 4217-A3 format"}',
         "the venue says: Currency pair not in ISO 4217-A3 format"),
        (b'{"error":["EAPI:Rate limit exceeded"]}', "the venue says: ['EAPI:Rate limit exceeded']"),
        (b'{"error":[],"result":{"XXBTZUSD":{"asks":[]}}}', "a REST answer that is not a page of trades"),
    ],
)  # fmt: skip
def test_what_can_not_be_true_is_refused_and_the_reason_names_the_field(raw: bytes, expected: str) -> None:
    assert expected == reason(raw)


@pytest.mark.parametrize("kind", ["trade", "ticker", "book1000"])
def test_all_v1_captures_read_without_a_reject(shared_data: Path, kind: str) -> None:
    events = [event for raw in raws(shared_data / KRAKEN_V1.format(kind)) for event in says(raw)]

    assert {"trade": 10, "ticker": 18, "book1000": 0}[kind] == len(events)


def test_the_v2_captures_read_without_a_reject(shared_data: Path) -> None:
    events = [event for raw in raws(shared_data / KRAKEN_V2) for event in says(raw)]
    (frame,) = raws(shared_data / "captures/kraken_ws_v2/xchange_trade_20250909.json")

    assert (13, 1477) == tuple(sum(type(event) is kind for event in events) for kind in (Trade, Alive))
    assert [111399.1] == [trade.price for trade in trades(frame)]
