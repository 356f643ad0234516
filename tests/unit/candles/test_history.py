"""Fetched history: what was missing comes back, each candle is issued once for it, and no window is too old."""

from __future__ import annotations

from itertools import pairwise

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
    revision_of,
    rows_of,
    trade,
)
from tests.unit.candles.test_properties import TRUTH, make, tapes
from tickcast.candles.rebuild import REVISION_FROM
from tickcast.candles.stage import Candles
from tickcast.events import PARTIAL, QUALITY, TRADES, Frame

MINUTE_MS = 60_000


def history(*rows: Row, since: str | int, until: str | int) -> Frame:
    """All trades of [since, until), as they were fetched."""
    since_ms, until_ms = (at(word) if isinstance(word, str) else word for word in (since, until))
    return Frame("trades", "binance", "BTCUSDT", until_ms, TRADES.rows(rows), whole_from_ms=since_ms)


def minute(row: Row) -> tuple[int, int, str]:
    return (row["window_start_ms"] - MIDNIGHT_MS) // MINUTE_MS, revision_of(row), row["quality"]


def test_history_issues_each_candle_that_it_changes_once_as_repaired(run: Run) -> None:
    """
    00:00    01:00    02:00
    | 1      |        |  9        2 to 8 are missing, and come at once
    """
    holed = frame(trade(1, "0:00"), trade(9, "2:10"), low="3:00")
    missing = [trade(k, f"{k // 5}:{k * 5}", price=100.0 + k) for k in range(2, 9)]

    rows = run(holed, history(*missing, since="0:00", until="3:00"))

    assert [(0, 0, "partial"), (1, 0, "partial"), (2, 0, "partial")] == [minute(row) for row in rows[:3]]
    assert [(0, 0, "repaired"), (1, 0, "repaired"), (2, 0, "repaired")] == [minute(row) for row in rows[3:]]
    assert [4, 4, 1] == [row["trade_count"] for row in rows[3:]]
    assert 0 == run.counts["missing_ids"]


def test_history_before_the_first_live_trade_makes_the_first_candle_whole(run: Run) -> None:
    rows = run(history(trade(1, "0:40"), since="0:00", until="0:50"), frame(trade(2, "0:55"), low="2:00"))

    assert [(0, 0, "complete"), (1, 0, "complete")] == [minute(row) for row in rows]


def test_history_that_comes_after_the_first_live_trade_makes_the_first_candle_whole_too(run: Run) -> None:
    rows = run(frame(trade(2, "0:55"), low="3:00"), history(trade(1, "0:40"), since="0:00", until="2:00"))

    assert [(0, 0, "partial"), (1, 0, "complete"), (2, 0, "complete")] == [minute(row) for row in rows[:3]]
    assert [(0, 0, "repaired")] == [minute(row) for row in rows[3:]]
    assert 2 == rows[3]["trade_count"]


def test_history_of_a_pair_that_was_quiet_since_it_was_watched_begins_its_windows(run: Run) -> None:
    """It was listened to from 9:00 on, and nothing came; all that it ever traded is older."""
    told = history(trade(1, "0:30"), trade(2, "2:30"), since="0:00", until="9:00")

    rows = run(frame(low="9:00"), frame(low="12:00"), told, frame(trade(3, "12:30"), low="13:00"))

    assert [(k, 0, "complete") for k in range(13)] == [minute(row) for row in rows]


def test_empty_history_proves_that_a_blind_time_was_quiet(run: Run) -> None:
    """Nobody watched from 0:30 to 3:00, and the venue says that there was nothing to see."""
    seen = frame(trade(1, "0:20"), low="0:30")

    rows = run(frame(low="0:00"), seen, frame(low="3:00", blind="0:30"), history(since="0:30", until="3:00"))

    assert ["partial", "partial", "partial"] == [row["quality"] for row in rows[:3]]
    assert [(0, 0, "repaired"), (1, 0, "repaired"), (2, 0, "repaired")] == [minute(row) for row in rows[3:]]


def test_history_that_begins_too_late_leaves_the_time_before_it_blind(run: Run) -> None:
    late = history(trade(7, "2:30", first_id=-1), since="2:00", until="3:00")
    late.blind_from_ms = at("0:30")

    rows = run(frame(low="0:00"), frame(trade(1, "0:20", first_id=-1), low="0:30"), late)

    assert ["partial", "partial", "complete"] == [row["quality"] for row in rows]


def test_windows_that_the_ring_has_forgotten_are_rebuilt(run: Run) -> None:
    """An hour later only history that holds whole minutes can tell what was in them."""
    tape = [trade(k, f"{k}:30", price=100.0 + k) for k in range(1, 70)]
    live = [row for row in tape if not 3 <= row["trade_id"] <= 5]

    rows = run(frame(low="0:00"), frame(*live, low="70:00"), history(*tape[1:6], since="2:00", until="7:00"))

    again = rows[69:]
    assert [2, 3, 4, 5, 6] == [minute(row)[0] for row in again]
    assert {"repaired"} == {row["quality"] for row in again}
    assert {REVISION_FROM + 1} == {row["revision"] for row in again}
    assert [103.0, 104.0, 105.0] == [row["close"] for row in again[1:4]]
    assert 0 == run.counts["too_late"]


