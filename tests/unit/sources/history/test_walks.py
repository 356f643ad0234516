"""Walks through trades, against venues in memory: nothing is missing, nothing comes twice, each part stands alone."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.sources.history.memory import (
    BEGIN_MS,
    BinanceVenue,
    CoinbaseVenue,
    KrakenVenue,
    Row,
    Venue,
    check,
    drive,
    ids,
    market,
)
from tickcast.sources.history import binance, coinbase, kraken
from tickcast.sources.history.contract import After
from tickcast.sources.history.dialects import TradesWalkMaker

PAIR = "XBT"


class Case(NamedTuple):
    exchange: str
    walk: TradesWalkMaker
    venue: type[Venue]


CASES = (
    Case("binance", binance.TradesWalk, BinanceVenue),
    Case("coinbase", coinbase.TradesWalk, CoinbaseVenue),
    Case("kraken", kraken.TradesWalk, KrakenVenue),
)
each_venue = pytest.mark.parametrize("case", CASES, ids=lambda case: case.exchange)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 12 rows, so that little markets fill many."""
    for module in (binance, coinbase, kraken):
        monkeypatch.setattr(module, "LIMIT", 12)


def rows_of(case: Case, seed: int, count: int) -> list[Row]:
    """Coinbase's pages have no cursor finer than a second, so its seconds must fit on a page here."""
    rows = market(seed, count, grouped=case.exchange == "binance", bulge=1)
    if case.exchange == "binance":  # a crowd of one millisecond is not found by time there
        return apart(rows, 100)
    return rows if case.exchange != "coinbase" else apart(rows, 200_000)


def apart(rows: list[Row], step_us: int) -> list[Row]:
    """The same trades, each some time after the one before."""
    return [row._replace(us=row.us + at * step_us) for at, row in enumerate(rows)]


@each_venue
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 150), known=st.floats(0, 1))
def test_after_a_known_trade_all_others_come_once_and_in_order(case: Case, seed: int, count: int, known: float) -> None:
    rows = rows_of(case, seed, count)
    at = min(int(known * count), count - 1)
    venue = case.venue(rows, rows[-1].ms + 1)

    parts = drive(case.walk(PAIR, After(rows[at].ms, rows[at].last)), venue)

    check(case.exchange, parts, rows, rows[at].ms)
    assert [row.last for row in rows[at + 1 :]] == ids(parts)
    assert parts[-1].reached_end
    assert parts[-1].to_ms >= rows[-1].ms


@each_venue
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 150), share=st.floats(0, 1))
def test_from_a_time_on_up_to_another_time_all_trades_come(case: Case, seed: int, count: int, share: float) -> None:
    rows = rows_of(case, seed, count)
    from_ms = BEGIN_MS - 5_000
    until_ms = BEGIN_MS + int((rows[-1].ms - BEGIN_MS) * share) + 1
    venue = case.venue(rows, rows[-1].ms + 60_000)

    parts = drive(case.walk(PAIR, After(from_ms), until_ms), venue)

    check(case.exchange, parts, rows, from_ms)
    wanted = [row.last for row in rows if row.ms < until_ms]
    assert wanted == ids(parts)
    assert until_ms == parts[-1].to_ms
    assert not parts[-1].reached_end


@each_venue
@settings(max_examples=40, deadline=None)
@example(seed=1999, torn={1, 5, 9}, keep=0)
@example(seed=976, torn={1, 2, 6, 10}, keep=1)
@given(seed=st.integers(0, 10_000), torn=st.sets(st.integers(1, 12), max_size=4), keep=st.integers(0, 11))
def test_pages_that_are_torn_now_and_then_cost_a_request_and_no_trade(
    case: Case, seed: int, torn: set[int], keep: int
) -> None:
    rows = apart(rows_of(case, seed, 120), 10)
    venue = case.venue(rows, rows[-1].ms + 1)
    singles = {number for number in torn if not torn & {number - 1, number - 2, number - 3}}
    venue.spoil = lambda number, page: page[:keep] if number in singles else page

    parts = drive(case.walk(PAIR, After(rows[5].ms, rows[5].last)), venue)

    assert [row.last for row in rows[6:]] == ids(parts)


@each_venue
def test_nothing_new_proves_quiet_up_to_the_moment_of_asking(case: Case) -> None:
    rows = rows_of(case, 1, 9)
    venue = case.venue(rows, rows[-1].ms + 8_000)

    parts = drive(case.walk(PAIR, After(rows[-1].ms, rows[-1].last)), venue)

    assert [] == ids(parts)
    assert [True] == [part.reached_end for part in parts]
    assert rows[-1].ms + 8_000 <= parts[-1].to_ms <= rows[-1].ms + 9_000


