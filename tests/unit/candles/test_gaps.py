"""What was not seen is said, and taken back when it has come."""

from __future__ import annotations

from tests.unit.candles.conftest import Run
from tests.unit.candles.tape import DAY_MS, at, frame, trade
from tests.unit.candles.test_stage import minute


def test_the_first_candle_is_partial_because_its_beginning_was_not_seen(run: Run) -> None:
    """
    00:00          01:00       02:00
    |    ^ 1       |     2     |
    partial         complete
    """
    rows = run(frame(trade(1, "0:30"), trade(2, "1:30"), low="2:00"))

    assert [minute(row) for row in rows] == [(0, 0, "partial"), (1, 0, "complete")]


def test_the_first_candle_is_complete_if_time_was_observed_before_it(run: Run) -> None:
    assert [r["quality"] for r in run(frame(low="0:00"), frame(trade(1, "0:30")), frame(low="1:00"))] == ["complete"]
    assert [r["quality"] for r in run(frame(low="0:10"), frame(trade(1, "0:30")), frame(low="1:00"))] == ["partial"]


def test_a_partial_candle_counts_below_every_whole_one(run: Run) -> None:
    """The venue's own candle has its place between them."""
    rows = run(frame(trade(1, "0:30"), trade(9, "1:30"), low="2:00"), frame(trade(2, "0:40")), frame(trade(3, "0:50")))

    assert [-1_000_000, -999_999, -999_998] == [row["revision"] for row in rows if row["window_start_ms"] == at("0:00")]


def test_missing_ids_make_every_candle_partial_that_they_may_belong_to(run: Run) -> None:
    """
    00:00     01:00     02:00     03:00    04:00
    |  1   2  |         |   5     |   6    |
           └─ 3 and 4 are missing ┘
    """
    tape = [trade(1, "0:00"), trade(2, "0:50"), trade(5, "2:10"), trade(6, "3:10")]

    rows = run(frame(*tape, low="4:00"))

    assert [minute(r) for r in rows] == [(0, 0, "partial"), (1, 0, "partial"), (2, 0, "partial"), (3, 0, "complete")]
    assert run.counts["missing_ids"] == 2


def test_a_hole_that_ends_with_a_candle_s_first_millisecond_touches_it(run: Run) -> None:
    """
    00:00     01:00     02:00     03:00    04:00
    |  1      |         2         4        |
                        └ 3 is missing ┘     it may be of 2:00, or of 3:00.000
    """
    tape = [trade(1, "0:00"), trade(2, "2:00"), trade(4, "3:00")]

    rows = run(frame(low="0:00"), frame(*tape, low="4:00"))

    assert ["complete", "complete", "partial", "partial"] == [row["quality"] for row in rows]


def test_a_hole_that_ends_before_a_candle_or_begins_at_its_end_does_not_touch_it(run: Run) -> None:
    tape = [trade(1, "0:00"), trade(2, "1:00"), trade(4, "1:59.999"), trade(5, "2:00")]

    rows = run(frame(low="0:00"), frame(*tape, low="3:00"))

    assert ["complete", "partial", "complete"] == [row["quality"] for row in rows]


def test_missing_trades_that_come_repair_the_candles(run: Run) -> None:
    holed = frame(trade(1, "0:00"), trade(2, "0:50"), trade(5, "2:10"), low="3:00")

    rows = run(holed, frame(trade(3, "0:55")), frame(trade(4, "2:05")))

    assert [minute(row) for row in rows[:3]] == [(0, 0, "partial"), (1, 0, "partial"), (2, 0, "partial")]
    assert [minute(row) for row in rows[3:4]] == [(0, 1, "partial")]  # 3 came, 4 may still belong to it
    assert [minute(row) for row in rows[4:]] == [(0, 0, "repaired"), (1, 0, "repaired"), (2, 0, "repaired")]
    assert run.counts["missing_ids"] == 0


def test_a_candle_is_whole_again_although_the_next_one_is_not(run: Run) -> None:
    """The hole behind 3 begins with the next minute's first millisecond."""
    tape = [trade(1, "0:00"), trade(3, "1:00"), trade(5, "1:59.999")]

    rows = run(frame(low="0:00"), frame(*tape), frame(trade(2, "0:30")), frame(low="2:00"))

    assert [(0, 0, "partial"), (0, 0, "repaired"), (1, 0, "partial")] == [minute(row) for row in rows]


def test_a_hole_that_shrinks_repairs_what_it_no_longer_touches(run: Run) -> None:
    holed = frame(trade(1, "0:00"), trade(4, "2:10"), low="3:00")

    rows = run(holed, frame(trade(2, "1:05")))

    assert [minute(row) for row in rows[3:]] == [(0, 0, "repaired"), (1, 1, "partial")]


