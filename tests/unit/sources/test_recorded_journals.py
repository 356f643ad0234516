"""Journals and data directories as recordings: their own bytes, in the order of arrival."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sources.recordings import NS, START_NS, journal_of, lines_of, replayed, stamped, trade, write
from tickcast.errors import JournalError
from tickcast.sources import recorded_merge
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Message
from tickcast.sources.recorded import open_recording

DAY_NS = 86_400 * NS
BOOK = b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}'


def days(exchange: str = "binance") -> list[Message]:
    """Messages over three days; the receive clock steps back across the first midnight."""
    times = [0, 5, DAY_NS, DAY_NS - 7, DAY_NS + 1, 2 * DAY_NS, 2 * DAY_NS + 9]
    return [Message(START_NS + t, exchange, trade(n, exchange)) for n, t in enumerate(times)]


@pytest.mark.parametrize("sealed_before", ["", "20240810", "20240812"])
@pytest.mark.parametrize("where", [".", "raw", "raw/binance"])
def test_a_data_directory_is_replayed_in_the_order_of_arrival(tmp_path: Path, sealed_before: str, where: str) -> None:
    journal_of(tmp_path, days(), sealed_before)

    assert [(m.recv_ns, m.raw) for m in days()] == replayed(tmp_path / where)


def test_day_files_named_in_any_order_are_replayed_in_theirs(tmp_path: Path) -> None:
    journal_of(tmp_path, days(), "20240811")
    files = [f for f in (tmp_path / "raw/binance").iterdir() if f.suffix != ".sha256"]

    for order in itertools.permutations(files):
        assert [(m.recv_ns, m.raw) for m in days()] == replayed(*order)


def test_blocks_of_a_journal_are_the_journals_own_bytes(tmp_path: Path) -> None:
    journal_of(tmp_path, days())
    written = b"".join(f.read_bytes() for f in sorted((tmp_path / "raw/binance").iterdir()))

    assert written == b"".join(block.lines for block in open_recording([tmp_path]))


def test_a_journal_of_several_exchanges_gives_blocks_of_each(tmp_path: Path) -> None:
    mixed = [m for pair in zip(days(), days("kraken"), strict=True) for m in pair]
    journal_of(tmp_path, mixed)
    loose = write(tmp_path / "loose", *(encode_line(*m)[:-1] for m in mixed))
    other = write(tmp_path / "other", *stamped(2))

    for paths in ([tmp_path], [loose]):
        for exchange in ("binance", "kraken"):
            expected = [(m.recv_ns, m.raw) for m in days(exchange)]
            assert expected == lines_of(open_recording(paths), exchange)
    assert 8 == len(replayed(loose, other))
    assert 7 == len(replayed(loose, other, exchange="kraken"))


def test_exchanges_come_side_by_side_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_merge.merge, "__defaults__", (1,))
    early = write(tmp_path / "a", *stamped(1))
    middle = write(tmp_path / "b", b"%d %b" % (START_NS + 2 * NS, trade(1, "kraken")))
    late = write(tmp_path / "c", *stamped(3))

    assert ["binance", "kraken", "binance"] == [block.exchange for block in open_recording([late, middle, early])]


def test_the_plain_file_wins_where_a_sealed_one_stands_beside_it(tmp_path: Path) -> None:
    journal_of(tmp_path, days()[:2])
    (tmp_path / "raw/binance/20240809.ndjson.zst").write_bytes(b"half")

    assert 2 == len(replayed(tmp_path))


def test_a_sealed_day_that_was_changed_is_refused(tmp_path: Path) -> None:
    journal_of(tmp_path, days()[:2], "20240810")
    sealed = tmp_path / "raw/binance/20240809.ndjson.zst"
    data = bytearray(sealed.read_bytes())
    data[len(data) // 2] ^= 1
    sealed.write_bytes(data)

    with pytest.raises(JournalError, match=r"20240809\.ndjson\.zst: differs from its checksum"):
        list(open_recording([tmp_path]))


def test_a_sealed_day_without_checksums_is_read_and_said(tmp_path: Path) -> None:
    journal_of(tmp_path, days()[:2], "20240810")
    (tmp_path / "raw/binance/20240809.ndjson.zst.sha256").unlink()
    recording = open_recording([tmp_path])

    assert 2 == len(lines_of(recording))
    assert "has no checksums beside it" in recording.notes[0]


def test_a_line_that_is_still_being_written_is_left_out_and_said(tmp_path: Path) -> None:
    journal_of(tmp_path, days()[:2])
    with (tmp_path / "raw/binance/20240809.ndjson").open("ab") as file:
        file.write(b'{"r":17231616000')
    recording = open_recording([tmp_path])

    assert 2 == len(lines_of(recording))
    assert "ends in the middle of a line; its last 16 bytes were not read" in recording.notes[0]


@pytest.mark.parametrize("broken", [b"\0\0\0broken", encode_line(*days()[0])[:-1].replace(b"000000", b"00000x")])
def test_a_broken_line_within_a_journal_goes_on_to_be_set_aside(tmp_path: Path, broken: bytes) -> None:
    good = [encode_line(*m)[:-1] for m in days()[:2]]
    path = write(tmp_path / "x", good[0], broken, good[1])

    assert [trade(0), broken, trade(1)] == [raw for _, raw in replayed(path)]


@given(
    messages=st.lists(
        st.tuples(
            st.integers(START_NS, START_NS + 99) | st.integers(0, 5 * 10**18),
            st.sampled_from(["binance", "binance", "binance", "kraken"]),
            st.just(BOOK) | st.binary(max_size=40),
        ),
        min_size=1,
        max_size=40,
    ),
    chunk=st.integers(1, 1000),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_journal_comes_back_line_for_line(
    tmp_path: Path, messages: list[tuple[int, str, bytes]], chunk: int
) -> None:
    """The fast way (our own lines, all at once) and the slow way (line by line) may mix as they like."""
    path = tmp_path / "x"
    path.write_bytes(b"".join(encode_line(*m) for m in messages))

    found: dict[str, bytes] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickcast.sources.recorded_bytes.line_chunks.__defaults__", (chunk,))
        for block in open_recording([path]):
            found[block.exchange] = found.get(block.exchange, b"") + block.lines
    for exchange in ("binance", "kraken"):
        assert b"".join(encode_line(*m) for m in messages if m[1] == exchange) == found.get(exchange, b"")