@each_venue
def test_a_venue_that_has_forgotten_even_the_known_trade_proves_no_quiet(case: Case) -> None:
    rows = rows_of(case, 1, 9)
    venue = case.venue([], rows[-1].ms + 200_000)

    parts = drive(case.walk(PAIR, After(rows[-1].ms, rows[-1].last)), venue)

    assert not any(part.reached_end for part in parts)


@pytest.mark.parametrize("case", [CASES[0], CASES[2]], ids=lambda case: case.exchange)
def test_what_is_lost_beyond_the_end_that_was_asked_for_is_not_told_as_quiet(case: Case) -> None:
    """
    1 .. 10 ╌╌╌ lost ╌╌|╌╌ 21 ..        up to | only: who reads it must not take the time after 10 for quiet

    Coinbase is asked for spans of time, and does not show what lies beyond their end.
    """
    rows = rows_of(case, 3, 30)
    venue = case.venue(rows[:10] + rows[20:], rows[-1].ms + 90_000)

    parts = drive(case.walk(PAIR, After(rows[0].ms, rows[0].last), rows[18].ms), venue)

    assert [row.last for row in rows[1:10]] == ids(parts)
    assert rows[9].ms >= parts[-1].to_ms


@each_venue
def test_trades_that_the_venue_has_lost_are_asked_for_twice_and_named(case: Case) -> None:
    rows = rows_of(case, 3, 30)
    gone = rows[10:14]
    venue = case.venue([row for row in rows if row not in gone], rows[-1].ms + 1)
    walk = case.walk(PAIR, After(rows[9].ms, rows[9].last))

    parts = drive(walk, venue)

    assert [row.last for row in rows[14:]] == ids(parts)
    assert any(one == other for one, other in itertools.pairwise(venue.asked))
    assert f"trades {gone[0].first} to {gone[-1].last} are gone" in walk.notes[0]


@each_venue
def test_more_trades_in_one_millisecond_than_a_page_holds_do_not_stop_a_walk(case: Case) -> None:
    crowd = [Row(500 + at, at + 1, at + 1, BEGIN_MS * 1000, False) for at in range(60)]
    rows = [*crowd, Row(560, 61, 61, (BEGIN_MS + 5_000) * 1000, True)]
    venue = case.venue(rows, rows[-1].ms + 1)

    found = ids(drive(case.walk(PAIR, After(BEGIN_MS - 1)), venue))

    assert 61 == found[-1]
    if case.exchange != "coinbase":  # its pages have no cursor finer than a second
        assert list(range(found[0], 62)) == found


@each_venue
def test_a_pair_that_never_traded_ends_the_walk(case: Case) -> None:
    venue = case.venue([], BEGIN_MS + 20 * 3_600_000)

    parts = drive(case.walk(PAIR, After(BEGIN_MS)), venue)

    assert [(BEGIN_MS, True)] == [(part.from_ms, part.reached_end) for part in parts]


def test_binance_may_count_its_limit_from_either_end_of_a_span() -> None:
    rows = market(5, 200, grouped=True)
    for from_end in (True, False):
        venue = BinanceVenue(rows, rows[-1].ms + 1)
        venue.counts_from_end = from_end

        assert [row.last for row in rows] == ids(drive(binance.TradesWalk(PAIR, After(BEGIN_MS - 10)), venue))


def test_before_its_listing_a_pair_of_binance_is_not_searched_hour_by_hour() -> None:
    rows = market(5, 20, grouped=True)
    venue = BinanceVenue(rows, rows[-1].ms + 1)

    found = ids(drive(binance.TradesWalk(PAIR, After(BEGIN_MS - 3000 * 3_600_000)), venue))

    assert [row.last for row in rows] == found
    assert len(venue.asked) < 30


def test_coinbase_may_count_the_last_second_of_a_span_in() -> None:
    rows = [Row(at, at + 1, at + 1, (BEGIN_MS + at * 500) * 1000, False) for at in range(90)]
    for inclusive in (True, False):
        venue = CoinbaseVenue(rows, rows[-1].ms + 1)
        venue.inclusive_end = inclusive
        parts = drive(coinbase.TradesWalk(PAIR, After(BEGIN_MS)), venue)

        check("coinbase", parts, rows, BEGIN_MS)
        assert [row.last for row in rows] == ids(parts)


