"""Ids that begin anew: a new sequence is counted, what lies between the two is in doubt until history tells it."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.candles.conftest import Run
from tests.unit.candles.tape import at, forgetting_everything_between_frames, frame, in_one_process, joined, trade
from tests.unit.candles.test_history import history
from tests.unit.candles.test_properties import make
from tests.unit.candles.test_stage import minute
from tickcast.candles.stage import Candles, seen_ids
from tickcast.config import FlowSettings
from tickcast.events import Frame
from tickcast.sequences import RESTART_MS

OLD = 5_000_000


def test_trades_whose_ids_begin_anew_are_counted_and_the_time_between_is_partial(run: Run) -> None:
    """
    00:00        01:00   02:00   03:00         04:00
    | ..5000000  | flat  | flat  |    1   2 3  |
              └────── nobody knows ───┘
    """
    old = frame(trade(OLD - 1, "0:00"), trade(OLD, "0:50"), low="2:30")
    new = frame(trade(1, "3:10", price=90.0), trade(2, "3:20", price=90.0), trade(3, "3:50", price=90.0))

    rows = run(old, new, frame(trade(4, "4:10"), low="5:00"))

    final = {row["window_start_ms"]: row for row in rows}
    assert ["partial"] * 4 + ["complete"] == [row["quality"] for row in final.values()]
    assert [2, 0, 0, 3, 1] == [row["trade_count"] for row in final.values()]
    assert [90.0] == [row["close"] for row in final.values()][3:4]
    assert {"duplicates": 0, "overlapping": 0, "missing_ids": 0}.items() <= run.counts.items()


def test_a_candle_that_closed_flat_before_the_new_ids_came_takes_its_word_back(run: Run) -> None:
    rows = run(frame(low="0:00"), frame(trade(OLD, "0:50")), frame(low="3:00"), frame(trade(1, "3:10")))

    assert [(k, 0, "complete") for k in range(3)] == [minute(row) for row in rows[:3]]
    assert [(k, 1, "partial") for k in range(3)] == [minute(row) for row in rows[3:]]


def test_doubles_and_late_trades_keep_their_time_and_begin_nothing(run: Run) -> None:
    tape = [trade(7, "0:00"), trade(9, "2:50"), trade(8, "2:40"), trade(7, "0:00"), trade(9, "2:50")]

    run(frame(*tape), frame(low="3:00"), frame(trade(9, "2:50"), trade(8, "2:40")))

    assert (4, 0) == (run.counts["duplicates"], run.counts["overlapping"])


def test_an_old_id_that_is_only_a_little_later_is_a_double(run: Run) -> None:
    run(frame(trade(7, "0:00"), trade(7, at("0:00") + RESTART_MS)))
    assert 1 == run.counts["duplicates"]

    run(frame(trade(7, "0:00"), trade(7, at("0:00") + RESTART_MS + 1)))
    assert 0 == run.counts["duplicates"]


def test_an_old_id_is_no_beginning_while_its_time_is_not_the_newest(run: Run) -> None:
    """The newest id has a time that is wrong, far back: what is told again beside it is a double all the same."""
    run(frame(trade(7, "2:00"), trade(8, "0:10"), trade(7, "2:00")))

    assert 1 == run.counts["duplicates"]


def test_the_first_of_the_new_ids_may_come_out_of_order(run: Run) -> None:
    rows = run(
        frame(trade(OLD, "0:00")), frame(trade(3, "2:03"), trade(1, "2:01"), trade(2, "2:02"), trade(1, "2:01")),
        frame(trade(4, "2:59"), low="3:00"),
    )  # fmt: skip

    assert (4, "partial") == (rows[-1]["trade_count"], rows[-1]["quality"])
    assert (1, 0) == (run.counts["duplicates"], run.counts["missing_ids"])


def test_what_is_told_again_of_the_old_ids_is_no_trade_of_the_new_ones(run: Run) -> None:
    new = frame(trade(1, "2:10"), trade(2, "2:20"))

    rows = run(frame(trade(OLD, "0:50")), new, frame(trade(OLD, "0:50")), frame(trade(3, "3:10"), low="4:00"))

    assert 1 == run.counts["overlapping"]
    assert 0 == run.counts["missing_ids"]
    assert [(2, "partial"), (1, "complete")] == [(row["trade_count"], row["quality"]) for row in rows[-2:]]


def test_new_ids_that_come_as_history_of_all_the_time_leave_no_doubt(run: Run) -> None:
    told = history(trade(OLD, "0:50"), trade(1, "2:10"), trade(2, "2:20"), since="0:50", until="2:30")

    rows = run(frame(low="0:00"), frame(trade(OLD, "0:50")), told, frame(trade(3, "3:10"), low="4:00"))

    assert [(k, 0, "complete") for k in range(4)] == [minute(row) for row in rows]
    assert [1, 0, 2, 1] == [row["trade_count"] for row in rows]


def test_history_that_goes_on_where_the_last_line_ended_leaves_no_doubt_either(run: Run) -> None:
    first = history(trade(OLD, "0:50"), since="0:00", until="1:30")
    second = history(trade(1, "2:10"), trade(2, "2:20"), since="1:30", until="2:30")

    rows = run(frame(low="0:00"), first, second, frame(trade(3, "3:10"), low="4:00"))

    assert [(k, 0, "complete") for k in range(4)] == [minute(row) for row in rows]


def test_history_that_comes_later_and_tells_all_of_it_lifts_the_doubt(run: Run) -> None:
    new = frame(trade(3, "2:30"), low="3:00")
    told = history(trade(OLD, "0:50"), *(trade(k, f"2:{k}0") for k in (1, 2, 3)), since="0:00", until="3:00")

    rows = run(frame(low="0:00"), frame(trade(OLD, "0:50")), new, told, frame(trade(4, "3:10"), low="4:00"))

    assert [(k, 0, "partial") for k in range(3)] == [minute(row) for row in rows[:3]]
    assert [(k, 0, "repaired") for k in range(3)] == [minute(row) for row in rows[3:6]]
    assert [(3, 0, "complete")] == [minute(row) for row in rows[6:]]
    assert 3 == rows[5]["trade_count"]


def test_history_that_does_not_reach_back_to_the_old_ids_proves_nothing(run: Run) -> None:
    told = history(*(trade(k, f"2:{k}0") for k in (1, 2)), since="2:00", until="3:00")

    rows = run(frame(low="0:00"), frame(trade(OLD, "0:50")), told)

    assert ["partial"] * 3 == [row["quality"] for row in rows]


def test_a_hole_in_the_old_ids_stays(run: Run) -> None:
    rows = run(frame(low="0:00"), frame(trade(5, "0:10"), trade(8, "0:50")), frame(trade(1, "2:10"), low="3:00"))

    assert ["partial"] * 3 == [row["quality"] for row in rows]
    assert 2 == run.counts["missing_ids"]


def test_history_older_than_the_ring_is_rebuilt_over_a_new_beginning(run: Run) -> None:
    """Fetched when all its windows have long been forgotten: two sequences in one line."""
    rows = [trade(OLD - 1, "0:10"), trade(OLD, "0:50"), trade(1, "2:10"), trade(2, "2:20"), trade(3, "3:10")]
    told = history(*rows, since="0:00", until="4:00")

    made = run(frame(trade(7, "60:10"), low="61:00"), told)

    rebuilt = [row for row in made if row["window_start_ms"] < at("4:00")]
    assert [2, 0, 2, 1] == [row["trade_count"] for row in rebuilt]
    assert ["complete"] * 4 == [row["quality"] for row in rebuilt]


def test_aggregates_and_ids_that_stand_alone_begin_anew_too(run: Run) -> None:
    run(frame(trade(OLD, "0:00", first_id=OLD - 9)), frame(trade(5, "1:10", first_id=1), trade(9, "1:11", first_id=6)))
    assert (0, 0) == (run.counts["overlapping"], run.counts["missing_ids"])

    run(frame(trade(OLD, "0:00", first_id=-1)), frame(trade(5, "1:10", first_id=-1), trade(5, "1:10", first_id=-1)))
    assert (1, 0) == (run.counts["duplicates"], run.counts["overlapping"])


def test_the_feed_is_told_the_new_ids_only() -> None:
    stage = Candles(FlowSettings())
    state = stage.new()
    stage.step(state, frame(trade(OLD, "0:00"), trade(2, "1:00"), trade(5, "1:05")))

    assert [(2, 2, at("1:00"), at("1:00")), (5, 5, at("1:05"), at("1:05"))] == seen_ids(state)

    stage.step(state, history(*(trade(k, f"1:0{k - 1}") for k in (3, 4)), since="0:00", until="2:00"))

    assert [(0, 5, at("0:00"), at("1:05"))] == seen_ids(state)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.integers(1, 30_000)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_sequences_are_folded_alike_however_frames_are_cut(
    steps: list[tuple[bool, int, int]], chance: random.Random
) -> None:
    number, time, tape = 100, at("0:00"), []
    for anew, ids, later in steps:
        number, time = (1, time + RESTART_MS + later) if anew else (number + ids, time + later)
        tape.append(trade(number, time))
    cuts = sorted(chance.sample(range(len(tape)), len(tape) // 3))
    whole = [frame(*tape)]
    parts = [frame(*tape[a:b]) for a, b in zip([0, *cuts], [*cuts, len(tape)], strict=True) if a < b]

    expected, counts = in_one_process(lambda: make((60,)), whole)
    for way in (in_one_process, forgetting_everything_between_frames):
        found, found_counts = way(lambda: make((60,)), parts)
        assert (counts, _bits(expected)) == (found_counts, _bits(found))
    assert 0 == counts["duplicates"] == counts["overlapping"]


def _bits(frames: list[Frame]) -> dict[str, bytes]:
    return {name: column.tobytes() for name, column in joined(frames).items()}
