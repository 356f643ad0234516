"""Coinbase's two dialects, on captured traffic of 2021 and 2026."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sources.captured import COINBASE_2021, COINBASE_2026, COINBASE_ADVANCED, COINBASE_TICKER, raws
from tickcast.errors import WireError
from tickcast.sources.coinbase import Coinbase
from tickcast.sources.contract import Alive, Quote, Trade
from tickcast.sources.decimals import go_time_ms, rfc3339_ms

# flashbook_live-btc-eth_20260707_part1.ndjson
MATCH = (
    b'{"type":"match","trade_id":1052119289,"maker_order_id":"15bc13f2-e38c-4693-8c0b-e8c6152b9c1d",'
    b'"taker_order_id":"13d7d08f-7396-421b-9dba-94eac92f3d78","side":"sell","size":"0.2","price":"63514.6",'
    b'"product_id":"BTC-USD","sequence":132235026010,"time":"2026-07-07T22:58:17.164892Z"}'
)
HEARTBEAT = (
    b'{"type":"heartbeat","last_trade_id":1052119293,"product_id":"BTC-USD","sequence":132235026653,'
    b'"time":"2026-07-07T22:58:18.000000Z"}'
)
# cryptofeed_COINBASE.ws_20210417_part1.txt
TICKER = (
    b'{"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647",'
    b'"best_bid":"14.7550","best_ask":"14.8060","side":"buy","time":"2021-04-17T16:43:30.244075Z",'
    b'"trade_id":881613,"last_size":"0.04"}'
)


def advanced(channel: str, events: str) -> bytes:
    """An envelope of Advanced Trade, made after its documentation."""
    head = f'{{"channel":"{channel}","timestamp":"2026-09-30T02:39:56.25330544Z","sequence_num":115,'
    return f'{head}"events":[{events}]}}'.encode()


def row(trade_id: str, side: str = "SELL", product: str = "ETH-USD") -> str:
    return (
        f'{{"product_id":"{product}","trade_id":"{trade_id}","price":"2666.64","size":"0.5",'
        f'"time":"2026-09-30T02:39:56.164307Z","side":"{side}"}}'
    )


def says(raw: bytes) -> list[Any]:
    return list(Coinbase().map_message(raw))


def reason(raw: bytes) -> str:
    with pytest.raises(WireError) as caught:
        Coinbase().map_message(raw)
    return caught.value.what


def test_a_match_is_a_trade_whose_makers_side_is_turned_into_the_takers() -> None:
    assert [Trade("BTC-USD", 1052119289, 1052119289, 63514.6, 0.2, 1783465097164, False)] == says(MATCH)
    assert [True] == [event.is_buyer_maker for event in says(MATCH.replace(b'"sell"', b'"buy"'))]


def test_the_last_match_on_subscribing_is_a_trade_too() -> None:
    assert says(MATCH) == says(MATCH.replace(b'"match"', b'"last_match"'))


def test_keys_in_another_order_and_spaces_change_nothing() -> None:
    moved = b'{ "side":"sell", ' + MATCH.replace(b'"side":"sell",', b"")[1:]

    assert says(MATCH) == says(moved)


def test_a_heartbeat_proves_the_time_of_its_product() -> None:
    assert [Alive("BTC-USD", 1783465098000)] == says(HEARTBEAT)


def test_a_ticker_of_the_exchange_feed_is_a_quote_at_the_time_of_its_trade() -> None:
    (quote,) = says(TICKER)

    assert isinstance(quote, Quote)
    assert (14.755, 14.806, 14.7775, 1618677810244) == (quote.bid, quote.ask, quote.last, quote.timestamp_ms)
    assert math.isnan(quote.bid_size)  # feeds of 2021 send no sizes


def test_a_snapshot_of_market_trades_comes_newest_first_and_leaves_oldest_first() -> None:
    raw = advanced("market_trades", f'{{"type":"snapshot","trades":[{row("12")},{row("11")},{row("9")}]}}')

    assert [9, 11, 12] == [event.trade_id for event in says(raw)]


def test_the_side_of_advanced_trades_is_the_makers() -> None:
    """Third parties agree on it; `coinbase.is_buyer_maker` is the one place to change should the venue disagree."""
    raw = advanced("market_trades", f'{{"type":"update","trades":[{row("1", "SELL")},{row("2", "BUY")}]}}')

    assert [False, True] == [event.is_buyer_maker for event in says(raw)]


def test_an_unknown_side_is_refused_not_guessed() -> None:
    raw = advanced("market_trades", f'{{"type":"update","trades":[{row("1", "UNKNOWN_ORDER_SIDE")}]}}')

    assert "side" in reason(raw)


def test_an_advanced_heartbeat_proves_the_time_of_the_whole_exchange() -> None:
    beat = '{"current_time":"2026-09-30 02:39:56.167686736 +0000 UTC m=+12242.233881028","heartbeat_counter":12242}'

    assert [Alive("", 1790735996167)] == says(advanced("heartbeats", beat))


def test_an_advanced_ticker_carries_the_best_prices_their_sizes_and_the_last_price(shared_data: Path) -> None:
    ticker, subscriptions = raws(shared_data / COINBASE_TICKER)

    assert [Quote("BTC-USD", 64281.7, 0.21558849, 64281.71, 0.02287045, 64281.7, 1781415345435)] == says(ticker)
    assert [] == says(subscriptions)


def test_a_rest_page_of_trades_reads_oldest_first(shared_data: Path) -> None:
    page = (shared_data / "rest/coinbase_advanced/http_ticker.json").read_bytes()
    events = says(page)

    assert [995098661, 995098662, 995098663] == [event.trade_id for event in events]
    assert [True, False, False] == [event.is_buyer_maker for event in events]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"subscriptions","channels":[]}',
        b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","63507.67","0.0"]],"time":"2026-07-07T22:58:17Z"}',
        b'{"type":"snapshot","product_id":"BTC-USD","asks":[],"bids":[]}',
        b'{"type":"received","order_id":"x"}',
        b'{"type":"done","reason":"filled"}',
        advanced("l2_data", '{"type":"update","product_id":"BTC-USD","updates":[]}'),
        advanced("status", '{"type":"snapshot","products":[]}'),
        advanced("candles", '{"type":"snapshot","candles":[]}'),
        advanced("ticker_batch", '{"type":"snapshot","tickers":[{"product_id":"BTC-USD","price":"1"}]}'),
    ],
)
def test_known_noise_is_empty_and_not_quarantined(raw: bytes) -> None:
    assert [] == says(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (MATCH.replace(b'"63514.6"', b'"nan"'), "price is not a positive, finite number"),
        (MATCH.replace(b'"0.2"', b'"0"'), "size is not a positive, finite number"),
        (MATCH.replace(b"1052119289", b'"1052119289"'), "Expected `int`, got `str` - at `$.trade_id`"),
        (MATCH.replace(b"2026-07-07T22", b"2026-07-07 22"), "time is not an RFC 3339 time between 2009 and 2100"),
        (MATCH.replace(b"2026", b"1970"), "time is not an RFC 3339 time between 2009 and 2100"),
        (MATCH.replace(b'"product_id"', b'"product"'), "Object missing required field `product_id`"),
        (MATCH[:-30], "is not JSON"),
        (b'{"type":"matched"}', "unknown type 'matched'"),
        (advanced("market_trade", ""), "unknown channel 'market_trade'"),
        (advanced("market_trades", f'{{"trades":[{row("-3")}]}}'), "trade_id is not a number"),
        (advanced("market_trades", f'{{"trades":[{row("9007199254740993")}]}}'), "trade_id is not a number"),
        (b'{"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"}',
         "the venue says: Failed to subscribe X-Y is not a valid product"),
    ],
)  # fmt: skip
def test_what_can_not_be_true_is_refused_and_the_reason_names_the_field(raw: bytes, expected: str) -> None:
    assert expected == reason(raw)


@pytest.mark.parametrize(
    ("decimals", "ms"),
    [("", 0), (".1", 100), (".16", 160), (".164", 164), (".1649", 164), (".164999999", 164), (".000999999", 0)],
)
def test_times_have_zero_to_nine_decimals_and_are_cut_not_rounded(decimals: str, ms: int) -> None:
    assert 1783465097000 + ms == rfc3339_ms(f"2026-07-07T22:58:17{decimals}Z", "time")
    assert 1783465097000 + ms == rfc3339_ms(f"2026-07-07T22:58:17{decimals}+00:00", "time")
    assert 1783465097000 + ms == go_time_ms(f"2026-07-07 22:58:17{decimals} +0000 UTC m=+1.5", "time")


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-07-07", "2026-07-07T22:58:17", "2026-07-07T22:58:17.Z", "2026-07-07T22:58:17.1234567890Z",
        "2026-07-07T22:58:17.12+02:00", "2026-07-07T25:58:17Z", "2026-02-30T22:58:17Z", "2026-07-07T22:58:17.1x4Z",
        "2026-07-07T22:58:17.١Z", "2026-07-07T22:58:17,164Z", "2026-07-07T22:58:17.164Zz", "2100-01-01T00:00:00.001Z",
    ],
)  # fmt: skip
def test_other_ways_to_write_a_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        rfc3339_ms(text, "time")


@pytest.mark.parametrize("name", [COINBASE_2021, COINBASE_2026, COINBASE_ADVANCED])
def test_all_captures_read_without_a_reject(shared_data: Path, name: str) -> None:
    trades = [event for raw in raws(shared_data / name) for event in says(raw) if isinstance(event, Trade)]

    assert trades
    assert all(trade.first_id == trade.trade_id for trade in trades)


def test_trade_ids_are_consecutive_within_a_product(shared_data: Path) -> None:
    found: dict[str, list[int]] = {}
    for raw in raws(shared_data / COINBASE_2026):
        for event in says(raw):
            if isinstance(event, Trade):
                found.setdefault(event.pair, []).append(event.trade_id)

    assert {pair: list(range(ids[0], ids[0] + len(ids))) for pair, ids in found.items()} == found
    assert {"BTC-USD", "ETH-USD"} == found.keys()
