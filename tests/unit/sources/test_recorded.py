"""Recordings of others and our own journals, replayed in an order that only their contents decide."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickcast.clock import ManualClock
from tickcast.errors import DataError, JournalError
from tickcast.journal.journal import Journal
from tickcast.sources import recorded_merge
from tickcast.sources.blocks import decode_line, encode_line
from tickcast.sources.contract import Message
from tickcast.sources.recorded import Recording, open_recording

NS = 1_000_000_000
START_NS = 1_723_161_600 * NS
DAY_NS = 86_400 * NS
BOOK = b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}'


def trade(n: int, exchange: str = "binance") -> bytes:
    """A small message that tells whose it is."""
    if exchange == "kraken":
        return b'{"channel":"trade","n":%d}' % n
    return b'{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"1","q":"1","T":%d,"m":true,"M":true}' % (
        START_NS // 1_000_000 + n,
        n,
        START_NS // 1_000_000 + n,
    )


def lines_of(recording: Recording, exchange: str = "binance") -> list[tuple[int, bytes]]:
    """Receive times and messages of one exchange, in order; each block holds whole lines of its exchange only."""
    found = []
    for block in recording:
        assert block.lines.endswith(b"\n")
        for line in block.lines.splitlines():
            recv_ns, whose, raw = decode_line(line)
            if block.exchange == exchange:
                assert exchange == whose
                found.append((recv_ns, raw))
    return found


def replayed(*paths: Path, exchange: str = "binance") -> list[tuple[int, bytes]]:
    return lines_of(open_recording(paths), exchange)


def write(path: Path, *lines: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def stamped(*seconds: int) -> list[bytes]:
    return [b"%d %b" % (START_NS + s * NS, trade(s)) for s in seconds]


def journal_of(root: Path, messages: Sequence[Message], sealed_before: str = "") -> Path:
    with Journal(root, fsync_ms=0, clock=ManualClock(), keep_days=0) as journal:
        journal.append(messages)
        if sealed_before:
            journal.seal_closed(sealed_before)
    return root


# --- what one file may look like -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "recv_ns"),
    [
        (b"%b", 0),
        (b"1723161600000000001 %b", START_NS + 1),
        (b"1723161600.5: %b", START_NS + NS // 2),
        (b"1723161600.123456789: %b", START_NS + 123_456_789),
        (b"1723161600: %b", START_NS),
        (b"1723161600001 %b", START_NS + 1_000_000),
        (b"https://api.binance.com/api/v3/trades -> 1723161600.5: %b", START_NS + NS // 2),
        (b'{"r":1723161600000000001,"x":"binance","m":%b}', START_NS + 1),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])
def test_each_way_of_writing_a_message_down_gives_its_bytes_and_time(
    tmp_path: Path, line: bytes, recv_ns: int, end: bytes
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf" + line % trade(1) + end + line % trade(2))

    assert [(recv_ns, trade(1)), (recv_ns, trade(2))] == replayed(path)


def test_what_the_recorder_wrote_for_itself_is_not_market_data(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x",
        b"wss://stream.binance.com:9443/stream?streams=a@trade <-> 1723161600.36",
        b'wss://stream.binance.com <- 1723161600.5: {"event":"subscribe","pair":["A"]}',
        b'configuration: {"trades":["A"]}',
        b"1723161601.0: " + trade(1),
    )

    assert [(START_NS + NS, trade(1))] == replayed(path)


def test_a_pretty_printed_document_is_one_message(tmp_path: Path) -> None:
    text = json.dumps(json.loads(trade(1)), indent=2).encode()
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf" + text + b"\r\n")
    (tmp_path / "y").write_bytes(gzip.compress(text))

    assert [(0, text)] == replayed(tmp_path / "x")
    assert [(0, text)] == replayed(tmp_path / "y")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_packing_is_told_by_content_not_by_name(tmp_path: Path, pack: type[bytes]) -> None:
    content = b"\n".join(stamped(1, 2)) + b"\n"
    for name in ("a.txt", "a.gz", "a.json"):
        (tmp_path / name).write_bytes(pack(content))

        assert [trade(1), trade(2)] == [raw for _, raw in replayed(tmp_path / name)]


def test_lines_that_are_no_messages_go_on_unchanged_to_be_set_aside(tmp_path: Path) -> None:
    garbage = [b"\x00\xff\xfe", b"hello", b'{"e":"trade"', b"17", b"1723161600 what", b'"text"']
    path = write(tmp_path / "x", *stamped(1), *garbage, *stamped(2))
    recording = open_recording([path])

    assert [trade(1), *garbage, trade(2)] == [raw for _, raw in lines_of(recording)]
    assert [f"{path}: 4 of its lines are no JSON; they were set aside, the others were read."] == recording.notes


def test_a_message_cut_at_the_end_of_a_file_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\n".join(stamped(1, 2))[:-5])

    assert [(START_NS + NS, trade(1)), (START_NS + 2 * NS, trade(2)[:-5])] == replayed(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bytes(range(256)) * 50, "holds nothing that can be read as a message"),
        (b"\0" * 5000, "holds nothing that can be read as a message"),
        (b"PK\x03\x04 and so on", "is a zip file"),
        (b"time,price\n1,2\n", "holds nothing that can be read as a message"),
        (b'{"hello":"world"}\n', "does not tell whose messages it holds; name their exchange"),
        (b"", "holds no messages"),
        (b"\r\n \n", "holds no messages"),
        (gzip.compress(b'{"a":1}' * 500, mtime=0)[:12], "holds no"),
        (b"\x1f\x8bgarbage", "holds no"),
        (b"\x28\xb5\x2f\xfdgarbage", "holds no"),
    ],
)
def test_a_file_in_which_nothing_can_be_read_is_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(DataError, match=says):
        open_recording([tmp_path / "x"])


def test_the_exchange_can_be_named_where_messages_do_not_tell(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b'{"hello":"world"}')

    assert [(0, b'{"hello":"world"}')] == lines_of(open_recording([path], exchange="kraken"), "kraken")


def test_messages_before_the_first_that_tells_belong_to_the_same_exchange(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b'{"hello":"world"}', trade(1, "kraken"), b'{"hello":"world"}')

    assert 3 == len(replayed(path, exchange="kraken"))


def test_a_line_without_end_is_not_swallowed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickcast.sources.recorded_bytes.LINE_BYTES_MAX", 1 << 20)
    (tmp_path / "x").write_bytes(trade(1) + b"\n" + b"x" * (3 << 20))

    with pytest.raises(DataError, match="has a line of more than"):
        list(open_recording([tmp_path / "x"]))


# --- damage ----------------------------------------------------------------------------------------------------------


def test_of_a_torn_gzip_all_that_can_be_unpacked_is_used_and_the_damage_told(tmp_path: Path) -> None:
    lines = stamped(*range(2000))
    packed = gzip.compress(b"\n".join(lines))
    (tmp_path / "x").write_bytes(packed[: len(packed) // 2])
    whole = zlib.decompressobj(wbits=31).decompress(packed[: len(packed) // 2])
    recording = open_recording([tmp_path / "x"])

    found = lines_of(recording)
    assert whole.count(b"\n") <= len(found) <= whole.count(b"\n") + 1
    assert [trade(n) for n in range(whole.count(b"\n"))] == [raw for _, raw in found][: whole.count(b"\n")]
    assert [
        f"{tmp_path / 'x'}: ends before its gzip stream does; the {len(whole)} bytes that could be unpacked were read."
    ] == [note for note in recording.notes if "gzip" in note]


def test_a_flipped_bit_in_a_gzip_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"\n".join(stamped(*range(20_000)))))
    packed[-6] ^= 1  # in the checksum
    (tmp_path / "x").write_bytes(packed)
    recording = open_recording([tmp_path / "x"])

    assert 20_000 == len(lines_of(recording))
    assert "is damaged" in recording.notes[0]


def test_gzip_members_written_one_after_the_other_are_all_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"".join(gzip.compress(line + b"\n") for line in stamped(1, 2, 3)) + b"\0" * 512)
    recording = open_recording([tmp_path / "x"])

    assert [trade(1), trade(2), trade(3)] == [raw for _, raw in lines_of(recording)]
    assert [] == recording.notes


def test_a_torn_zstd_file_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    rng = random.Random(1)
    messages = [Message(START_NS + n, "binance", b'"%d"' % rng.getrandbits(4000)) for n in range(2000)]
    journal_of(tmp_path, messages, "20240810")
    packed = (tmp_path / "raw/binance/20240809.ndjson.zst").read_bytes()
    (tmp_path / "copy.zst").write_bytes(packed[: len(packed) // 2])
    recording = open_recording([tmp_path / "copy.zst"])

    found = lines_of(recording)
    assert 500 < len(found) < 2000
    assert [m.raw for m in messages[: len(found)]] == [raw for _, raw in found]
    assert any("is damaged" in note for note in recording.notes)


# --- our own journal -------------------------------------------------------------------------------------------------


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


# --- several files ---------------------------------------------------------------------------------------------------


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


# --- asking for it ---------------------------------------------------------------------------------------------------


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


# --- the real captures -----------------------------------------------------------------------------------------------

COUNTS = {
    "cryptofeed_BINANCE.ws_20210417.txt": ("binance", 1228),
    "cryptofeed_BINANCE.ws_20210814.txt": ("binance", 1003),
    "hftbacktest_btcusdt_spot_20240808.gz": ("binance", 41_249),
    "hftbacktest_ethusdt_spot_20240808.gz": ("binance", 33_618),
    "cryptofeed_COINBASE.ws_20210417_part1.txt": ("coinbase", 4996),
    "cryptofeed_KRAKEN.ws_book1000_20210417.txt": ("kraken", 4321),
    "cryptofeed_KRAKEN.ws_ticker_20210417.txt": ("kraken", 60),
    "cryptofeed_KRAKEN.ws_trade_20210417.txt": ("kraken", 49),
    "xchange_trade_20250909.json": ("kraken", 1),
    "Trades_XBTUSDT_20251110.json": ("kraken", 1),
    "aggTrade_raw_20260614.jsonl": ("binance", 1),
    "fastmm_l2_heartbeat_trades_20260930.jsonl": ("coinbase", 9),
    "ticker_subscriptions_20260614.jsonl": ("coinbase", 2),
}


def captures(shared_data: Path) -> list[Path]:
    found = [*shared_data.glob("captures/*/*"), *shared_data.glob("unlicensed/captures/*/*")]
    return sorted([*found, shared_data / "rest/kraken/Trades_XBTUSDT_20251110.json"])


def test_every_real_capture_is_read_to_its_last_message(shared_data: Path) -> None:
    for path in captures(shared_data):
        recording = open_recording([path])
        blocks = list(recording)
        name, count = COUNTS.get(path.name, (path.parent.name.split("_")[0], len(path.read_bytes().splitlines())))

        assert {name} == {block.exchange for block in blocks}
        assert (path.name, count) == (path.name, sum(block.lines.count(b"\n") for block in blocks))
        assert ([], recording.total_bytes) == (recording.notes, recording.read_bytes)
        for block in blocks:
            for line in block.lines.splitlines():
                json.loads(decode_line(line)[2])


def test_a_real_capture_gives_the_venues_bytes(shared_data: Path) -> None:
    path = shared_data / "captures/binance_ws/hftbacktest_btcusdt_spot_20240808.gz"
    expected = [line.split(b" ", 1) for line in gzip.decompress(path.read_bytes()).splitlines()]

    assert [(int(recv), raw) for recv, raw in expected] == replayed(path)


def test_real_captures_of_one_exchange_are_merged_the_same_in_any_order(shared_data: Path) -> None:
    paths = sorted((shared_data / "captures/kraken_ws_v1").iterdir())
    orders = [replayed(*order, exchange="kraken") for order in itertools.permutations(paths)]

    assert 4430 == len(orders[0])
    assert orders[0] == sorted(orders[0], key=lambda line: line[0])
    assert [orders[0]] * len(orders) == orders


def test_a_real_capture_replayed_through_a_journal_gives_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "captures/binance_ws").glob("hftbacktest*"))
    direct = list(open_recording(paths))
    messages = [Message(*decode_line(line)) for block in direct for line in block.lines.splitlines()]
    journal_of(tmp_path, messages, "20240809")

    assert ["20240808.ndjson.zst"] == [f.name for f in (tmp_path / "raw/binance").iterdir() if f.suffix != ".sha256"]
    assert b"".join(block.lines for block in direct) == b"".join(b.lines for b in open_recording([tmp_path]))
