"""Candles that the venue made, beside those that are made from its trades: which one stands, whatever came first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.candles.conftest import Run
from tests.unit.candles.tape import (
    MIDNIGHT_MS,
    Row,
    at,
    forgetting_everything_between_frames,
    frame,
    in_one_process,
    joined,
    rows_of,
    trade,
)
from tests.unit.candles.test_history import history
from tests.unit.candles.test_properties import TRUTH, make
from tickcast.events import CANDLES, COMPLETE, PARTIAL, VENUE_CANDLES, Frame
from tickcast.store.resolve import resolve

MINUTE_MS = 60_000
OTHERS = 7.0
"""A price that no trade of these tests has: where it stands, the venue's candle does."""


def venue(*minutes: int, low: str | int = 0, quality: int = COMPLETE, price: float = OTHERS) -> Frame:
    """The venue's own candles of some minutes."""
    starts = [MIDNIGHT_MS + minute * MINUTE_MS for minute in minutes]
    rows = [
        {
            "candle_seconds": 60,
            "window_start_ms": start,
            "window_end_ms": start + MINUTE_MS,
            "trade_count": 3,
            "quality": quality,
            "known_at_ms": start + MINUTE_MS,
            **dict.fromkeys(("open", "high", "low", "close"), price),
            **dict.fromkeys(("volume", "quote_volume", "buy_volume"), 1.0),
        }
        for start in starts
    ]
    low_ms = at(low) if isinstance(low, str) else low
    return Frame(VENUE_CANDLES.name, "binance", "BTCUSDT", low_ms, CANDLES.rows(rows))