def test_a_hole_found_after_a_quiet_candle_takes_its_word_back(run: Run) -> None:
    """
    00:00   01:00   02:00
    |  1    | flat  |   3      3 tells that 2 is missing: the flat minute was not quiet, perhaps
    """
    rows = run(frame(trade(1, "0:00")), frame(low="2:00"), frame(trade(3, "2:10")))

    assert [minute(r) for r in rows] == [(0, 0, "complete"), (1, 0, "complete"), (0, 1, "partial"), (1, 1, "partial")]


def test_a_hole_over_a_day_is_not_filled(run: Run) -> None:
    later = at("0:30") + DAY_MS + 2 * 60_000

    rows = run(frame(trade(1, "0:00"), trade(9, later), low=later + 90_000))

    assert [minute(row) for row in rows] == [(0, 0, "partial"), (1442, 0, "partial"), (1443, 0, "complete")]


def test_only_the_newest_holes_are_remembered(run: Run) -> None:
    """Each trade stands alone, a hole between any two: of 70 intervals the seven oldest are one."""
    tape = [trade(2 * k, f"0:{k * 0.5}") for k in range(70)]
    half = [trade(2 * k + 1, f"0:{k * 0.5 + 0.2}") for k in range(70)]

    run(frame(*tape, *half))

    assert (run.counts["duplicates"], 70 - run.counts["duplicates"]) == (6, 64)
    assert run.counts["missing_ids"] == 6


def test_a_hole_that_was_forgotten_leaves_its_open_candle_partial(run: Run) -> None:
    tape = [trade(1, "0:00"), *(trade(2 * k + 3, f"0:{k * 0.1}") for k in range(70))]
    rest = [trade(2 * k + 2, f"0:{k * 0.1}") for k in range(70)]

    (row,) = run(frame(*tape, *rest), frame(low="1:00"))

    assert row["quality"] == "partial"


def test_blindness_means_nothing_if_the_ids_join(run: Run) -> None:
    """
    00:00    01:00   02:00
    |  1     |       |  2
         ^~~~~~~~~~~~~^ not observed, but no id is missing
    """
    rows = run(frame(trade(1, "0:00")), frame(trade(2, "2:10"), blind="0:40"), frame(low="3:00"))

    assert [minute(row) for row in rows] == [(0, 0, "complete"), (1, 0, "complete"), (2, 0, "complete")]


def test_candles_that_close_in_doubt_are_repaired_when_the_ids_join(run: Run) -> None:
    rows = run(frame(trade(1, "0:00")), frame(low="1:20", blind="0:40"), frame(low="3:00"), frame(trade(2, "3:10")))

    assert [minute(row) for row in rows[:3]] == [(0, 0, "partial"), (1, 0, "partial"), (2, 0, "complete")]
    assert [minute(row) for row in rows[3:]] == [(0, 0, "repaired"), (1, 0, "repaired")]


def test_candles_that_close_in_doubt_stay_partial_if_ids_are_missing(run: Run) -> None:
    rows = run(frame(trade(1, "0:00")), frame(low="1:20", blind="0:40"), frame(trade(3, "1:30")), frame(low="3:00"))

    assert [minute(row) for row in rows] == [(0, 0, "partial"), (1, 0, "partial"), (2, 0, "complete")]


def test_blindness_stays_where_ids_are_not_consecutive(run: Run) -> None:
    def point(number: int, clock: str) -> dict[str, object]:
        return trade(number, clock, first_id=-1)

    first, second = frame(point(1, "0:00")), frame(point(70, "2:10"), blind="1:40")

    rows = run(frame(low="0:00"), first, second, frame(point(80, "3:10")), frame(low="4:00"))

    assert [minute(row) for row in rows] == [
        (0, 0, "complete"), (1, 0, "partial"), (2, 0, "partial"), (3, 0, "complete"),
    ]  # fmt: skip


def test_two_blind_spans_leave_the_time_between_them_whole(run: Run) -> None:
    """
    00:00   01:00   02:00   03:00   04:00
    |  1 ~~~|~~     |       |   ~~~ |
             partial complete partial
    """
    frames = [
        frame(trade(1, "0:00", first_id=-1)), frame(low="1:10", blind="0:30"), frame(low="3:20"),
        frame(low="3:50", blind="3:20"), frame(trade(9, "5:10", first_id=-1)),
    ]  # fmt: skip

    rows = run(*frames)

    assert [row["quality"] for row in rows] == ["partial", "partial", "complete", "partial", "complete"]


def test_blindness_before_the_first_evidence_tells_nothing_new(run: Run) -> None:
    rows = run(frame(trade(1, "0:00"), blind=at("0:00") - 5000), frame(low="1:00"))

    assert [minute(row) for row in rows] == [(0, 0, "complete")]
