"""What holds for every tape: cuts, restarts, doubles and disorder change nothing that they should not."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import partial
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.candles.tape import (
    MIDNIGHT_MS,
    Row,
    as_bytes,
    cut,
    forgetting_everything_between_frames,
    frame,
    in_one_process,
    joined,
    rows_of,
    trade,
)
from tickcast.candles.layout import PARTIAL_FROM, RING
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import PARTIAL, Frame

LENGTHS = (1, 15, 60)
DECIMAL_UNITS = st.sampled_from([1.0, 1e1, 1e5, 1e8])
UNITS = DECIMAL_UNITS | st.sampled_from([3.0, 7.7])
"""What sizes are counted in; thirds are no decimals."""
TRUTH = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count")


def make(candle_seconds: tuple[int, ...] = LENGTHS) -> Candles:
    return Candles(FlowSettings(candle_seconds))


def last_revisions(frames: list[Frame]) -> dict[tuple[int, int], Row]:
    rows = rows_of(joined(frames))
    final: dict[tuple[int, int], Row] = {}
    for row in rows:
        key = (row["candle_seconds"], row["window_start_ms"])
        first = PARTIAL_FROM if row["quality"] == PARTIAL else 0  # the first whole one begins to count anew
        assert row["revision"] == max(final[key]["revision"] + 1 if key in final else first, first)
        final[key] = row
    return final


@st.composite
def tapes(draw: st.DrawFn, points: bool = False, units: st.SearchStrategy[float] = UNITS) -> list[Row]:
    """Trades in order, some of one millisecond, some minutes apart, some aggregates."""
    steps = draw(st.lists(st.sampled_from([0, 0, 1, 120, 999, 1000, 7000, 60_000]), min_size=1, max_size=60))
    time, number, rows = MIDNIGHT_MS, 0, []
    for step in steps:
        time += step
        covers = draw(st.sampled_from([1, 1, 1, 3]))
        number += covers
        price, quantity = draw(st.integers(1, 10**7)) / 100, draw(st.integers(1, 10**9)) / draw(units)
        first = -1 if points else number - covers + 1
        rows.append(trade(number, time, price, quantity, first_id=first, is_buyer_maker=draw(st.booleans())))
    return rows


@st.composite
def unruly_tapes(draw: st.DrawFn) -> list[Row]:
    """The same, with trades missing, swapped with a neighbour some places on, and doubled."""
    rows = draw(tapes(points=draw(st.booleans())))
    rows = [row for row in rows if draw(st.integers(0, 9))]
    for k in range(len(rows) - 1):
        other = min(len(rows) - 1, k + draw(st.sampled_from([0, 0, 0, 1, 2, 9])))
        rows[k], rows[other] = rows[other], rows[k]
    return rows + draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else rows


@settings(max_examples=60, deadline=None)
@given(unruly_tapes(), st.lists(st.integers(0, 60), max_size=6), st.sampled_from([0, 5000]))
def test_no_cut_into_frames_and_no_restart_changes_a_bit(rows: list[Row], places: list[int], blind: int) -> None:
    before = frame(low=MIDNIGHT_MS)
    whole = frame(*rows, low=MIDNIGHT_MS + 10, blind=MIDNIGHT_MS - blind if blind else 0)
    parts = cut(whole, [place for place in places if 0 < place < len(rows)])

    expected, counts = in_one_process(make, [before, whole])

    for way in (in_one_process, forgetting_everything_between_frames):
        out, counted = way(make, [before, *parts])
        assert as_bytes(joined(expected)) == as_bytes(joined(out))
        assert counts == counted


@settings(max_examples=40, deadline=None)
@given(tapes(), st.data())
def test_doubled_trades_change_nothing(rows: list[Row], data: st.DataObject) -> None:
    doubled = []
    for k, row in enumerate(rows):
        doubled += [row, *data.draw(st.lists(st.sampled_from(rows[: k + 1]), max_size=2))]

    once, twice = (in_one_process(make, [frame(*tape, low=MIDNIGHT_MS)]) for tape in (rows, doubled))

    assert as_bytes(joined(once[0])) == as_bytes(joined(twice[0]))
    assert len(doubled) - len(rows) == twice[1]["duplicates"]


@settings(max_examples=60, deadline=None)
@given(unruly_tapes())
def test_several_lengths_are_each_as_if_alone(rows: list[Row]) -> None:
    together = rows_of(joined(in_one_process(make, [frame(*rows, low=MIDNIGHT_MS)])[0]))

    for seconds in LENGTHS:
        alone = rows_of(joined(in_one_process(partial(make, (seconds,)), [frame(*rows, low=MIDNIGHT_MS)])[0]))
        assert alone == [row for row in together if row["candle_seconds"] == seconds]


@settings(max_examples=80, deadline=None)
@given(tapes(), st.data())
def test_disorder_ends_in_the_same_candles_as_order(rows: list[Row], data: st.DataObject) -> None:
    """The first trade is on time; any other may come late, while its candle can still be changed."""
    reach_ms = (RING - 1) * 1000
    keys = [row["timestamp_ms"] + data.draw(st.integers(0, reach_ms)) for row in rows]
    shuffled = [rows[0], *(rows[k] for k in sorted(range(1, len(rows)), key=lambda k: keys[k]))]
    end = frame(low=rows[-1]["timestamp_ms"] + 60_000)

    ordered, _ = in_one_process(make, [frame(low=MIDNIGHT_MS), frame(*rows), end])
    unruly, counts = in_one_process(make, [frame(low=MIDNIGHT_MS), frame(*shuffled), end])

    assume(not counts["too_late"])
    expected, actual = last_revisions(ordered), last_revisions(unruly)
    assert expected.keys() == actual.keys()
    for key, row in expected.items():
        assert [row[name] for name in TRUTH] == [actual[key][name] for name in TRUTH]


@settings(max_examples=80, deadline=None)
@given(tapes(), st.data())
def test_a_candle_is_partial_exactly_while_trades_are_missing_that_may_be_its(
    rows: list[Row], data: st.DataObject
) -> None:
    kept = [rows[0], *(row for row in rows[1:] if data.draw(st.integers(0, 3)))]
    missing = [row for row in rows if row not in kept and row["trade_id"] < kept[-1]["trade_id"]]
    come = data.draw(st.lists(st.sampled_from(missing), unique_by=lambda row: row["trade_id"])) if missing else []
    frames = [frame(low=MIDNIGHT_MS), frame(*kept, *come), frame(low=rows[-1]["timestamp_ms"] + 60_000)]

    out, counts = in_one_process(make, frames)

    seen = sorted([*kept, *come], key=lambda row: row["trade_id"])
    holes = [
        (left["timestamp_ms"], right["timestamp_ms"], right["first_id"] - left["trade_id"] - 1)
        for left, right in pairwise(seen)
        if right["first_id"] != left["trade_id"] + 1
    ]
    assert sum(count for _, _, count in holes) == counts["missing_ids"]
    newest = dict.fromkeys(LENGTHS, 0)
    final = last_revisions(out)
    for seconds, start in final:
        newest[seconds] = max(newest[seconds], start)
    for (seconds, start), row in final.items():
        if start <= newest[seconds] - RING * seconds * 1000:
            continue  # it left the ring with what was known then
        touched = any(since < start + seconds * 1000 and until >= start for since, until, _ in holes)
        assert touched == (row["quality"] == PARTIAL), (seconds, start - MIDNIGHT_MS)


def candle_of(prices: list[Decimal], sizes: list[Decimal]) -> Row:
    pairs = zip(prices, sizes, strict=True)
    rows = [trade(k, MIDNIGHT_MS + k, float(price), float(size)) for k, (price, size) in enumerate(pairs)]
    (row,) = rows_of(joined(in_one_process(lambda: make((60,)), [frame(*rows), frame(low=MIDNIGHT_MS + 60_000)])[0]))
    return row


decimals = st.tuples(st.integers(1, 10**15 - 1) | st.integers(1, 1000), st.integers(0, 8)).map(
    lambda pair: Decimal(pair[0]).scaleb(-pair[1])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(decimals, decimals), min_size=1, max_size=60))
def test_volumes_are_the_doubles_nearest_to_the_decimal_sums(parts: list[tuple[Decimal, Decimal]]) -> None:
    """Prices and sizes as venues write them, with 0 to 8 decimals, from 0.00000001 to thousands of millions."""
    prices, sizes = [price for price, _ in parts], [size for _, size in parts]

    with localcontext(prec=80):
        row = candle_of(prices, sizes)

        assert float(sum(sizes)) == row["volume"] == row["buy_volume"]
        assert float(sum(price * size for price, size in parts)) == row["quote_volume"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60))
def test_sizes_that_are_no_short_decimals_add_up_all_the_same(sizes: list[float]) -> None:
    row = candle_of([Decimal(3)] * len(sizes), [Decimal(size) for size in sizes])

    assert abs(math.fsum(sizes) - row["volume"]) <= math.ulp(row["volume"])
    assert abs(3 * math.fsum(sizes) - row["quote_volume"]) <= 2 * math.ulp(row["quote_volume"])


def test_a_whale_beside_a_dust_trade_is_counted_to_the_last_digit() -> None:
    """A double of 999999999999 does not tell hundred-millionths; its own digits do."""
    sizes = [Decimal("999999999999"), Decimal("0.00000001"), Decimal("123456789.5"), Decimal("0.5")]

    row = candle_of([Decimal("543300.19"), Decimal(1), Decimal("0.1"), Decimal("0.00000001")], sizes)

    assert float(sum(sizes)) == row["volume"]
    assert float("543300190011802378.760000015") == row["quote_volume"]


def test_ten_tenths_are_one() -> None:
    assert 1.0 == candle_of([Decimal(1)] * 10, [Decimal("0.1")] * 10)["volume"]
    naive = 0.0
    for _ in range(10):
        naive += 0.1  # `sum` itself compensates since Python 3.12
    assert 1.0 != naive
