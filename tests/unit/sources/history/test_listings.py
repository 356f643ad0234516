"""What the venues list and what they say of their clocks and limits, from real answers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tickcast.sources.history import binance, coinbase, kraken
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.venues.contract import Listing


def answer(path: Path) -> bytes:
    """The body of a recorded answer: `url -> time: body`, or the body alone."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    body = data[data.index(b"{") :]
    return body[: body.index(b"\n")] if b"\nhttps:" in body else body


def test_binance_lists_its_pairs_and_its_limit(shared_data: Path) -> None:
    raw = answer(shared_data / "rest/binance/cryptofeed_exchangeInfo_20211012.txt.gz").splitlines()[0]

    found = {one.pair: one for one in binance.read_listings(raw)}

    assert Listing("ETHBTC", "ETH", "BTC") == found["ETHBTC"]
    assert {True, False} == {one.trading for one in found.values()}
    assert 1200.0 == binance.read_limit(raw)


def test_coinbase_says_which_product_an_alias_really_is(shared_data: Path) -> None:
    found = coinbase.read_listings((shared_data / "rest/coinbase_advanced/http_products.json").read_bytes())

    assert (
        Listing("BTC-USD", "BTC", "USD"),
        Listing("BTC-USDC", "BTC", "USDC", True, "BTC-USD"),
    ) == found


def test_kraken_lists_its_pairs_by_todays_names(shared_data: Path) -> None:
    raw = answer(shared_data / "rest/kraken/cryptofeed_AssetPairs_20210417.txt").splitlines()[0]

    found = {one.pair: one for one in kraken.read_listings(raw)}

    assert Listing("BTC/USD", "BTC", "USD") == found["BTC/USD"]
    assert "DOGE/EUR" in found
    assert not [pair for pair in found if "XBT" in pair or "XDG" in pair or ".d" in pair]
    assert "XBTUSD" == kraken.rest_name("BTC/USD")


@pytest.mark.parametrize("module", [binance, coinbase, kraken])
@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"<html>", b'{"result":{"unixtime":null}}', b"\xff"])
def test_garbage_in_place_of_a_time_or_a_listing_is_an_error(module: Any, raw: bytes) -> None:
    for read in (module.read_time, module.read_listings):
        with pytest.raises(HistoryError, match="is no page"):
            read(raw)
