"""What a candle is, told in trades."""

from __future__ import annotations

from tests.unit.candles.conftest import Run
from tests.unit.candles.tape import DAY_MS, Row, at, frame, revision_of, trade


def ohlc(row: Row) -> tuple[float, ...]:
    return row["open"], row["high"], row["low"], row["close"]


def minute(row: Row) -> tuple[int, int, str]:
    """Which minute of the tape, which revision, what quality."""
    return (row["window_start_ms"] - at("0:00")) // 60_000, revision_of(row), row["quality"]


def test_a_candle_is_issued_by_the_first_trade_after_it(run: Run) -> None:
    """
    00:00            01:00
    |--100--130--90--|--95
                     ^ issues 100/130/90/90
    """
    tape = [trade(1, "0:00", 100), trade(2, "0:20", 130), trade(3, "0:59.999", 90), trade(4, "1:00", 95)]

    (row,) = run(frame(*tape))

    assert ohlc(row) == (100, 130, 90, 90)
    assert (at("0:00"), at("1:00"), 60) == (row["window_start_ms"], row["window_end_ms"], row["candle_seconds"])
    assert (3.0, 320.0, 3, at("1:00")) == (row["volume"], row["quote_volume"], row["trade_count"], row["known_at_ms"])


def test_the_low_of_a_frame_closes_a_candle_without_another_trade(run: Run) -> None:
    assert run(frame(trade(1, "0:01")), frame(low="0:59.999")) == []

    (row,) = run(frame(trade(1, "0:01")), frame(low="1:02"))

    assert at("1:02") == row["known_at_ms"]


def test_an_open_candle_is_not_issued_at_the_end(run: Run) -> None:
    assert run(frame(trade(1, "0:01"), trade(2, "0:59"))) == []


def test_quiet_minutes_close_flat_at_the_last_close(run: Run) -> None:
    """
    00:00     01:00   02:00   03:00
    |--100-7--|       |       |--8
              flat 7  flat 7
    """
    rows = run(frame(trade(1, "0:00", 100), trade(2, "0:30", 7), trade(3, "3:00", 8)))

    assert [ohlc(row) for row in rows] == [(100, 100, 7, 7), (7, 7, 7, 7), (7, 7, 7, 7)]
    assert [row["trade_count"] for row in rows] == [2, 0, 0]
    assert [row[name] for row in rows[1:2] for name in ("volume", "quote_volume")] == [0.0, 0.0]
    assert [row["quality"] for row in rows] == ["complete"] * 3


def test_open_and_close_are_the_least_and_greatest_time_and_id(run: Run) -> None:
    """Trades of one millisecond may come in any order; their ids say which was first."""
    tape = [trade(3, "0:30", 30), trade(2, "0:30", 20), trade(4, "0:30", 40), trade(1, "0:30", 10)]

    (row,) = run(frame(*tape), frame(low="1:00"))

    assert ohlc(row) == (10, 40, 10, 40)


def test_buy_volume_is_what_takers_bought(run: Run) -> None:
    tape = [
        trade(1, "0:00", 2, 0.1, is_buyer_maker=True),
        trade(2, "0:00", 2, 0.2, is_buyer_maker=False),
        trade(3, "0:01", 2, 0.4, is_buyer_maker=False),
    ]

    (row,) = run(frame(*tape), frame(low="1:00"))

    assert (row["volume"], row["buy_volume"], row["quote_volume"]) == (0.7, 0.6, 1.4)


def test_an_aggregate_counts_the_trades_that_it_covers(run: Run) -> None:
    (row,) = run(frame(trade(4, "0:00", first_id=1), trade(9, "0:01", first_id=5), low="1:00"))

    assert row["trade_count"] == 9


def test_a_late_trade_reissues_its_candle(run: Run) -> None:
    """
    00:00       01:00      02:00
    |--1--3-----|--4-------|--5
          2 comes here ^       one re-issue, revision 1
    """
    rows = run(frame(trade(1, "0:00", 10), trade(2, "0:30", 30), trade(3, "1:10", 40), trade(4, "0:40", 7), low="2:00"))

    assert [minute(row)[:2] for row in rows] == [(0, 0), (0, 1), (1, 0)]
    assert ohlc(rows[1]) == (10, 30, 7, 7)
    assert (3.0, 3, at("1:10")) == (rows[1]["volume"], rows[1]["trade_count"], rows[1]["known_at_ms"])
    assert run.counts["late"] == 1


def test_two_late_trades_reissue_it_twice(run: Run) -> None:
    rows = run(frame(trade(1, "0:00"), trade(2, "1:10"), trade(3, "0:40"), trade(4, "0:41")))

    assert [row["revision"] for row in rows] == [0, 1, 2]


