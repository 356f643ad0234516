"""Venues by name, and the setting that says where they are reached."""

from __future__ import annotations

import importlib

import pytest

from tickcast.errors import ConfigError
from tickcast.sources.registry import EXCHANGES
from tickcast.sources.venues import registry
from tickcast.sources.venues.registry import CCXT_IDS, VENUES, endpoints_for, known_exchange, venue_of


def ccxt_ids() -> list[str]:
    return list(importlib.import_module("ccxt").exchanges)


def refusal(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        venue_of(name)
    return str(caught.value)


def test_every_exchange_with_a_mapper_has_a_venue() -> None:
    assert set(EXCHANGES) == set(VENUES)
    assert list(VENUES) == [venue_of(name).name for name in VENUES]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Binance", "did you mean binance."), ("binnance", "did you mean binance."),
     ("coinbase-pro", "did you mean coinbase."),
     ("krakn", "did you mean kraken."), ("okex", "did you mean okx."), ("", "known are binance, coinbase, kraken")],
)  # fmt: skip
def test_an_unknown_exchange_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    assert hint in refusal(name)


def test_an_exchange_of_ccxt_is_known_only_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "okx" == known_exchange("okx")
    assert "okx is read through ccxt and not by a socket of ours" in refusal("okx")

    monkeypatch.setattr(registry, "_ccxt", lambda: None)
    assert "okx is read through the extra ccxt, which is not installed" in refusal("okx")
    assert "install tickcast[ccxt]" in refusal("okx")
    assert "did you mean binance" in refusal("binanse")


def test_the_ids_of_ccxt_are_those_of_the_ccxt_that_we_lock() -> None:
    assert set(ccxt_ids()) - set(VENUES) == CCXT_IDS


def test_an_exchange_that_only_a_newer_ccxt_has_is_known() -> None:
    assert all(known_exchange(name) == name for name in ccxt_ids())


@pytest.mark.parametrize("name", ["base", "__init__", "pro", "../ccxt/okx", "okx.py", "OKX"])
def test_what_lies_beside_the_exchanges_of_ccxt_is_none(name: str) -> None:
    assert "is not an exchange that we know" in refusal(name)


# --- endpoints


def test_without_a_setting_a_venue_is_reached_at_its_usual_address() -> None:
    others = ["binance=http://127.0.0.1:9000/binance"]

    assert "wss://ws.kraken.com/v2" == endpoints_for(venue_of("kraken"), others).ws
    assert "wss://stream.binance.com:9443/stream" == endpoints_for(venue_of("binance"), ()).ws


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:9000/kraken", "http://127.0.0.1:9000/kraken/", " http://127.0.0.1:9000/kraken "]
)
def test_a_base_leads_to_all_addresses(base: str) -> None:
    found = endpoints_for(venue_of("kraken"), ["binance=http://[::1]:80", f"kraken={base}"])

    assert ("ws://127.0.0.1:9000/kraken/v2", "http://127.0.0.1:9000/kraken", "") == found


@pytest.mark.parametrize("host", ["data-api.binance.vision", "data-stream.binance.vision"])
def test_a_host_of_the_venue_itself_chooses_the_addresses_that_go_with_it(host: str) -> None:
    assert venue_of("binance").endpoints[1] == endpoints_for(venue_of("binance"), [f"binance=https://{host}"])


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["http://127.0.0.1:9000"], "is no EXCHANGE=URL"),
        (["binance"], "is no EXCHANGE=URL"),
        (["binance="], "is no EXCHANGE=URL"),
        (["=http://127.0.0.1"], "names an exchange ''"),
        (["binnance=http://127.0.0.1"], "did you mean binance"),
        (["okx=http://127.0.0.1"], "an address can be given for binance, coinbase, kraken"),
        (["binance=127.0.0.1:9000"], "is not an address"),
        (["binance=ws://127.0.0.1:9000"], "is not an address"),
        (["binance=http://"], "is not an address"),
        (["binance=http://host:99999"], "is not an address"),
        (["binance=http://host:x"], "is not an address"),
        (["binance=http://[::1"], "is not an address"),
        (["binance=http://me:secret@host"], "holds a user or a password"),
        (["binance=http://host/?a=b"], "holds a question mark or a #"),
        (["binance=http://host/a b"], "is not an address"),
        (["binance=http://a", "binance=http://b"], "names binance twice"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_a_bad_address_is_refused_whichever_venue_asks(venue: str, overrides: list[str], what: str) -> None:
    with pytest.raises(ConfigError, match="endpoints: ") as caught:
        endpoints_for(venue_of(venue), overrides)

    assert what in str(caught.value)
    assert "so nothing was started" in str(caught.value)
    assert "secret" not in str(caught.value)
