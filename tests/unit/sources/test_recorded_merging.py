"""A recording of several files: the same messages in the same order, however they are split, named and packed."""

from __future__ import annotations

import gzip
import itertools
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sources.recordings import NS, START_NS, lines_of, replayed, stamped, trade, write
from tickcast.errors import DataError
from tickcast.sources.recorded import open_recording


@given(
    seconds=st.lists(st.integers(1, 1000), unique=True, max_size=40),
    cuts=st.randoms(use_true_random=False),
    chunk=st.integers(1, 5000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_recording_split_over_files_is_put_together_again(
    tmp_path: Path, seconds: list[int], cuts: random.Random, chunk: int
) -> None:
    """
    a |-1--3--------5-|
    b    |-2--4-|            1 2 3 4 5, however they are named and however large the pieces are that are read
    """
    whole = sorted({*seconds, 0})
    parts: list[list[int]] = [[], [], []]
    for second in whole:
        cuts.choice(parts).append(second)
    paths = []
    for n, part in enumerate(parts):
        if part:
            packed = gzip.compress if n == 1 else bytes
            (tmp_path / str(n)).write_bytes(packed(b"\n".join(stamped(*part))))
            paths.append(tmp_path / str(n))
    cuts.shuffle(paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickcast.sources.recorded_bytes.line_chunks.__defaults__", (chunk,))
        patch.setattr("tickcast.sources.recorded_merge.merge.__defaults__", (chunk,))
        found = replayed(*paths)
    assert [(START_NS + s * NS, trade(s)) for s in whole] == found


def test_equal_receive_times_are_ordered_by_content_not_by_name(tmp_path: Path) -> None:
    first, second = b"%d %b" % (START_NS, trade(1)), b"%d %b" % (START_NS, trade(2))
    one = replayed(write(tmp_path / "a", first), write(tmp_path / "b", second))
    two = replayed(write(tmp_path / "a", second), write(tmp_path / "b", first))

    assert one == two


def test_of_equal_receive_times_the_file_that_began_first_comes_first(tmp_path: Path) -> None:
    """
    a |-1-----5-|
    b |----2--5-|     1 2 5(a) 5(b)
    """
    a, b = (
        write(tmp_path / "a", *stamped(1, 5)),
        write(tmp_path / "b", *stamped(2), stamped(5)[0].replace(b'"1"', b'"9"')),
    )

    for paths in ((a, b), (b, a)):
        assert [b'"1"', b'"1"', b'"1"', b'"9"'] == [raw[raw.index(b'"p":') + 4 :][:3] for _, raw in replayed(*paths)]


def test_a_file_keeps_its_own_order_even_where_its_clock_steps_back(tmp_path: Path) -> None:
    """
    a |-1--9--2--2--2-----------|
    b |-----3--4-------------10-|     1 3 4 9 2 2 2 10
    """
    a, b = write(tmp_path / "a", *stamped(1, 9, 2, 2, 2)), write(tmp_path / "b", *stamped(3, 4, 10))

    assert [trade(n) for n in (1, 3, 4, 9, 2, 2, 2, 10)] == [raw for _, raw in replayed(b, a)]


def test_files_without_receive_times_are_ordered_by_the_first_time_they_speak_of(tmp_path: Path) -> None:
    late, early = write(tmp_path / "a", trade(50), trade(60)), write(tmp_path / "b", trade(20), trade(90))

    assert [trade(n) for n in (20, 90, 50, 60)] == [raw for _, raw in replayed(late, early)]


def test_files_without_any_time_are_ordered_by_content(tmp_path: Path) -> None:
    texts = [trade(n, "kraken") for n in range(4)]
    orders = []
    for order in itertools.permutations(texts):
        paths = [write(tmp_path / str(n), text) for n, text in enumerate(order)]
        orders.append([raw for _, raw in replayed(*paths, exchange="kraken")])

    assert [orders[0]] * 24 == orders


def test_the_same_content_under_two_names_and_packings_is_read_once(tmp_path: Path) -> None:
    lines = stamped(*range(3000))
    plain = write(tmp_path / "a", *lines)
    (tmp_path / "b.gz").write_bytes(gzip.compress(plain.read_bytes()))
    longer = write(tmp_path / "c", *lines, *stamped(9999))
    recording = open_recording([tmp_path / "b.gz", plain, plain, longer])

    assert 6001 == len(lines_of(recording))
    assert [f"{tmp_path / 'b.gz'}: holds the same as {plain}, so it was read once."] == recording.notes


def test_an_empty_file_among_others_is_only_said(tmp_path: Path) -> None:
    recording = open_recording([write(tmp_path / "a"), write(tmp_path / "b", *stamped(1))])

    assert 1 == len(lines_of(recording))
    assert [f"{tmp_path / 'a'}: is empty."] == recording.notes


def test_what_is_not_there_or_holds_no_journal_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "raw/binance").mkdir(parents=True)

    with pytest.raises(DataError, match="does not exist"):
        open_recording([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"holds no journal.*name a data directory, or the captured files"):
        open_recording([tmp_path])
    with pytest.raises(DataError, match="is neither a file nor a directory"):
        open_recording([Path("/dev/null")])
    with pytest.raises(DataError, match="holds no messages"):
        open_recording([])


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x", trade(1))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"x: can not be read \(Permission denied\); name a file that exists"):
        open_recording([path])


def test_a_recording_can_be_replayed_again_and_tells_how_far_it_is(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a", *stamped(1, 3)), write(tmp_path / "b", *stamped(2))]
    recording = open_recording(paths)
    first = lines_of(recording)

    assert recording.total_bytes == recording.read_bytes == sum(p.stat().st_size for p in paths)
    assert first == lines_of(recording)
    assert recording.total_bytes == recording.read_bytes
