"""What we say to venues: subscriptions within their limits, and where they are reached."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tickcast.sources.venues.binance import GOODBYE_ID, SEND_BYTES_MAX, Binance
from tickcast.sources.venues.coinbase import Coinbase
from tickcast.sources.venues.contract import ANSWER, Venue
from tickcast.sources.venues.kraken import Kraken
from tickcast.sources.venues.registry import VENUES

PAIRS = {"binance": ["BTCUSDT", "ETHUSDT"], "coinbase": ["BTC-USD", "ETH-USD"], "kraken": ["BTC/USD", "ETH/USD"]}


def said(messages: Sequence[bytes]) -> list[object]:
    return [msgspec.json.decode(message) for message in messages]


def test_binance_is_asked_for_aggregates_and_best_prices_in_lower_case() -> None:
    streams = ["btcusdt@aggTrade", "btcusdt@bookTicker", "ethusdt@aggTrade", "ethusdt@bookTicker"]
    pairs = PAIRS["binance"]

    assert [{"method": "SUBSCRIBE", "params": streams, "id": 1}] == said(Binance().hello(pairs))
    assert [{"method": "UNSUBSCRIBE", "params": streams, "id": GOODBYE_ID}] == said(Binance().goodbye(pairs))


@pytest.mark.parametrize("pairs", [[f"COIN{n}USDT" for n in range(500)], ["币安人生USDT"] * 300])
def test_no_subscription_of_binance_is_longer_than_it_reads_and_none_is_lost(pairs: list[str]) -> None:
    hello = Binance().hello(pairs)
    streams = [stream for message in hello for stream in msgspec.json.decode(message)["params"]]

    assert max(len(message) for message in hello) <= SEND_BYTES_MAX
    assert streams == [f"{pair.lower()}@{what}" for pair in pairs for what in ("aggTrade", "bookTicker")]
    assert len(hello) == Binance().answers_wanted(pairs) > 1
    assert list(range(1, len(hello) + 1)) == [msgspec.json.decode(message)["id"] for message in hello]


def test_binance_answers_each_part_of_a_hello_and_a_goodbye_is_no_answer_to_it() -> None:
    venue, pairs = Binance(), [f"COIN{n}USDT" for n in range(500)]
    numbers = [msgspec.json.decode(message)["id"] for message in venue.hello(pairs) + venue.goodbye(pairs)]
    answers = [venue.hear(b'{"result":null,"id":%d}' % number).kind == ANSWER for number in numbers]

    assert answers == [True] * venue.answers_wanted(pairs) + [False] * (len(numbers) - venue.answers_wanted(pairs))


def test_coinbase_is_asked_one_channel_a_message_and_keeps_its_heartbeats() -> None:
    pairs = PAIRS["coinbase"]
    hello, goodbye = said(Coinbase().hello(pairs)), said(Coinbase().goodbye(pairs))

    assert [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "channel": "market_trades", "product_ids": pairs},
        {"type": "subscribe", "channel": "ticker", "product_ids": pairs},
    ] == hello
    assert ["market_trades", "ticker"] == [one["channel"] for one in goodbye if isinstance(one, dict)]
    assert len(hello) == Coinbase().answers_wanted(pairs)


def test_kraken_is_asked_for_trades_without_a_snapshot_and_every_best_price() -> None:
    pairs = PAIRS["kraken"]
    ticker = {"channel": "ticker", "symbol": pairs, "event_trigger": "bbo", "snapshot": True}

    assert [
        {"method": "subscribe", "params": {"channel": "trade", "symbol": pairs, "snapshot": False}},
        {"method": "subscribe", "params": ticker},
    ] == said(Kraken().hello(pairs))
    assert 4 == Kraken().answers_wanted(pairs)


def test_only_kraken_has_a_ping_of_its_own() -> None:
    assert [None, None, b'{"method":"ping","req_id":12}'] == [venue.ping(12) for venue in VENUES.values()]


@pytest.mark.parametrize("venue", VENUES.values(), ids=list(VENUES))
def test_one_local_port_serves_all_venues(venue: Venue) -> None:
    base = f"http://127.0.0.1:9000/{venue.name}"
    path = {"binance": "/stream", "coinbase": "/ws", "kraken": "/v2"}[venue.name]
    endpoints = venue.at(base)

    assert (f"ws://127.0.0.1:9000/{venue.name}{path}", base) == (endpoints.ws, endpoints.rest)
    assert (base if venue.name == "binance" else "") == endpoints.bulk
    assert endpoints.ws == venue.ws_url(endpoints, PAIRS[venue.name])


@pytest.mark.parametrize("venue", VENUES.values(), ids=list(VENUES))
def test_the_usual_addresses_are_encrypted(venue: Venue) -> None:
    for endpoints in venue.endpoints:
        assert endpoints.ws.startswith("wss://")
        assert endpoints.rest.startswith("https://")


@pytest.mark.parametrize("venue", VENUES.values(), ids=list(VENUES))
def test_our_own_rules_leave_room_below_the_venues_limits(venue: Venue) -> None:
    """A full connection's hello is out before the venue would call it idle, and two pings fit into a deadly silence."""
    rules = venue.rules
    pairs = PAIRS[venue.name] * (rules.pairs_per_connection // 2)

    assert len(venue.hello(pairs)) / rules.sends_per_s < 5.0
    assert rules.ping_s * 2 <= rules.silence_s
    if venue.name == "binance":
        assert rules.sends_per_s + 1 / rules.ping_s < 5.0
        assert 2 * rules.pairs_per_connection <= 1024
        assert rules.connects < 300
        assert rules.max_age_s < 24 * 3600
    if venue.name == "coinbase":
        assert rules.connects * 3 / rules.connects_span_s < 8.0


SHAPES = {
    "binance": (["BTCUSDT", "1INCHUSDT", "币安人生USDT"],
                ["btcusdt", "BTC-USD", "BTC/USD", "BTC_USDT", "", "BTC", "ßETHUSDT"]),
    "coinbase": (["BTC-USD", "00-USD"], ["btc-usd", "BTCUSD", "BTC/USD", "BTC-", "-USD", "A-B-C", "BTC-USD ", ""]),
    "kraken": (
        ["BTC/USD", "1INCH/EUR", "ETH2.S/ETH", "AAPLx/USD", "DOGE/BTC"],
        ["XBT/USD", "XDG/USD", "ETH/XBT", "btc/usd", "BTC-USD", "XXBTZUSD", "BTC/USD/EUR", "/USD", "x/USD", ""],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_name_has_the_shape_of_its_venue_or_not(name: str) -> None:
    right, wrong = SHAPES[name]

    assert (right, []) == (
        [pair for pair in right if VENUES[name].shape(pair)],
        [p for p in wrong if VENUES[name].shape(p)],
    )
