"""Hearing: what a message is to the feed, always of one mind with the mapper about the trades it holds."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import (
    BINANCE_2021,
    BTC,
    COINBASE_2021,
    COINBASE_2026,
    COINBASE_ADVANCED,
    COINBASE_TICKER,
    ETH,
    KRAKEN_V1,
    KRAKEN_V2,
    raws,
)
from tests.unit.sources.venues import spoken
from tests.unit.sources.venues.spoken import agreed, venues, wounded
from tickcast.sources import own
from tickcast.sources.contract import Trade
from tickcast.sources.registry import mapper_for
from tickcast.sources.venues.binance import STARTS_MAX, Binance
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
    Span,
)
from tickcast.sources.venues.kraken import Kraken
from tickcast.sources.venues.registry import VENUES
from tickcast.sources.venues.spans import spans_of

CAPTURES = [
    ("binance", BTC),
    ("binance", ETH),
    ("binance", BINANCE_2021),
    ("binance", "captures/binance_ws/cryptofeed_BINANCE.ws_20210814.txt"),
    ("binance", "unlicensed/captures/binance_ws/aggTrade_raw_20260614.jsonl"),
    ("coinbase", COINBASE_2021),
    ("coinbase", COINBASE_2026),
    ("coinbase", COINBASE_ADVANCED),
    ("coinbase", COINBASE_TICKER),
    ("kraken", KRAKEN_V2),
    ("kraken", "captures/kraken_ws_v2/xchange_trade_20250909.json"),
    *(("kraken", KRAKEN_V1.format(what)) for what in ("trade", "ticker", "book1000")),
]
SAID = [
    *(("binance", raw) for raw in spoken.BINANCE),
    *(("coinbase", raw) for raw in spoken.COINBASE),
    *(("kraken", raw) for raw in spoken.KRAKEN),
]


@pytest.mark.parametrize(("name", "capture"), CAPTURES)
def test_every_captured_message_is_heard_as_its_mapper_reads_it(shared_data: Path, name: str, capture: str) -> None:
    found = [agreed(VENUES[name], mapper_for(name), raw) for raw in raws(shared_data / capture)]

    assert {heard.kind for heard in found} <= {TRADES, QUOTE, PROOF, ANSWER, NOISE}
    assert found


def test_a_captured_day_combined_as_live_is_heard_whole(shared_data: Path) -> None:
    """The captures have raw trades: as aggregates of one trade each they take the live road."""
    venue, mapper = Binance(), mapper_for("binance")
    last = 0
    for raw in raws(shared_data / BTC):
        if b"@trade" not in raw:
            continue
        (trade,) = mapper.map_message(raw)
        assert isinstance(trade, Trade)
        number = b"%d" % trade.trade_id
        raw = raw.replace(b"trade", b"aggTrade").replace(b'"t":' + number, b'"a":1,"f":%b,"l":%b' % (number, number))
        (span,) = agreed(venue, mapper, raw).spans
        assert last in (0, span.first_id - 1)
        last = span.last_id

    assert last > 6000


@pytest.mark.parametrize(("name", "raw"), SAID)
def test_every_kind_of_message_is_heard_as_its_mapper_reads_it(name: str, raw: bytes) -> None:
    agreed(VENUES[name], mapper_for(name), raw)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=150)
def test_wounded_messages_are_heard_as_their_mapper_reads_them(seed: int) -> None:
    chance, own_venues = random.Random(seed), venues()
    for _ in range(20):
        name, raw = chance.choice(SAID)
        for _ in range(chance.randrange(1, 4)):
            raw = wounded(chance, raw) or b"{"
        agreed(own_venues[name], mapper_for(name), raw)


WRONG = (
    '""', '"0"', '"-1"', '"1_0"', '"٦"', '"\\u0661"', '"nan"', '"inf"', '"1e3"', '"1e999"', '" 1"', '"+1"', '"x"',
    "0", "-1", "1.5", "1e400", "true", "null", "9007199254740993", '"9007199254740993"',
    '"0000000000000000000001"', '"BTC\\u0000"',
    '"2026-13-01T00:00:00Z"', '"2026-09-30T02:39:56.1643077777Z"', '"sell"', '"trade"', "1e2", '"' + "A" * 65 + '"',
)  # fmt: skip
FIELDS = [
    *(("binance", spoken.AGGREGATE, name) for name in ("e", "E", "s", "p", "q", "f", "l", "T", "m")),
    *(("coinbase", spoken.MARKET_TRADES, name) for name in ("product_id", "trade_id", "price", "size", "time", "side")),
    *(("coinbase", spoken.MARKET_TRADES, name) for name in ("channel", "timestamp", "sequence_num", "type")),
    *(("kraken", spoken.KRAKEN_TRADE, name) for name in ("symbol", "side", "price", "qty", "trade_id", "timestamp")),
    *(("kraken", spoken.KRAKEN_TRADE, name) for name in ("channel", "type")),
]


@pytest.mark.parametrize(("name", "raw", "field"), FIELDS)
def test_a_wrong_value_in_any_field_is_heard_as_the_mapper_reads_it(name: str, raw: bytes, field: str) -> None:
    """In all rows of the message, and in the first alone."""
    known, mapper = venues()[name], mapper_for(name)
    parts = re.split(rb'("%b":(?:"[^"]*"|[^,}]*))' % field.encode(), raw)
    kinds = set()
    for value in WRONG:
        put = f'"{field}":{value}'.encode()
        for places in (parts[1::2], parts[1:2]):
            rows = iter([put] * len(places) + parts[1::2][len(places) :])
            wrong = b"".join(next(rows) if nth % 2 else part for nth, part in enumerate(parts))
            kinds.add(agreed(known, mapper, wrong).kind)

    assert kinds <= {TRADES, UNREADABLE, NOISE}
    assert kinds != {TRADES} or field in ("E", "timestamp", "sequence_num", "type")


@given(
    st.binary(max_size=200), st.sampled_from(["", '{"channel":"trade"', '{"stream":"btcusdt@bookTicker","data":{"u'])
)
@settings(deadline=None, max_examples=200)
def test_garbage_is_unreadable_and_never_raises(garbage: bytes, start: str) -> None:
    for name, venue in venues().items():
        agreed(venue, mapper_for(name), start.encode() + garbage)


@pytest.mark.parametrize(
    "raw", [b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"null", b"{}", b"[]", b'"x"', b"1"]
)
def test_what_is_no_message_is_unreadable(raw: bytes) -> None:
    assert {UNREADABLE} == {venue.hear(raw).kind for venue in VENUES.values()}


def test_our_own_mark_from_a_venue_is_unreadable() -> None:
    raw = own.alive(1_723_161_600_000, ["BTCUSDT"])

    assert {UNREADABLE} == {venue.hear(raw).kind for venue in VENUES.values()}


# --- Binance


def test_an_aggregate_of_binance_covers_its_ids_and_says_when_it_was_sent() -> None:
    expected = Heard(TRADES, (Span("FTMUSDT", 38248908, 38248910, 1628952396572, 1628952396572),), "", 1628952396573)

    assert expected == Binance().hear(spoken.AGGREGATE)


def test_a_book_ticker_is_a_quote_of_its_pair() -> None:
    assert Heard(QUOTE, pair="BTCUSDT") == Binance().hear(spoken.BOOK_TICKER)


def test_a_stream_that_carries_another_pair_is_believed_by_its_data() -> None:
    venue = Binance()
    venue.hear(spoken.AGGREGATE)
    other = spoken.AGGREGATE.replace(b'"s":"FTMUSDT"', b'"s":"ADAUSDT"')

    assert "ADAUSDT" == venue.hear(other).spans[0].pair
    assert "FTMUSDT" == venue.hear(spoken.AGGREGATE).spans[0].pair


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"result":null,"id":1}', Heard(ANSWER)),
        (b'{"result":null,"id":1000000}', Heard(NOISE)),  # to a goodbye
        (b'{"result":["btcusdt@aggTrade"],"id":3}', Heard(NOISE)),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', Heard(REFUSED, detail="Invalid request")),
        (b'{"code":0,"msg":"Too many"}', Heard(REFUSED, detail="Too many")),
        (b'{"code":3,"msg":"Too many"}', Heard(REFUSED, detail="Too many")),
        (b'{"e":"serverShutdown","E":1770123456789}', Heard(SHUTDOWN, venue_ms=1770123456789)),
        (b'{"stream":"x","data":{"e":"serverShutdown","E":1770123456789}}', Heard(SHUTDOWN, venue_ms=1770123456789)),
    ],
)
def test_binance_answers_refuses_and_says_goodbye(raw: bytes, expected: Heard) -> None:
    assert expected == Binance().hear(raw)


def test_more_streams_than_are_remembered_are_heard_all_the_same() -> None:
    venue = Binance()
    for number in [*range(STARTS_MAX + 10), 0]:
        raw = spoken.AGGREGATE.replace(b"ftmusdt", b"c%dusdt" % number).replace(b"FTMUSDT", b"C%dUSDT" % number)
        assert f"C{number}USDT" == venue.hear(raw).spans[0].pair
        assert len(venue._starts) <= STARTS_MAX


# --- Coinbase


def test_a_trade_of_coinbase_carries_the_number_of_its_message() -> None:
    span = Span("ETH-USD", 846155152, 846155152, 1790735996164, 1790735996164)

    assert Heard(TRADES, (span,), "", 1790735996253, 115) == Coinbase().hear(spoken.MARKET_TRADES)


def test_a_snapshot_newest_first_is_told_in_runs_by_pair_with_its_hole() -> None:
    heard = Coinbase().hear(spoken.SNAPSHOT)

    assert heard.snapshot
    assert [("ETH-USD", 6, 6), ("ETH-USD", 8, 9), ("BTC-USD", 71, 71)] == [span[:3] for span in heard.spans]
    assert 1790735987123 == heard.spans[1].first_ms


def test_a_heartbeat_of_coinbase_proves_the_time() -> None:
    assert Heard(PROOF, venue_ms=1790735996167, sequence=112) == Coinbase().hear(spoken.HEARTBEATS)


def test_tickers_of_several_pairs_name_them_all() -> None:
    heard = Coinbase().hear(spoken.TICKERS)

    assert (QUOTE, "BTC-USD", 16) == (heard.kind, heard.pair, heard.sequence)
    assert ["BTC-USD", "ETH-USD"] == [span.pair for span in heard.spans]
    assert () == Coinbase().hear(spoken.TICKER).spans


def test_every_readable_message_of_coinbase_is_numbered_and_no_unreadable_one_is() -> None:
    numbers = [Coinbase().hear(raw).sequence for raw in spoken.COINBASE]

    assert [115, 2, 16, 16, 112, 17, 105, 3, -1] == numbers
    assert -1 == Coinbase().hear(spoken.MARKET_TRADES.replace(b'"2666.64"', b'"-1"')).sequence


@pytest.mark.parametrize("old", [b"2026-09-30T02:39:56.25330544Z", b"115"])
def test_a_trade_counts_even_where_its_envelope_is_wrong(old: bytes) -> None:
    heard = agreed(Coinbase(), mapper_for("coinbase"), spoken.MARKET_TRADES.replace(old, b"99"))

    assert TRADES == heard.kind


def test_coinbase_answers_and_refuses_in_its_own_words() -> None:
    answer, refusal = Coinbase().hear(spoken.COINBASE[5]), Coinbase().hear(spoken.COINBASE[8])

    assert (ANSWER, 17) == (answer.kind, answer.sequence)
    assert Heard(REFUSED, detail="failure to subscribe BTC-USDX is not a valid product") == refusal


# --- Kraken


def test_trades_of_one_kraken_message_are_one_run() -> None:
    assert (Span("ETH/USD", 64175816, 64175817, 1783465205637, 1783465205638),) == Kraken().hear(
        spoken.KRAKEN_TRADE
    ).spans


def test_a_hole_inside_a_message_stays_a_hole() -> None:
    heard = Kraken().hear(spoken.KRAKEN_TRADE.replace(b"64175816", b"64175811"))

    assert [(64175811, 64175811), (64175817, 64175817)] == [(span.first_id, span.last_id) for span in heard.spans]


def test_a_snapshot_of_kraken_is_told_however_it_is_laid_out() -> None:
    usual = spoken.KRAKEN_TRADE.replace(b'"update"', b'"snapshot"')
    turned = usual.replace(b'"channel":"trade","type":"snapshot"', b'"type":"snapshot","channel":"trade"')

    assert [False, True, True] == [Kraken().hear(raw).snapshot for raw in (spoken.KRAKEN_TRADE, usual, turned)]


def test_a_pong_of_kraken_proves_the_time_and_a_heartbeat_does_not() -> None:
    assert Heard(PROOF, venue_ms=1783465203501) == Kraken().hear(spoken.PONG)
    assert Heard(NOISE) == Kraken().hear(b'{"channel":"heartbeat"}')


def test_a_ticker_of_kraken_tells_its_time() -> None:
    assert Heard(QUOTE, pair="ALGO/USD", venue_ms=1783465204585) == Kraken().hear(spoken.KRAKEN_TICKER)


@pytest.mark.parametrize("system", ["online", "maintenance", "cancel_only", "post_only"])
def test_the_state_of_kraken_is_noise_that_says_its_word(system: str) -> None:
    assert Heard(NOISE, detail=system) == Kraken().hear(spoken.STATUS.replace(b"online", system.encode()))


def test_kraken_answers_and_refuses_by_pair() -> None:
    words = "Currency pair not supported BTC/USDX"

    assert Heard(ANSWER, pair="BTC/USD") == Kraken().hear(spoken.SUBSCRIBED)
    assert Heard(NOISE) == Kraken().hear(spoken.SUBSCRIBED.replace(b'"subscribe"', b'"unsubscribe"'))
    assert Heard(REFUSED, pair="BTC/USDX", detail=words) == Kraken().hear(spoken.NOT_SUBSCRIBED)
    assert REFUSED == Kraken().hear(b'{"error":"Exceeded msg rate","success":false}').kind


# --- runs of ids

RANGES = st.tuples(st.sampled_from("AB"), st.integers(0, 30), st.integers(0, 4), st.integers(1, 9))


@given(st.lists(RANGES, max_size=12))
def test_runs_cover_exactly_the_ids_of_their_rows(found: list[tuple[str, int, int, int]]) -> None:
    rows = [(pair, first, first + more, ms) for pair, first, more, ms in found]
    spans = spans_of(rows)
    expected = {(pair, number) for pair, first, last, _ in rows for number in range(first, last + 1)}

    assert expected == {(span.pair, number) for span in spans for number in range(span.first_id, span.last_id + 1)}
    assert expected == {(pair, number) for pair, ids in spoken.ids_told(Heard(TRADES, spans)).items() for number in ids}
    for pair in {row[0] for row in rows}:
        times = [row[3] for row in rows if row[0] == pair]
        assert min(times) == min(span.first_ms for span in spans if span.pair == pair)
        assert max(times) == max(span.last_ms for span in spans if span.pair == pair)


def test_the_times_of_a_run_are_its_earliest_and_latest() -> None:
    assert (Span("A", 1, 3, 3, 9),) == spans_of([("A", 1, 1, 5), ("A", 2, 2, 3), ("A", 3, 3, 9)])
    assert (Span("A", 1, 3, 3, 9),) == spans_of([("A", 1, 1, 5), ("A", 2, 2, 9), ("A", 3, 3, 3)])


def test_trades_without_consecutive_ids_are_one_span_of_time() -> None:
    rows = [("XMR/USD", -1, 900, 7), ("XMR/USD", -1, 300, 5), ("XMR/USD", -1, 800, 6)]

    assert (Span("XMR/USD", -1, -1, 5, 7),) == spans_of(rows)
    assert (Span("XMR/USD", -1, -1, 7, 7),) == spans_of(rows[:1])
