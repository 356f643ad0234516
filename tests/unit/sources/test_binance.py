"""Binance's dialect, on captured traffic of 2021, 2024 and 2026."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.sources.captured import BINANCE_2021, BTC, ETH, raws
from tickcast.errors import WireError
from tickcast.sources.binance import AGGREGATE_MAX, Binance
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Alive, Quote, Trade
from tickcast.sources.scan_lines import scan_lines

# hftbacktest_btcusdt_spot_20240808.gz, the first message of each kind
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
BOOK_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",'
    b'"a":"61837.64000000","A":"1.54698000"}}'
)
# cryptofeed_BINANCE.ws_20210814.txt
AGGREGATE = (
    b'{"e":"aggTrade","E":1628952396573,"s":"FTMUSDT","a":31718372,"p":"0.33993000","q":"99.90000000",'
    b'"f":38248908,"l":38248910,"T":1628952396572,"m":true,"M":true}'
)


def says(raw: bytes) -> list[Any]:
    return list(Binance().map_message(raw))


def reason(raw: bytes) -> str:
    with pytest.raises(WireError) as caught:
        Binance().map_message(raw)
    return caught.value.what


def bare(raw: bytes) -> bytes:
    return raw.partition(b'"data":')[2][:-1]


def test_a_trade_reads_the_same_bare_and_combined() -> None:
    expected = [Trade("BTCUSDT", 3735683259, 3735683259, 61837.63, 0.02, 1723161255342, True)]

    assert expected == says(TRADE)
    assert expected == says(bare(TRADE))


def test_an_aggregate_covers_the_ids_from_its_first_to_its_last() -> None:
    assert [Trade("FTMUSDT", 38248910, 38248908, 0.33993, 99.9, 1628952396572, True)] == says(AGGREGATE)


def test_a_book_ticker_is_a_quote_without_a_time() -> None:
    (quote,) = says(BOOK_TICKER)

    assert isinstance(quote, Quote)
    assert (61837.63, 3.78826, 61837.64, 1.54698, 0) == (
        quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.timestamp_ms,
    )  # fmt: skip
    assert quote.last != quote.last  # NaN: a book ticker tells no price


def test_a_crossed_quote_and_an_empty_side_are_kept_as_they_are() -> None:
    crossed, empty = (
        BOOK_TICKER.replace(b'"b":"61837.63000000"', b'"b":"61999.0"'),
        BOOK_TICKER.replace(b'"61837.63000000"', b'"0.00000000"'),
    )

    assert [(61999.0, 61837.64), (0.0, 61837.64)] == [(q.bid, q.ask) for q in says(crossed) + says(empty)]


@pytest.mark.parametrize("kind", ["depthUpdate", "kline", "24hrTicker"])
def test_other_streams_of_a_pair_prove_that_its_time_has_passed(kind: str) -> None:
    assert [Alive("BTCUSDT", 1723161255208)] == says(b'{"e":"%b","E":1723161255208,"s":"BTCUSDT"}' % kind.encode())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"result":null,"id":1}',
        b'{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}',
        b'{"e":"serverShutdown","E":1770123456789}',
        b'{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}',
        b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[],"asks":[]}}',
    ],
)
def test_known_noise_is_empty_and_not_quarantined(raw: bytes) -> None:
    assert [] == says(raw)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'"p":"61837.63000000"', b'"p":"-1"', "p is not a positive, finite number"),
        (b'"p":"61837.63000000"', b'"p":"NaN"', "p is not a positive, finite number"),
        (b'"p":"61837.63000000"', b'"p":"1e999"', "p is not a positive, finite number"),
        (b'"p":"61837.63000000"', b'"p":"61,837"', "p is not a number"),
        (b'"p":"61837.63000000"', b'"p":"61_837"', "p is not a number"),
        (b'"p":"61837.63000000"', '"p":"٦١"'.encode(), "p is not a number"),
        (b'"p":"61837.63000000"', b'"p":61837.63', "Expected `str`, got `float` - at `$.p`"),
        (b'"q":"0.02000000"', b'"q":"0.00000000"', "q is not a positive, finite number"),
        (b'"q":"0.02000000",', b"", "Object missing required field `q`"),
        (b'"t":3735683259', b'"t":-1', "Expected `int` >= 0 - at `$.t`"),
        (b'"t":3735683259', b'"t":9007199254740993', "Expected `int` <= 9007199254740992 - at `$.t`"),
        (b'"T":1723161255342', b'"T":1723161255', "T is not a time between 2009 and 2100"),
        (b'"T":1723161255342', b'"T":true', "Expected `int`, got `bool` - at `$.T`"),
        (b'"m":true', b'"m":1', "Expected `bool`, got `int` - at `$.m`"),
        (b'"s":"BTCUSDT"', b'"s":""', "Expected `str` of length >= 1 - at `$.s`"),
        (b'"s":"BTCUSDT"', b'"s":"BTC\\u0000"', "the pair's name is not printable text"),
        (b'"e":"trade"', b'"e":"trades"', "unknown event 'trades'"),
        (b'"M":true}}', b'"M":tr', "is not JSON"),
        (b"BTCUSDT", b"BTC\xff", "is not JSON"),
    ],
)
def test_what_can_not_be_true_is_refused_and_the_reason_names_the_field(old: bytes, new: bytes, expected: str) -> None:
    assert expected == reason(TRADE.replace(old, new))


def test_an_aggregate_whose_ids_run_backwards_is_refused() -> None:
    assert "f and l are not a range of ids" == reason(AGGREGATE.replace(b'"l":38248910', b'"l":38248907'))


def test_an_aggregate_of_more_trades_than_one_order_can_fill_is_refused_on_both_roads() -> None:
    """Believed once, it would make doubles of all the true trades that follow."""
    last, widest = 38248910, AGGREGATE.replace(b"38248908", b"%d" % (38248910 - AGGREGATE_MAX + 1))
    wider = AGGREGATE.replace(b"38248908", b"%d" % (last - AGGREGATE_MAX))
    assert [last - AGGREGATE_MAX + 1] == [trade.first_id for trade in says(widest) if isinstance(trade, Trade)]
    assert "f and l are not a range of ids" == reason(wider)

    rows = scan_lines(Binance(), b"".join(encode_line(1, "binance", raw) for raw in (widest, wider)))
    assert [last - AGGREGATE_MAX + 1] == rows.columns["first_id"].tolist()
    assert [wider] == [reject.raw for reject in rows.rejects]


def test_an_error_of_the_venue_is_quarantined_with_its_text() -> None:
    assert "the venue says: Invalid request" == reason(b'{"code":2,"msg":"Invalid request"}')
    assert 'the venue says: {"code":2,"msg":"x"}' == reason(b'{"error":{"code":2,"msg":"x"},"id":1}')


def test_rest_rows_are_refused_because_they_name_no_pair() -> None:
    assert reason(b'[{"a":1,"p":"1.0","q":"1.0","f":1,"l":1,"T":1723161255342,"m":true}]').startswith("an array names")


def test_brackets_without_end_are_refused_like_any_garbage() -> None:
    assert "is not JSON" == reason(b'{"stream":"a","data":' + b"[" * 100_000)


@pytest.mark.parametrize("name", [BTC, ETH])
def test_all_of_a_captured_day_reads_and_its_trade_ids_have_no_hole(shared_data: Path, name: str) -> None:
    events = [event for raw in raws(shared_data / name) for event in says(raw)]
    ids = [event.trade_id for event in events if isinstance(event, Trade)]

    assert list(range(ids[0], ids[0] + len(ids))) == ids
    assert len(ids) > 6000


def test_aggregates_klines_and_depth_of_small_pairs_read_without_a_reject(shared_data: Path) -> None:
    events = [event for raw in raws(shared_data / BINANCE_2021) for event in says(raw)]

    assert (24, 570, 634) == tuple(sum(type(event) is kind for event in events) for kind in (Trade, Quote, Alive))
