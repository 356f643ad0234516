"""Recordings of others and our own journals, replayed in an order that only their contents decide."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import zlib
from pathlib import Path

import pytest

from tests.unit.sources.recordings import NS, START_NS, journal_of, lines_of, replayed, stamped, trade, write
from tickcast.errors import DataError
from tickcast.sources.blocks import decode_line
from tickcast.sources.contract import Message
from tickcast.sources.recorded import open_recording


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