def test_a_late_close_moves_the_flat_candles_behind_it(run: Run) -> None:
    """
    00:00   01:00   02:00   03:00
    |--10---| flat  | flat  |--50
          ^ a late 11: the flat ones, and the open minute's, follow
    """
    tape = [trade(1, "0:00", 10), trade(3, "3:00", 50)]

    rows = run(frame(*tape), frame(trade(2, "0:50", 11)))

    assert [minute(row) for row in rows[3:]] == [(0, 0, "repaired"), (1, 0, "repaired"), (2, 0, "repaired")]
    assert [ohlc(row) for row in rows[3:]] == [(10, 11, 10, 11), (11, 11, 11, 11), (11, 11, 11, 11)]


def test_a_late_close_moves_the_open_minute_that_has_no_trade_yet(run: Run) -> None:
    rows = run(frame(trade(1, "0:00", 10), low="1:30"), frame(trade(2, "0:50", 11)), frame(low="2:00"))

    assert ohlc(rows[-1]) == (11, 11, 11, 11)


def test_a_trade_older_than_the_ring_is_refused_and_counted(run: Run) -> None:
    """32 closed minutes can still change; the one before can not."""
    quiet = frame(trade(1, "0:00", 10), trade(2, "33:00", 10))

    assert len(run(quiet, frame(trade(3, "0:59", 99)))) == 33
    assert (run.counts["too_late"], run.counts["late"]) == (1, 0)
    assert len(run(quiet, frame(trade(3, "1:00", 99)))) == 34 + 31  # its minute, and the flat ones behind it
    assert (run.counts["too_late"], run.counts["late"]) == (0, 1)


def test_a_trade_before_the_first_candle_is_refused(run: Run) -> None:
    assert run(frame(trade(2, "5:00"), trade(1, "4:59"))) == []
    assert run.counts["too_late"] == 1


def test_a_doubled_trade_changes_nothing_and_is_counted(run: Run) -> None:
    once = [trade(1, "0:00", 1), trade(2, "0:30", 2), trade(3, "1:30", 3)]

    assert run(frame(*once)) == run(frame(once[0], once[0], once[1], once[0], once[2]), frame(*once))
    assert run.counts["duplicates"] == 5


def test_an_aggregate_that_was_partly_seen_is_refused(run: Run) -> None:
    (row,) = run(frame(trade(3, "0:00", first_id=1), trade(5, "0:01", first_id=3), low="1:00"))

    assert row["trade_count"] == 3
    assert (run.counts["overlapping"], run.counts["duplicates"]) == (1, 0)


def test_ids_that_are_not_consecutive_drop_doubles_and_tell_of_no_hole(run: Run) -> None:
    tape = [trade(k * 1000, f"{k}:00", first_id=-1) for k in range(4)]

    rows = run(frame(low="0:00"), frame(*tape, tape[1], tape[3]))

    assert [minute(row) for row in rows] == [(0, 0, "complete"), (1, 0, "complete"), (2, 0, "complete")]
    assert (run.counts["duplicates"], run.counts["missing_ids"]) == (2, 0)


def test_a_late_trade_is_late_also_where_its_id_is_the_newest(run: Run) -> None:
    tape = [trade(10, "0:10", 1, first_id=-1), trade(20, "1:10", 2, first_id=-1), trade(30, "0:50", 3, first_id=-1)]

    rows = run(frame(*tape), frame(low="2:00"))

    assert [(0, 0), (0, 1), (1, 0)] == [minute(row)[:2] for row in rows]
    assert (2, 2, 2, 2) == ohlc(rows[2])


def test_a_jump_of_time_over_a_day_starts_a_new_chain(run: Run) -> None:
    """Ids are joined, so nothing is missing; but nobody wants a year of flat candles."""
    later = at("0:00") + DAY_MS + 2 * 60_000

    rows = run(frame(trade(1, "0:30"), trade(2, later), low=later + 60_000))

    assert [minute(row) for row in rows] == [(0, 0, "partial"), (1442, 0, "complete")]
    assert run.counts["restarts"] == 1


def test_a_day_of_quiet_is_filled_with_flat_candles(run: Run) -> None:
    rows = run(frame(trade(1, "0:30"), trade(2, at("0:01") + DAY_MS)), candle_seconds=(1,))

    assert len(rows) == 86_400 - 29
    assert run.counts["restarts"] == 0


def test_each_length_is_issued_as_if_it_were_alone(run: Run) -> None:
    tape = [trade(k, f"{k}:{7 * k % 60}", 100 + k % 5) for k in range(12)]
    frames = [frame(*tape[:4], low="4:00"), frame(*tape[5:], tape[4], low="20:00")]

    together = run(*frames, candle_seconds=(15, 60, 300))

    for seconds in (15, 60, 300):
        assert run(*frames, candle_seconds=(seconds,)) == [r for r in together if r["candle_seconds"] == seconds]


def test_rows_are_in_the_order_of_their_issue(run: Run) -> None:
    rows = run(frame(*(trade(k, f"0:{k}") for k in range(10))), candle_seconds=(1, 5))

    assert sorted(row["known_at_ms"] for row in rows) == [row["known_at_ms"] for row in rows]