def test_windows_that_were_closed_blindly_and_forgotten_are_rebuilt_once_history_tells_them_whole(run: Run) -> None:
    """Nobody watched from 0:30 to 61:00. An empty answer says that it was quiet; the ring reaches back half of that."""
    seen = frame(trade(1, "0:20"), low="0:30")
    quiet = history(since="0:30", until="61:00")

    whole = history(trade(1, "0:20"), since="0:00", until="61:00")

    rows = run(frame(low="0:00"), seen, frame(low="61:00", blind="0:30"), quiet, whole)

    final = {minute(row)[0]: row for row in rows}
    assert (61, {"repaired"}) == (len(final), {row["quality"] for row in final.values()})
    assert (1, 0) == (final[0]["trade_count"], final[1]["trade_count"])


def test_history_that_is_known_already_changes_nothing(run: Run) -> None:
    tape = [trade(k, f"{k}:30") for k in range(1, 70)]

    rows = run(frame(low="0:00"), frame(*tape, low="70:00"), history(*tape[1:6], since="2:00", until="7:00"))

    assert {0} == {row["revision"] for row in rows}
    assert 5 == run.counts["duplicates"]


def test_a_forgotten_trade_before_flat_windows_of_the_ring_moves_their_price(run: Run) -> None:
    """
    0:30    1:30 (missing)          flat ... flat      60:30
     100     200                     100 ...  100       300      all flats stood at 100, and stand at 200 now
    """
    tape = [trade(1, "0:30"), trade(2, "1:30", price=200.0), trade(3, "60:30", price=300.0)]

    rows = run(frame(low="0:00"), frame(tape[0], tape[2], low="61:00"), history(*tape, since="0:00", until="61:00"))

    final = {minute(row)[0]: row for row in rows}
    assert {200.0} == {final[k]["close"] for k in range(1, 60)}
    assert {"repaired"} == {row["quality"] for row in final.values()}


def test_a_newest_trade_that_was_missed_for_longer_than_the_ring_moves_the_price_of_what_was_flat(run: Run) -> None:
    """
    0:30    1:30 (stalled)   flat ... flat    61:00     nobody knew of the trade at 1:30, and nothing came after it
     100     200             100  ...  100
    """
    missed = trade(2, "1:30", price=200.0)

    rows = run(frame(low="0:00"), frame(trade(1, "0:30"), low="61:00"), history(missed, since="0:30", until="62:00"))

    final = {minute(row)[0]: row for row in rows}
    assert {200.0} == {final[k]["close"] for k in range(1, 62)}
    assert 62 == len(final)


def test_a_window_that_history_tells_in_two_halves_is_rebuilt_when_one_tells_it_whole(run: Run) -> None:
    """History from the middle of a forgotten minute knows a new trade; only the one from its beginning can place it."""
    new = trade(2, "1:40", price=200.0)
    half, whole = history(new, since="1:40", until="62:00"), history(trade(1, "1:20"), new, since="1:00", until="62:00")

    rows = run(frame(low="0:00"), frame(trade(1, "1:20"), low="61:00"), half, whole)

    final = {minute(row)[0]: row for row in rows}
    assert (2, 200.0, "repaired") == tuple(final[1][name] for name in ("trade_count", "close", "quality"))


def test_history_older_than_all_joins_line_to_line_without_a_seam(run: Run) -> None:
    """
    0:00          10:00             20:00          30:00          live from 2000:00 on
    | 1 ... 8     |     9 ... 14    |              |              lines begin with quiet minutes, one has nothing else
    """
    live = frame(*(trade(1000 + k, f"{2000 + k}:30") for k in range(50)), low="2050:00")
    first = [trade(1 + k, f"{k}:30", price=100.0 + k) for k in range(8)]
    second = [trade(9 + k, f"{14 + k}:30", price=200.0 + k) for k in range(6)]
    lines = [
        history(*first, since="0:00", until="10:00"),
        history(*second, since="10:00", until="20:00"),
        history(since="20:00", until="30:00"),
    ]

    rows = run(frame(low="1999:00"), live, *lines)

    old = {minute(row)[0]: row for row in rows if row["window_start_ms"] < at("1000:00")}
    assert list(range(30)) == sorted(old)
    assert {107.0} == {old[k]["close"] for k in range(8, 14)}
    assert {205.0} == {old[k]["close"] for k in range(19, 30)}
    assert {"complete"} == {row["quality"] for row in old.values()}


def test_a_trade_that_two_lines_of_history_lack_between_them_marks_what_it_may_have_changed(run: Run) -> None:
    live = frame(*(trade(1000 + k, f"{2000 + k}:30") for k in range(50)), low="2050:00")
    first, second = history(trade(1, "7:30"), since="0:00", until="10:00"), trade(3, "12:30")

    rows = run(frame(low="1999:00"), live, first, history(second, since="10:00", until="14:00"))

    old = {minute(row)[0]: row["quality"] for row in rows if row["window_start_ms"] < at("1000:00")}
    assert {10: "partial", 11: "partial", 12: "partial", 13: "complete"} == {k: old[k] for k in range(10, 14)}


