"""The journal keeps what came, in the order in which it came."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.journal.kit import DAY_NS, START_NS, message, raws, read_back, reopen
from tickcast.clock import ManualClock
from tickcast.errors import JournalError
from tickcast.journal.journal import Journal
from tickcast.journal.reading import Position
from tickcast.sources.blocks import decode_line
from tickcast.sources.contract import Message

BATCHES = st.lists(
    st.lists(st.builds(Message, st.integers(0, START_NS * 2), st.sampled_from(["binance", "kraken"]), st.binary()))
)


def day_files(root: Path, exchange: str = "binance") -> list[str]:
    return sorted(entry.name for entry in (root / "raw" / exchange).iterdir())


def test_live_gets_exactly_the_bytes_that_were_journaled(journal: Journal, tmp_path: Path) -> None:
    messages = [message(1), message(2, exchange="kraken"), message(3)]

    blocks = journal.append(messages)

    assert ["binance", "kraken"] == [block.exchange for block in blocks]
    for block in blocks:
        assert block.lines == (tmp_path / "raw" / block.exchange / "20240809.ndjson").read_bytes()
    assert [message(1), message(3)] == [Message(*decode_line(line)) for line in blocks[0].lines.splitlines()]


@given(batches=BATCHES)
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_any_time_come_back_unchanged_and_in_order(batches: list[list[Message]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with reopen(root) as journal:
            returned = [block for batch in batches for block in journal.append(batch)]
        for exchange in ("binance", "kraken"):
            expected = [m.raw for batch in batches for m in batch if m.exchange == exchange]
            handed_on = b"".join(block.lines for block in returned if block.exchange == exchange)

            assert expected == read_back(root, exchange)
            assert expected == [decode_line(line)[2] for line in handed_on.splitlines()]


def test_messages_on_both_sides_of_midnight_go_to_two_files(journal: Journal, tmp_path: Path) -> None:
    """
    23:59:59.999999999 | 00:00:00
                     0 | 1
    """
    blocks = journal.append([message(0, START_NS + DAY_NS - 1), message(1, START_NS + DAY_NS)])

    assert 2 == len(blocks)
    assert ["20240809.ndjson", "20240810.ndjson"] == day_files(tmp_path)
    assert raws(2) == read_back(tmp_path)


def test_a_receive_clock_that_steps_back_never_writes_into_an_older_day(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0, START_NS)])
    journal.append([message(1, START_NS - 1), message(2, 0)])

    assert ["20240809.ndjson"] == day_files(tmp_path)
    assert raws(3) == read_back(tmp_path)


def test_a_clock_that_steps_back_behind_a_sealed_day_writes_into_the_day_after_it(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([message(0)])
    journal.seal_closed("20240810")
    journal.append([message(1)])

    assert ["20240809.ndjson.zst", "20240809.ndjson.zst.sha256", "20240810.ndjson"] == day_files(tmp_path)
    assert raws(2) == read_back(tmp_path)


def test_the_same_holds_after_a_restart(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0)])
    journal.seal_closed("20240810")
    with reopen(tmp_path) as again:
        assert Position("20240809", len(b'{"r":1723161600000000000,"x":"binance","m":{"n":0}}\n')) == again.position(
            "binance"
        )
        again.append([message(1)])

    assert raws(2) == read_back(tmp_path)


def test_reading_goes_on_behind_a_position_even_when_the_day_was_sealed_in_between(
    journal: Journal, tmp_path: Path
) -> None:
    journal.append([message(n) for n in range(3)])
    kept = journal.position("binance")
    journal.append([message(n) for n in range(3, 5)])
    journal.append([message(5, START_NS + DAY_NS)])
    journal.seal_closed("20240810")

    assert raws(3, 3) == read_back(tmp_path, after=kept)


def test_each_block_comes_with_the_place_behind_it(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(n, START_NS + n * DAY_NS // 3) for n in range(9)])
    journal.seal_closed("20240810")

    for block, place in journal.read("binance", max_bytes=60):
        seen = [decode_line(line)[2] for line in block.lines.splitlines()][-1]

        assert raws(9)[raws(9).index(seen) + 1 :] == read_back(tmp_path, after=place)
    assert place == journal.position("binance")


def test_a_position_survives_json_and_orders_as_time_does() -> None:
    place = Position("20240809", 10**12)

    assert place == Position(*json.loads(json.dumps(place)))
    assert Position("", 0) < Position("20240809", 5) < place < Position("20240810", 0)


def test_a_line_that_is_longer_than_a_block_is_read_whole(journal: Journal, tmp_path: Path) -> None:
    long = Message(START_NS, "binance", json.dumps("x" * 5000).encode())
    journal.append([message(0), long, message(1)])

    blocks = list(journal.read("binance", max_bytes=100))

    assert [message(0).raw, long.raw, message(1).raw] == [
        decode_line(line)[2] for block, _ in blocks for line in block.lines.splitlines()
    ]


def test_a_line_that_is_still_being_written_is_not_read(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0)])
    with (tmp_path / "raw/binance/20240809.ndjson").open("ab") as other:
        other.write(b'{"r":1,"x":"binance","m":{"n"')

    assert raws(1) == read_back(tmp_path)


def test_a_position_behind_the_end_is_refused_with_what_to_do(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0)])
    day, offset = journal.position("binance")

    for wrong in (offset + 1, offset - 1):
        with pytest.raises(JournalError, match=rf"no line that ends at byte {wrong}.*tickcast replay"):
            read_back(tmp_path, after=Position(day, wrong))
    journal.seal_closed("20240810")
    with pytest.raises(JournalError, match="no line that ends at byte"):
        read_back(tmp_path, after=Position(day, offset + 1))


def test_an_exchange_that_was_never_seen_has_nothing_to_read(journal: Journal) -> None:
    assert [] == list(journal.read("kraken"))
    assert Position("", 0) == journal.position("kraken")
    assert [] == journal.exchanges()
    assert [] == journal.append([])


def test_lines_reach_the_disk_when_the_oldest_has_waited_long_enough(
    journal: Journal, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    0 ms      60 ms     100 ms
    append    append    sync, once for both
    """
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal.append([message(0)])
    clock.sleep(0.06)
    journal.append([message(1)])

    assert not journal.maybe_sync()
    clock.sleep(0.05)
    assert 0.11 == pytest.approx(journal.unsynced_s(), abs=1e-3)
    assert journal.maybe_sync()
    assert not journal.maybe_sync()
    assert 1 == len(synced)
    assert (0.0, clock.monotonic_s()) == (journal.unsynced_s(), journal.synced_s)


def test_all_is_on_the_disk_after_a_sync_and_after_closing(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal = Journal(tmp_path, fsync_ms=100, clock=clock, keep_days=30)
    journal.append([message(0), message(0, exchange="kraken")])
    journal.sync()

    assert 2 == len(synced)
    journal.append([message(1)])
    journal.close()
    journal.close()
    assert 3 == len(synced)


def test_the_day_that_ended_is_on_the_disk_before_the_next_is_all_that_is_synced(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal.append([message(0)])
    journal.append([message(1, START_NS + DAY_NS)])

    assert 1 == len(synced)


def test_an_exchange_name_can_not_lead_out_of_the_journal(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="is no name for a folder"):
        journal.append([message(0), message(1, exchange="../elsewhere")])

    assert [] == read_back(tmp_path)
