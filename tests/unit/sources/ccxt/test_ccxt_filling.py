"""Pages are said to join only where nothing can be missing, whatever an exchange makes of what it is asked."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.sources.ccxt.filling import Filled, Joint, fetch_after, join
from tickcast.sources.ccxt.lines import Row, trade_rows

NOW_MS = 1_736_208_000_000


def told(number: int, time_ms: int) -> dict[str, Any]:
    return {"id": str(number), "timestamp": NOW_MS + time_ms, "price": 1.0, "amount": 2.0, "side": "buy"}


class Pages:
    """An exchange that shows at most so many trades a page: from a time on, or the newest whatever one asks."""

    def __init__(self, trades: list[dict[str, Any]], size: int, *, heeds_since: bool) -> None:
        self._trades, self._size, self._heeds_since = trades, size, heeds_since
        self.asked = 0

    async def fetch_trades(self, symbol: str, since: int | None = None) -> list[dict[str, Any]]:
        self.asked += 1
        if since is not None and self._heeds_since:
            return [trade for trade in self._trades if trade["timestamp"] >= since][: self._size]
        return self._trades[-self._size :]


def fetch(pages: Pages, last: Row | None) -> Filled:
    return asyncio.run(fetch_after(pages, "X/Y", last))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 12), st.booleans(), st.integers(0, 39))
def test_what_is_said_to_join_has_every_trade(steps: list[int], size: int, heeds_since: bool, at: int) -> None:
    """The steps are the times between trades: some are of one moment."""
    trades = [told(number, sum(steps[: number + 1])) for number in range(len(steps))]
    rows = trade_rows("X/Y", trades)
    last = rows[at % len(rows)]

    filled = fetch(Pages(trades, size, heeds_since=heeds_since), last)

    after = {row.id for row in rows[rows.index(last) :]}
    assert not filled.joined or after <= {row.id for row in filled.rows}
    assert {row.id for row in filled.rows} <= {row.id for row in rows if row.timestamp_ms >= last.timestamp_ms}
    assert sorted(filled.rows, key=lambda row: row.timestamp_ms) == filled.rows


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(5, 12))
def test_an_exchange_that_heeds_what_it_is_asked_is_always_joined(count: int, size: int) -> None:
    trades = [told(number, number) for number in range(count)]
    last = trade_rows("X/Y", trades)[0]

    filled = fetch(Pages(trades, size, heeds_since=True), last)

    assert filled.joined
    assert count == len(filled.rows)


def test_a_short_hole_takes_one_request() -> None:
    trades = [told(number, number) for number in range(30)]
    pages = Pages(trades, 10, heeds_since=True)

    filled = fetch(pages, trade_rows("X/Y", trades)[25])

    assert (True, 5, 1) == (filled.joined, len(filled.rows), pages.asked)


def test_a_trade_that_the_pages_do_not_know_joins_nothing() -> None:
    trades = [told(number, number) for number in range(5)]
    stranger = Row(7, NOW_MS + 2)

    filled = fetch(Pages(trades, 10, heeds_since=True), stranger)

    assert (False, [NOW_MS + 3, NOW_MS + 4]) == (filled.joined, [row.timestamp_ms for row in filled.rows])


ROWS = trade_rows("X/Y", [told(number, number) for number in range(8)])


def test_pages_and_stream_meet_in_the_first_trade_that_waited() -> None:
    """
    pages    2 3 4 5
    stream         5 6
    """
    assert Joint(ROWS[2:5], False, False) == join(Filled(ROWS[2:6], True), ROWS[5:7])


def test_where_they_do_not_meet_only_what_is_older_is_taken_and_doubted() -> None:
    """
    pages    2 3
    stream         5 6
    """
    assert Joint(ROWS[2:4], False, True) == join(Filled(ROWS[2:4], True), ROWS[5:7])


def test_ids_of_another_kind_meet_nowhere_and_bring_no_double() -> None:
    others = trade_rows("X/Y", [told(number + 100, number) for number in range(2, 7)])

    joint = join(Filled(others, False), ROWS[5:7])

    assert Joint(others[:3], True, True) == joint


def test_with_nothing_waiting_all_that_was_fetched_goes_out() -> None:
    assert Joint(ROWS, False, False) == join(Filled(ROWS, True), [])
