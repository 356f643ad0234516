"""What ccxt said can be read again without ccxt, and a trade is known again wherever it was read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.config import FlowSettings
from tickcast.errors import ConfigError, WireError
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.blocks import encode_line
from tickcast.sources.ccxt.lines import NO_ID, quote_line, trade_rows
from tickcast.sources.ccxt.mapper import Ccxt, made_id
from tickcast.sources.contract import Block, Quote, Trade
from tickcast.sources.registry import mapper_for, reader_for, sniff
from tickcast.sources.venues import registry as venues

NOW_MS = 1_736_208_000_123
TOLD = {"id": "4418", "timestamp": NOW_MS, "price": 94100.1, "amount": 0.0021, "side": "sell", "symbol": "BTC/USDT"}


def read(raw: bytes) -> Trade | Quote:
    (event,) = Ccxt("okx").map_message(raw)
    assert isinstance(event, Trade | Quote)
    return event


def test_a_trade_is_read_as_it_was_told() -> None:
    (row,) = trade_rows("BTC/USDT", [TOLD])

    assert Trade("BTC/USDT", row.id, -1, 94100.1, 0.0021, NOW_MS, True) == read(row.raw)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(NOW_MS - 10**11, NOW_MS + 10**11),
    st.floats(1e-12, 1e12),
    st.floats(1e-12, 1e12),
    st.sampled_from(["buy", "sell", None]),
    st.one_of(st.none(), st.integers(0, 10**30).map(str), st.text(min_size=1, max_size=40)),
)
def test_prices_sizes_and_ids_survive_to_the_last_bit(
    time_ms: int, price: float, amount: float, side: str | None, venue_id: str | None
) -> None:
    told = {"id": venue_id, "timestamp": time_ms, "price": price, "amount": amount, "side": side}
    (row,) = trade_rows("X/Y", [told])

    assert Trade("X/Y", row.id, -1, price, amount, time_ms, side == "sell") == read(row.raw)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(NOW_MS, NOW_MS + 3), st.integers(1, 10**18)), max_size=30, unique=True))
def test_made_ids_rise_with_time_and_neighbours_of_one_moment_stay_apart(trades: list[tuple[int, int]]) -> None:
    by_time = sorted(trades)
    times = [made_id(time_ms, str(number)) >> 23 for time_ms, number in by_time]
    in_a_row = [made_id(NOW_MS, str(number)) for number in range(10**9, 10**9 + 1000)]

    assert sorted(times) == times
    assert sorted(set(in_a_row)) == in_a_row
    assert all(0 < made_id(time_ms, str(number)) < 2**63 for time_ms, number in trades)


def test_equal_trades_without_ids_are_counted_apart_and_alike_each_time() -> None:
    twice = [{**TOLD, "id": None}] * 2

    one, other = trade_rows("BTC/USDT", twice)

    assert one.id != other.id
    assert [one, other] == trade_rows("BTC/USDT", twice)


def test_rows_stand_in_the_order_of_their_times() -> None:
    told = [{**TOLD, "id": str(at), "timestamp": NOW_MS + at} for at in (3, 1, 2)]

    assert [NOW_MS + 1, NOW_MS + 2, NOW_MS + 3] == [row.timestamp_ms for row in trade_rows("BTC/USDT", told)]


def test_best_prices_carry_no_time_and_are_left_out_where_one_is_missing() -> None:
    ticker = {"bid": 1.5, "bidVolume": 2.0, "ask": 1.6, "askVolume": None, "last": 1.55, "timestamp": NOW_MS}

    assert Quote("BTC/USDT", 1.5, 2.0, 1.6, 0.0, 1.55, 0) == read(quote_line("BTC/USDT", ticker))
    assert b"" == quote_line("BTC/USDT", {**ticker, "ask": None})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": None}, "price is not a number"),
        ({"amount": -1.0}, "amount is not a positive"),
        ({"timestamp": None}, "timestamp is not a time between 2009 and 2100"),
        ({"side": "both"}, "side is neither buy nor sell"),
        ({"price": float("nan")}, "price is not a positive"),
    ],
)
def test_what_can_not_be_true_is_journaled_and_goes_to_quarantine(change: dict[str, object], reason: str) -> None:
    (row,) = trade_rows("BTC/USDT", [{**TOLD, **change}])

    with pytest.raises(WireError, match=reason):
        read(row.raw)


def test_a_trade_of_no_time_has_no_id_that_could_join_anything() -> None:
    assert [NO_ID] == [row.id for row in trade_rows("BTC/USDT", [{**TOLD, "timestamp": 5}])]


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"ccxt":"news"}', b"not JSON", b'{"e":"trade"}'])
def test_messages_of_another_dialect_are_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        read(raw)


def test_a_journal_of_any_exchange_is_read_with_no_library_asked() -> None:
    (row,) = trade_rows("BTC/USDT", [TOLD])
    intake = Intake(Pipeline(FlowSettings()))
    intake.take(Block("whatever", encode_line(1, "whatever", row.raw)))

    assert {"BTC/USDT"} == intake.pairs_seen
    assert {} == intake.quarantined()
    assert isinstance(reader_for("whatever"), Ccxt)
    assert sniff(row.raw) is None


def test_an_exchange_that_ccxt_has_gets_its_mapper_and_none_other_does() -> None:
    assert isinstance(mapper_for("okx"), Ccxt)
    assert not isinstance(mapper_for("kraken"), Ccxt)
    with pytest.raises(ConfigError, match="did you mean okx"):
        mapper_for("okxx")


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venues, "_ccxt", lambda: None)

    with pytest.raises(ConfigError, match=r"okx is read through the extra ccxt, .* pip install 'tickcast\[ccxt\]'"):
        mapper_for("okx")


def test_lines_say_what_ccxt_said_and_no_more() -> None:
    (row,) = trade_rows("BTC/USDT", [TOLD])

    assert {
        "ccxt": "trade", "symbol": "BTC/USDT", "id": "4418", "price": "94100.1", "amount": "0.0021", "side": "sell",
        "timestamp": NOW_MS,
    } == json.loads(row.raw)  # fmt: skip
