"""Exchanges and pairs of a configuration: planned, or refused with the right spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.errors import ConfigError
from tickcast.sources.venues import registry
from tickcast.sources.venues.contract import Listing
from tickcast.sources.venues.names import check_pairs, nearest_pair, plan_pairs
from tickcast.sources.venues.registry import VENUES
from tickcast.sources.venues.spelling import has_shape, spelled, split_pair

BINANCE = [
    Listing("BTCUSDT", "BTC", "USDT"), Listing("ETHUSDT", "ETH", "USDT"), Listing("ETHBTC", "ETH", "BTC"),
    Listing("BTCBUSD", "BTC", "BUSD", trading=False), Listing("SOLUSDC", "SOL", "USDC"),
    Listing("1INCHUSDT", "1INCH", "USDT"),
]  # fmt: skip
COINBASE = [
    Listing("BTC-USD", "BTC", "USD"), Listing("BTC-USDC", "BTC", "USDC", alias_of="BTC-USD"),
    Listing("ETH-USD", "ETH", "USD"), Listing("USDT-USDC", "USDT", "USDC"), Listing("BTC-EUR", "BTC", "EUR"),
]  # fmt: skip
KRAKEN = [Listing("BTC/USD", "BTC", "USD"), Listing("DOGE/USD", "DOGE", "USD"), Listing("ETH/BTC", "ETH", "BTC")]


def refused(exchange: str, *pairs: str) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_pairs(exchange, pairs)
    assert "so nothing was started; " in str(caught.value)
    return str(caught.value)


def unlisted(exchange: str, pairs: list[str], listings: list[Listing]) -> str:
    with pytest.raises(ConfigError) as caught:
        check_pairs(exchange, pairs, listings)
    assert "so nothing was started; " in str(caught.value)
    return str(caught.value)


def test_one_exchange_takes_all_pairs_with_or_without_its_prefix() -> None:
    assert {"binance": ("BTCUSDT", "ETHUSDT")} == plan_pairs("binance", ["BTCUSDT", "binance:ETHUSDT"])


def test_several_exchanges_share_the_pairs_by_their_shapes_and_prefixes() -> None:
    pairs = ["BTC/USD", " BTCUSDT", "coinbase:ETH-USD", "BTC-USD", "ETHUSDT"]
    expected = {"coinbase": ("ETH-USD", "BTC-USD"), "binance": ("BTCUSDT", "ETHUSDT"), "kraken": ("BTC/USD",)}
    plan = plan_pairs("coinbase, binance ,kraken", pairs)

    assert list(expected.items()) == list(plan.items())


def test_a_shape_that_two_exchanges_share_needs_a_prefix() -> None:
    assert "write kraken:BTC/USD or okx:BTC/USD." in refused("kraken,okx", "BTC/USD")
    assert {"kraken": ("BTC/USD",), "okx": ("BTC/USDT",)} == plan_pairs(
        "kraken,okx", ["kraken:BTC/USD", "okx:BTC/USDT"]
    )


@pytest.mark.parametrize(
    ("exchange", "pair", "remedy"),
    [
        ("binance", "BTC-USD", "write BTCUSDT."),
        ("binance", "btcusdt", "write BTCUSDT."),
        ("binance", "BTC/USDT", "write BTCUSDT."),
        ("binance", "XBT/USD", "write BTCUSDT."),
        ("binance", "eth_btc", "write ETHBTC."),
        ("binance", "binance:BTC-USDT", "write BTCUSDT."),
        ("coinbase", "BTCUSDT", "write BTC-USDT."),
        ("coinbase", "btc-usd", "write BTC-USD."),
        ("coinbase", "BTC/USD", "write BTC-USD."),
        ("coinbase", "XXBTZUSD", "write BTC-USD."),
        ("kraken", "XBT/USD", "write BTC/USD."),
        ("kraken", "XBTUSDT", "write BTC/USDT."),
        ("kraken", "XXBTZUSD", "write BTC/USD."),
        ("kraken", "XETHXXBT", "write ETH/BTC."),
        ("kraken", "XDG/EUR", "write DOGE/EUR."),
        ("kraken", "BTC-USD", "write BTC/USD."),
        ("kraken", "btcusd", "write BTC/USD."),
        ("kraken", "bitcoin", "write it like BTC/USD."),
        ("binance", "btc", "write it like BTCUSDT."),
        ("coinbase", "", "write it like BTC-USD."),
        ("coinbase", "BTC", "write it like BTC-USD."),
        ("okx", "BTC-USDT", "write BTC/USDT."),
        ("okx", "BTC/USDT:USDT", "write BTC/USDT."),
        ("binance,coinbase", "btc_usdt", "write binance:BTCUSDT or coinbase:BTC-USDT."),
        ("binance,coinbase", "coinbase:BTCUSDT", "write coinbase:BTC-USDT."),
    ],
)  # fmt: skip
def test_another_venues_spelling_is_refused_with_the_right_one(exchange: str, pair: str, remedy: str) -> None:
    assert remedy in refused(exchange, pair)


def test_a_prefix_that_is_no_exchange_of_ours_is_refused() -> None:
    assert "add kraken to the exchanges" in refused("binance", "BTCUSDT", "kraken:BTC/USD")
    assert "did you mean kraken." in refused("binance", "BTCUSDT", "krakn:BTC/USD")


def test_doubles_are_refused_however_they_are_written() -> None:
    assert "BTCUSDT of binance is named twice" in refused("binance", "BTCUSDT", "ETHUSDT", "binance:BTCUSDT")
    assert "kraken is named twice" in refused("kraken,kraken", "BTC/USD")
    assert "BTC-USDC of coinbase is another name of BTC-USD" in refused("coinbase", "BTC-USDC", "BTC-USD")
    assert {"coinbase": ("BTC-USDC", "ETH-USD")} == plan_pairs("coinbase", ["BTC-USDC", "ETH-USD"])
    assert {"coinbase": ("USDT-USDC", "USDT-USD")} == plan_pairs("coinbase", ["USDT-USDC", "USDT-USD"])


def test_an_exchange_without_a_pair_is_refused() -> None:
    assert "name one, for example BTCUSDT." in refused("binance")
    assert "name one, for example kraken:BTC/USD." in refused("binance,kraken", "BTCUSDT")
    assert "exchange: none was named" in refused(" , ", "BTCUSDT")


def test_an_exchange_that_only_ccxt_knows_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"okx": ("BTC/USDT",)} == plan_pairs("okx", ["BTC/USDT"])

    monkeypatch.setattr(registry, "_ccxt", lambda: None)
    assert "okx is read through the extra ccxt, which is not installed" in refused("okx", "BTC/USDT")


CURRENCIES = st.sampled_from(["BTC", "ETH", "SOL", "DOGE", "1INCH", "PEPE"])
QUOTES = st.sampled_from(["USDT", "EUR", "BTC", "USDC", "GBP", "TRY"])


@given(CURRENCIES, QUOTES, st.sampled_from(list(VENUES)), st.sampled_from(list(VENUES)), st.booleans())
def test_any_venues_spelling_leads_to_any_others(base: str, quote: str, one: str, other: str, lower: bool) -> None:
    text = spelled(one, base, quote)
    text = text.lower() if lower else text
    right = spelled(other, base, quote)

    assert (base, quote) == split_pair(text)
    assert has_shape(other, right)
    if has_shape(other, text):
        assert {other: (text,)} == plan_pairs(other, [text])
    else:
        assert f"write {right}." in refused(other, text)


@given(st.text(max_size=30), st.sampled_from(["binance", "binance,kraken", "coinbase,okx"]))
def test_any_text_is_planned_or_refused(text: str, exchange: str) -> None:
    try:
        plan = plan_pairs(exchange, [text, "binance:BTCUSDT", "kraken:BTC/USD", "coinbase:BTC-USD", "okx:BTC/USDT"])
    except ConfigError as exc:
        assert "so nothing was started" in exc.what  # noqa: PT017
    else:
        assert text.strip().partition(":")[2] or text.strip() in {pair for pairs in plan.values() for pair in pairs}


# --- against what the venue lists


def test_listed_pairs_that_trade_pass() -> None:
    check_pairs("binance", ["BTCUSDT", "1INCHUSDT"], BINANCE)
    check_pairs("coinbase", ["BTC-USD", "USDT-USDC"], COINBASE)


@pytest.mark.parametrize(
    ("exchange", "listings", "pair", "remedy"),
    [
        ("binance", BINANCE, "BTCUSD", "did you mean BTCUSDT."),
        ("binance", BINANCE, "BTCUSTD", "did you mean BTCUSDT."),
        ("binance", BINANCE, "SOLUSDT", "did you mean SOLUSDC."),
        ("binance", BINANCE, "EHTBTC", "did you mean ETHBTC."),
        ("coinbase", COINBASE, "BTC-USDT", "did you mean BTC-USD."),
        ("coinbase", COINBASE, "BCT-EUR", "did you mean BTC-EUR."),
        ("coinbase", COINBASE, "BTTC-USDC", "did you mean BTC-USD."),
        ("kraken", KRAKEN, "DOGE/USDT", "did you mean DOGE/USD."),
        ("kraken", KRAKEN, "QQQQQQ/ZZZZZZ", "leave it out; kraken lists 3 other pairs."),
    ],
)
def test_an_unknown_pair_is_refused_with_the_nearest_listed_one(
    exchange: str, listings: list[Listing], pair: str, remedy: str
) -> None:
    said = unlisted(exchange, [pair], listings)

    assert f"{exchange} does not list {pair}" in said
    assert remedy in said


def test_a_pair_that_does_not_trade_is_refused() -> None:
    said = unlisted("binance", ["BTCUSDT", "BTCBUSD"], BINANCE)

    assert "binance lists BTCBUSD but does not trade it now" in said
    assert "leave it out, or write BTCUSDT." in said


def test_an_alias_is_refused_with_its_pair_and_alone() -> None:
    both, alone = unlisted("coinbase", ["BTC-USD", "BTC-USDC"], COINBASE), unlisted("coinbase", ["BTC-USDC"], COINBASE)

    assert "with both, every trade would count twice" in both
    assert "leave BTC-USDC out." in both
    assert "BTC-USDC of coinbase is another name of BTC-USD, under which its data comes" in alone
    assert "write BTC-USD." in alone


@given(st.text(max_size=12))
def test_what_is_proposed_is_listed_and_trades(text: str) -> None:
    for listings in (BINANCE, COINBASE, KRAKEN, []):
        near = nearest_pair(text, listings)

        assert near == "" or any(one.pair == near and one.trading and not one.alias_of for one in listings)


def test_the_page_says_what_the_code_says() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "how-to-live.md").read_text()
    limits = {name: venue.rules.pairs_per_connection for name, venue in VENUES.items()}

    assert refused("binance", "BTC-USD") in page
    assert unlisted("binance", ["BTCUSTD"], BINANCE) in page
    assert refused("binnance", "BTCUSDT") in page
    assert f"{limits['binance']} pairs on Binance, {limits['coinbase']} on Coinbase and {limits['kraken']} on" in page
