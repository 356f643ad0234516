"""The benchmarks of feeds run on a little input, and their contenders read the same messages."""

from __future__ import annotations

import math

import pytest
from benchmarks import feeds, load
from benchmarks.blast import frames_of


@pytest.mark.parametrize("exchange", ["binance", "coinbase"])
def test_both_parse_paths_read_every_message(exchange: str) -> None:
    said = feeds.raws(600) if exchange == "binance" else feeds.coinbase_raws(100)

    assert 0 < feeds.parse_ours(exchange, said) < math.inf
    assert 0 < feeds.parse_cryptofeed(exchange, [raw.decode() for raw in said]) < math.inf


def test_krakens_messages_are_read_too() -> None:
    said = feeds.kraken_raws(100)

    assert 100 == len(said)
    assert 0 < feeds.parse_ours("kraken", said) < math.inf
    assert 0 < feeds.parse_lines("kraken", said) < math.inf


def test_ccxt_reads_them_too() -> None:
    assert 0 < feeds.parse_ccxt(feeds.unwrapped(feeds.raws(600))) < math.inf


def test_every_client_receives_as_many_as_it_was_asked_for() -> None:
    block = frames_of([feeds.ANSWER, *feeds.raws(4096)])
    other = frames_of([text.encode() for text in feeds.unwrapped(feeds.raws(4096))])

    assert 0 < feeds.over_socket(lambda url: feeds.feed_alone(url, 2_000), block)() < math.inf
    assert 0 < feeds.over_socket(lambda url: feeds.client_cryptofeed(url, 500), block)() < math.inf
    assert 0 < feeds.over_socket(lambda url: feeds.client_ccxt(url, 500), other)() < math.inf


def test_under_a_little_load_every_trade_is_stored_and_as_it_happened(capsys: pytest.CaptureFixture[str]) -> None:
    meter, (stored, missing, different), summary = load.measure(2_000, 6, 1)

    assert (0, 0) == (missing, different)
    assert stored > 1_000
    assert meter.rows
    assert summary.quarantined == {}
    assert "0 missing, 0 different" in capsys.readouterr().out