def stands(rows: list[Row]) -> list[tuple[int, str, str]]:
    """Of each minute: whose candle is the truth, and its label."""
    best: dict[int, Row] = {}
    for row in rows:
        known = best.get(row["window_start_ms"])
        if known is None or row["revision"] >= known["revision"]:
            best[row["window_start_ms"]] = row
    return [
        ((start - MIDNIGHT_MS) // MINUTE_MS, "venue" if row["close"] == OTHERS else "trades", row["quality"])
        for start, row in sorted(best.items())
    ]


WHOLE = (frame(low="0:00"), frame(*[trade(k, f"{k}:30") for k in range(60)], low="60:00"))
HOLED = (frame(low="0:00"), frame(*[trade(k, f"{k}:30") for k in range(60) if k not in (3, 41)], low="60:00"))
"""Windows 2 to 4, older than the ring, and 40 to 42, of the ring, are partial."""


def test_a_candle_of_the_venue_gives_way_to_the_one_made_from_trades(run: Run) -> None:
    for frames in ([*WHOLE, venue(3, 41)], [venue(3, 41), *WHOLE]):
        found = stands(run(*frames))

        assert [(3, "trades", "complete"), (41, "trades", "complete")] == [found[3], found[41]]


def test_a_candle_of_the_venue_mends_a_partial_one(run: Run) -> None:
    found = stands(run(*HOLED, venue(3, 41)))

    assert [(3, "venue", "repaired"), (41, "venue", "repaired")] == [found[3], found[41]]
    assert [(2, "trades", "partial"), (40, "trades", "partial")] == [found[2], found[40]]


def test_a_partial_candle_does_not_replace_the_venues_own(run: Run) -> None:
    found = stands(run(venue(3, 41), *HOLED))

    assert [(3, "venue", "complete"), (41, "venue", "complete")] == [found[3], found[41]]


def test_missing_trades_that_come_supersede_the_venues_candle(run: Run) -> None:
    """A late trade in the ring, history before it."""
    late = frame(trade(41, "41:30"))
    fetched = history(*[trade(k, f"{k}:30") for k in range(1, 7)], since="1:00", until="7:00")

    found = stands(run(*HOLED, venue(3, 41), late, fetched))

    assert [(3, "trades", "repaired"), (41, "trades", "repaired")] == [found[3], found[41]]


def test_a_window_that_only_the_venue_tells_of_stays_as_it_is(run: Run) -> None:
    rows = run(venue(1, 2, 3), venue(2))

    assert [(1, "venue", "complete"), (2, "venue", "complete"), (3, "venue", "complete")] == stands(rows)
    assert {row["window_end_ms"] for row in rows} == {row["known_at_ms"] for row in rows}


def test_what_mends_a_partial_candle_is_known_only_when_it_came(run: Run) -> None:
    rows = run(*HOLED, venue(3, 41))

    assert [at("60:00"), at("60:00")] == [row["known_at_ms"] for row in rows if row["close"] == OTHERS]


QUIET_THEN_HOLED = (
    frame(low="0:00"),
    frame(trade(1, "0:30"), low="4:00"),  # a proof of life said that minutes 1 to 3 were quiet
    frame(trade(9, "5:30"), low="6:00"),  # and it was wrong
)


def test_a_candle_that_turns_out_to_lack_trades_gives_way_to_the_venues(run: Run) -> None:
    first, second, third = QUIET_THEN_HOLED
    told = venue(1, 2)
    for frames in ([told, first, second, third], [first, second, told, third], [first, second, third, told]):
        found = stands(run(*frames))

        assert [(1, "venue"), (2, "venue")] == [row[:2] for row in found[1:3]]
        assert (3, "trades", "partial") == found[3]


def test_trades_that_still_leave_a_hole_do_not_take_the_venues_place_back(run: Run) -> None:
    for number in (4, 5):
        some = frame(trade(number, "1:15"))
        rest = frame(*[trade(k, "1:10" if k < number else "1:20") for k in range(2, 9) if k != number])

        mended = stands(run(*QUIET_THEN_HOLED, venue(1, 2), some))
        whole = stands(run(*QUIET_THEN_HOLED, venue(1, 2), some, rest))

        assert [(1, "venue"), (2, "venue")] == [row[:2] for row in mended[1:3]]
        assert [(1, "trades", "repaired"), (2, "trades", "repaired")] == whole[1:3]


def test_a_candle_that_lacked_trades_and_was_forgotten_by_the_ring_is_mended_too(run: Run) -> None:
    later = frame(*[trade(10 + k, f"{6 + k}:30") for k in range(60)], low="66:00")

    found = stands(run(*QUIET_THEN_HOLED, later, venue(1, 2)))

    assert [(1, "venue", "repaired"), (2, "venue", "repaired"), (3, "trades", "partial")] == found[1:4]


def test_history_that_still_has_a_hole_rebuilds_no_window_of_the_venue(run: Run) -> None:
    fetched = history(trade(2, "2:30"), trade(4, "4:30"), since="1:00", until="7:00")
    for frames in ([*HOLED, venue(3), fetched], [*HOLED, fetched, venue(3)], [venue(3), *HOLED, fetched]):
        assert (3, "venue") == stands(run(*frames))[3][:2]


def test_a_partial_candle_of_a_file_never_beats_one_made_from_trades(run: Run) -> None:
    """Our own files say what was seen in part; read in again, they tell nothing that the trades do not."""
    told = venue(2, 3, quality=PARTIAL)
    for frames in ([told, *HOLED], [*HOLED, told]):
        assert (3, "trades", "partial") == stands(run(*frames))[3]
    assert [(2, "venue", "partial"), (3, "venue", "partial")] == stands(run(told))


def test_candles_of_a_length_that_is_not_made_pass_unchanged(run: Run) -> None:
    told = venue(1)
    told.columns["candle_seconds"][:] = 15

    assert [15] == [row["candle_seconds"] for row in run(*WHOLE, told) if row["close"] == OTHERS]


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Live frames, some trades missing and some lows proved too early; trades that fill holes; the venue's candles."""
    steps = draw(st.lists(st.sampled_from([1000, 20_000, 60_000, 200_000]), min_size=4, max_size=24))
    time, tape = MIDNIGHT_MS + 1000, []
    for number, step in enumerate(steps, 1):
        time += step
        tape.append(trade(number, time, price=100.0 + number))
    end = time + MINUTE_MS
    missing = draw(st.sets(st.integers(2, len(tape)), max_size=6))
    live = [frame(low=MIDNIGHT_MS)]
    for row in tape:
        if row["trade_id"] not in missing:
            live.append(frame(row, low=row["timestamp_ms"] + draw(st.sampled_from([0, 0, 90_000]))))
    live.append(frame(low=end))
    filled = draw(st.sets(st.sampled_from(sorted(missing)), max_size=6)) if missing else set()
    late = [frame(row) for row in tape if row["trade_id"] in filled]
    minutes = list(range((end - MIDNIGHT_MS) // MINUTE_MS))
    told = draw(st.lists(st.sampled_from(minutes), max_size=8, unique=True))
    return live, late, [venue(minute, price=OTHERS + minute) for minute in told]


def truth(frames: list[Frame]) -> list[tuple[object, ...]]:
    """What a table holds in the end; whether a whole candle was once partial is a matter of order."""
    rows = rows_of(resolve(CANDLES, joined(frames)))
    names = ("window_start_ms", *TRUTH)
    return [(row["quality"] == PARTIAL, *(row[name] for name in names)) for row in rows]


@settings(max_examples=150, deadline=None)
@given(markets(), st.randoms(use_true_random=False))
def test_every_order_of_trades_gaps_and_venue_candles_ends_in_the_same_table(
    market: tuple[list[Frame], list[Frame], list[Frame]], chance: object
) -> None:
    """Live frames stay in their order, as a socket's do; late trades and the venue's candles come anywhere."""
    live, late, told = market
    before = [*told, *live, *late]
    merged = [*live, *late]
    for one in told:
        merged.insert(chance.randint(0, len(merged)), one)  # type: ignore[attr-defined]

    expected, _ = in_one_process(lambda: make((60,)), before)

    for way in (in_one_process, forgetting_everything_between_frames):
        out, _ = way(lambda: make((60,)), merged)
        assert truth(expected) == truth(out)