def test_history_that_begins_apart_from_the_line_before_it_takes_no_price_from_there(run: Run) -> None:
    live = frame(*(trade(1000 + k, f"{2000 + k}:30") for k in range(50)), low="2050:00")
    apart = history(trade(9, "14:30"), since="11:00", until="20:00")

    rows = run(frame(low="1999:00"), live, history(trade(1, "0:30"), since="0:00", until="10:00"), apart)

    old = {minute(row)[0] for row in rows if row["window_start_ms"] < at("1000:00")}
    assert {*range(10), *range(14, 20)} == old


FIVE_MS = 5 * MINUTE_MS


def five() -> Candles:
    return make((60, 300))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 200 * MINUTE_MS - 1), min_size=5, max_size=50),
    st.integers(60, 190),
    st.sets(st.integers(1, 41), max_size=6),
)
def test_history_fetched_after_going_live_ends_as_if_it_had_come_first(
    moments: list[int], live_from: int, cuts: set[int]
) -> None:
    """Lines of any whole five minutes; those that the ring holds, and those that it has forgotten."""
    rows = [trade(100 + k, MIDNIGHT_MS + ms, price=100.0 + k % 7) for k, ms in enumerate(sorted(moments))]
    end_ms, live_ms = MIDNIGHT_MS + 42 * FIVE_MS, MIDNIGHT_MS + live_from * MINUTE_MS
    live = [row for row in rows if row["timestamp_ms"] >= live_ms]
    bounds = [MIDNIGHT_MS + k * FIVE_MS for k in sorted({0, 42, *cuts})]
    lines = [
        history(*(row for row in rows if since <= row["timestamp_ms"] < until), since=since, until=until)
        for since, until in pairwise(bounds)
    ]

    expected, _ = in_one_process(five, [frame(low=MIDNIGHT_MS), frame(*rows, low=end_ms)])
    actual, _ = in_one_process(five, [frame(low=live_ms), frame(*live, low=end_ms), *lines])

    final = {(row["candle_seconds"], row["window_start_ms"]): row for row in rows_of(joined(actual))}
    for row in rows_of(joined(expected)):
        found = final[row["candle_seconds"], row["window_start_ms"]]
        assert all(row[name] == found[name] for name in TRUTH if name != "quality")
        assert found["quality"] != PARTIAL


@settings(max_examples=120, deadline=None)
@given(tapes(), st.data())
def test_whatever_was_missed_the_candles_end_as_if_nothing_had_been(rows: list[Row], data: st.DataObject) -> None:
    kept = [rows[0], *(row for row in rows[1:] if data.draw(st.integers(0, 2)))]
    lost = [row for row in rows if row not in kept]
    end_ms = rows[-1]["timestamp_ms"] // MINUTE_MS * MINUTE_MS + 2 * MINUTE_MS
    start, end = frame(low=MIDNIGHT_MS), frame(low=end_ms)
    repairs: list[tuple[int, Frame]] = []
    for row in lost:
        left = max((k for k in kept if k["trade_id"] < row["trade_id"]), key=lambda k: k["trade_id"])
        right = min((k for k in kept if k["trade_id"] > row["trade_id"]), key=lambda k: k["trade_id"], default=None)
        since = left["timestamp_ms"] // MINUTE_MS * MINUTE_MS
        until = end_ms if right is None else -(-(right["timestamp_ms"] + 1) // MINUTE_MS) * MINUTE_MS
        whole = [one for one in rows if since <= one["timestamp_ms"] < until]
        first = len(kept) if right is None else kept.index(right) + 1
        repairs.append((data.draw(st.integers(first, len(kept))), history(*whole, since=since, until=until)))
    frames = [start]
    for place in range(len(kept) + 1):
        if place == len(kept):  # quiet, as it seems, until the last ones are fetched
            frames.append(frame(low=data.draw(st.integers(kept[-1]["timestamp_ms"], end_ms))))
        frames += [repair for after, repair in repairs if after == place]
        frames += [frame(kept[place])] if place < len(kept) else []

    expected, _ = in_one_process(make, [start, *(frame(row) for row in rows), end])
    way = data.draw(st.sampled_from([in_one_process, forgetting_everything_between_frames]))
    actual, counts = way(make, [*frames, end])

    assert 0 == counts["too_late"] == counts["missing_ids"]
    truth = {(r["candle_seconds"], r["window_start_ms"]): r for r in rows_of(joined(expected))}
    final: dict[tuple[int, int], Row] = {}
    for row in rows_of(joined(actual)):
        key = (row["candle_seconds"], row["window_start_ms"])
        assert key not in final or final[key]["revision"] < row["revision"]
        final[key] = row
    assert truth.keys() == final.keys()
    for key, row in truth.items():
        assert [row[name] for name in TRUTH] == [final[key][name] for name in TRUTH], key
        assert PARTIAL != final[key]["quality"], (key, QUALITY[final[key]["quality"]])