def test_of_a_crowded_second_coinbase_gives_the_newest_and_the_rest_stays_marked() -> None:
    before = [Row(at, at + 1, at + 1, (BEGIN_MS + at * 100) * 1000, False) for at in range(10)]
    crowd = [Row(at, at + 1, at + 1, (BEGIN_MS + 1000 + at) * 1000, False) for at in range(10, 110)]
    after = [Row(110, 111, 111, (BEGIN_MS + 2500) * 1000, False)]
    rows = [*before, *crowd, *after]
    venue = CoinbaseVenue(rows, BEGIN_MS + 3000)
    walk = coinbase.TradesWalk(PAIR, After(BEGIN_MS, 1))

    parts = drive(walk, venue)

    found = ids(parts)
    assert [*range(2, 11), *range(99, 112)] == found
    assert any("more than 12 trades in the second" in note for note in walk.notes)
    marked = next(part for part in parts if 110 in part.rows["trade_id"])
    assert marked.from_ms == crowd[-12].ms + 1  # what is whole of it, and no more
    assert parts[-1].reached_end


def test_kraken_pages_begin_at_the_millisecond_that_the_last_one_ended_in() -> None:
    rows = [Row(at, at + 1, at + 1, BEGIN_MS * 1000 + at * 90, False) for at in range(40)]
    venue = KrakenVenue(rows, BEGIN_MS + 50)

    drive(kraken.TradesWalk("BTC/USD", After(BEGIN_MS, 1)), venue)

    sinces = [dict(request.params)["since"] for request in venue.asked]
    assert f"{BEGIN_MS * 1_000_000 - 1}" == sinces[0]
    assert [("pair", "XBTUSD")] == list({request.params[0] for request in venue.asked})


def listed_anew(case: Case, rows: list[Row], at: int, pause_s: float) -> list[Row]:
    """The same trades, but from one on the pair is listed anew, some time later: ids begin with 1."""
    by = rows[at]
    later_us = round(pause_s * 1_000_000) + 200_000
    moved = [
        row._replace(
            aggregate=row.aggregate - by.aggregate,
            first=row.first - by.first + 1,
            last=row.last - by.first + 1,
            us=row.us + later_us,
        )
        for row in rows[at:]
    ]
    return rows[:at] + moved


@each_venue
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), count=st.integers(20, 120), known=st.floats(0, 1), anew=st.floats(0, 1),
    pause_s=st.sampled_from([11.0, 70.0, 4000.0, 100_000.0]),
)  # fmt: skip
def test_ids_that_begin_anew_are_walked_over_by_time(
    case: Case, seed: int, count: int, known: float, anew: float, pause_s: float
) -> None:
    old = rows_of(case, seed, count)
    at = min(1 + int(anew * count), count - 1)
    rows = listed_anew(case, old, at, pause_s)
    after = rows[min(int(known * at), at - 1)]
    venue = case.venue(rows, rows[-1].ms + 30_000)

    parts = drive(case.walk(PAIR, After(after.ms, after.last)), venue)

    assert [row.last for row in rows[rows.index(after) + 1 :]] == ids(parts)
    assert parts[-1].reached_end
    assert after.ms == parts[0].from_ms
    assert all(one.to_ms == two.from_ms for one, two in itertools.pairwise(parts))


@each_venue
def test_a_venue_that_forgot_the_old_ids_tells_nothing_of_the_time_before_the_new_ones(case: Case) -> None:
    old = rows_of(case, 3, 30)
    rows = listed_anew(case, old, 20, 4000.0)
    venue = case.venue(rows[20:], rows[-1].ms + 30_000)

    parts = drive(case.walk(PAIR, After(rows[19].ms, rows[19].last)), venue)

    assert [row.last for row in rows[20:]] == ids(parts)
    assert rows[20].ms == parts[0].from_ms


def test_a_quiet_end_by_ids_is_believed_when_the_newest_page_agrees() -> None:
    rows = rows_of(CASES[0], 1, 30)
    venue = BinanceVenue(rows, rows[-1].ms + 4_000_000)
    walk = binance.TradesWalk(PAIR, After(rows[5].ms, rows[5].last))

    parts = drive(walk, venue)

    assert [row.last for row in rows[6:]] == ids(parts)
    assert {"symbol", "limit"} == set(dict(venue.asked[-1].params))
    assert (True, []) == (parts[-1].reached_end, walk.notes)
