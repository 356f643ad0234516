"""The archive gives what a plain list of all trades would give, however it was filled and cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.sources.simulated.exchange.archive import Archive, Span
from tickcast.sources.simulated.exchange.rest.bars import bars, filled


class Row(NamedTuple):
    time_us: int
    id: int
    price: int
    quantity: int
    maker: int
    aggregate: int
    first: int


def rows_of(span: Span) -> list[Row]:
    return [Row(*row) for row in zip(*(column.tolist() for column in span), strict=True)]


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 2), st.integers(10, 11), st.integers(1, 5), st.integers(0, 1)),
    min_size=1,
    max_size=60,
)
"""Of each trade: how much later, how much further its id, price, quantity, maker."""


def filled_with(steps: list[tuple[int, int, int, int, int]], cuts: list[int]) -> tuple[Archive, list[Row]]:
    """An archive that was filled in blocks, which never split a moment, and a list of the same."""
    rows: list[Row] = []
    time_us, ident, aggregate = 100, 500, 6
    for later, further, price, quantity, maker in steps:
        time_us, ident = time_us + later, ident + further
        before = rows[-1] if rows else None
        if before is None or (before.time_us, before.price, before.maker) != (time_us, price, maker):
            aggregate += 1
        rows.append(Row(time_us, ident, price, quantity, maker, aggregate, ident))
    archive = Archive(7)
    begin = 0
    for cut in [*sorted(cuts), len(rows)]:
        while begin < cut < len(rows) and rows[cut].time_us == rows[cut - 1].time_us:
            cut += 1
        block = rows[begin:cut]
        begin = max(begin, cut)
        told = archive.append(*(np.array([row[at] for row in block], np.int64) for at in range(5)))
        assert [row.aggregate for row in block] == told.tolist()
    return archive, rows


@settings(max_examples=200, deadline=None)
@given(
    STEPS, st.lists(st.integers(0, 60), max_size=3), st.integers(90, 200), st.integers(90, 200), st.integers(1, 9),
    st.integers(90, 150),
)  # fmt: skip
def test_an_archive_answers_like_a_list_of_all_trades(
    steps: list[tuple[int, int, int, int, int]], cuts: list[int], one: int, two: int, count: int, forget: int
) -> None:
    archive, rows = filled_with(steps, cuts)
    archive.forget(forget)
    kept = [row for row in rows if row.time_us >= forget]

    assert kept == rows_of(archive.all())
    assert [row for row in kept if one <= row.time_us < two] == rows_of(archive.between(one, two))
    first = one + 410  # ids go from 501 on
    by_id = [row for row in kept if row.id >= first][:count]
    assert [row for row in by_id if row.time_us < two] == rows_of(archive.by_id(first, count, two))
    numbers = sorted({row.aggregate for row in kept if row.aggregate >= 7 + count})[:count]
    wanted = [row for row in kept if row.aggregate in numbers and row.time_us < two]
    assert wanted == rows_of(archive.by_aggregate(7 + count, count, two))
    later = [row.aggregate for row in rows if row.time_us >= max(one, forget)]
    assert (later[0] if later else rows[-1].aggregate + 1) == archive.first_aggregate_at(max(one, forget))


def test_an_archive_that_grows_and_forgets_for_long_stays_small_and_right() -> None:
    archive, block = Archive(), 1000
    for number in range(200):
        time_us = number * block + np.arange(block)
        archive.append(time_us, time_us + 1, time_us % 7 + 1, time_us % 5 + 1, time_us % 2)
        archive.forget((number - 9) * block)

    assert list(range(190_001, 200_001)) == archive.all().id.tolist()
    assert list(range(195_001, 195_011)) == archive.by_id(195_001, 10, 1 << 60).id.tolist()
    assert len(archive._columns[0]) <= 64 * block


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 7), st.integers(0, 20))
def test_candles_are_the_plain_sums_and_flat_ones_carry_the_price_on(
    steps: list[tuple[int, int, int, int, int]], width_us: int, later_us: int
) -> None:
    archive, rows = filled_with(steps, [])
    until_us = rows[-1].time_us + later_us
    found = filled(bars(archive.all(), width_us), width_us, until_us)
    windows: dict[int, list[Row]] = {}
    for row in rows:
        windows.setdefault(row.time_us // width_us * width_us, []).append(row)
    close, at = 0, 0
    for start_us in range(min(windows), until_us // width_us * width_us + 1, width_us):
        mine = windows.get(start_us, [])
        prices = [row.price for row in mine] or [close]
        bought = [row for row in mine if not row.maker]
        expected = (
            start_us, start_us + width_us - 1, prices[0], max(prices), min(prices), prices[-1],
            sum(row.quantity for row in mine), sum(row.price * row.quantity for row in mine), len(mine),
            sum(row.quantity for row in bought), sum(row.price * row.quantity for row in bought),
        )  # fmt: skip
        assert expected == tuple(int(column[at]) for column in found[:11])
        close, at = prices[-1], at + 1

    assert at == len(found.start_us)
