"""What no mapper could read is kept as it came, counted, and bounded."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.journal.kit import DAY_NS, START_NS
from tickcast.clock import ManualClock
from tickcast.errors import JournalError
from tickcast.journal.quarantine import REASONS_MAX, Quarantine, _line
from tickcast.sources.contract import Reject


def kept(root: Path, day: str = "20240809") -> list[bytes]:
    path = root / f"quarantine/binance/{day}.ndjson"
    return path.read_bytes().splitlines() if path.exists() else []


def test_a_message_stands_unchanged_beside_its_reason(tmp_path: Path) -> None:
    raw = b'{"e":"trade","p":"0.10"}'
    Quarantine(tmp_path).add([Reject(START_NS, 'binance/trade: has no "q"', raw)], "binance")

    assert [b'{"r":1723161600000000000,"reason":"binance/trade: has no \\"q\\"","m":{"e":"trade","p":"0.10"}}'] == kept(
        tmp_path
    )


@given(raw=st.binary(), reason=st.text())
@settings(max_examples=80, deadline=None)
def test_any_bytes_and_any_reason_make_one_line_that_reads_back(raw: bytes, reason: str) -> None:
    line = _line(Reject(START_NS, reason, raw), "binance")
    found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])

    assert 1 == line.count(b"\n")
    assert reason[:500] == json.loads(bytes(found["reason"]))
    assert raw == (bytes(found["m"]) if "m" in found else base64.b64decode(json.loads(bytes(found["b"]))))


def test_refusals_are_counted_by_exchange_and_reason(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.add([Reject(START_NS, "odd", b"1"), Reject(START_NS, "odd", b"2")], "binance")
    quarantine.add([Reject(START_NS, "odd", b"3"), Reject(START_NS, "even", b"4")], "kraken")

    assert {"binance": {"odd": 2}, "kraken": {"odd": 1, "even": 1}} == quarantine.counts()


def test_reasons_beyond_a_hundred_are_counted_as_other(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.add([Reject(START_NS, f"reason {n}", b"1") for n in range(REASONS_MAX + 20)], "binance")
    quarantine.add([Reject(START_NS, "reason 0", b"1")], "binance")

    counts = quarantine.counts()["binance"]
    assert (2, 20, REASONS_MAX + 1) == (counts["reason 0"], counts["other"], len(counts))


def test_a_day_is_the_one_of_receipt_or_today_where_that_is_unknown(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, clock=ManualClock(START_NS + DAY_NS))
    quarantine.add([Reject(START_NS, "a", b"1"), Reject(0, "b", b"2")], "binance")

    assert (1, 1) == (len(kept(tmp_path, "20240809")), len(kept(tmp_path, "20240810")))


def test_a_full_day_is_only_counted_and_says_so_once(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, day_bytes_max=100)
    for _ in range(3):
        quarantine.add([Reject(START_NS, "odd", b"1")] * 2, "binance")

    assert 2 == len(kept(tmp_path))
    assert {"binance": {"odd": 6}} == quarantine.counts()
    assert 1 == len(quarantine.notes)
    assert "is full" in quarantine.notes[0]
    again = Quarantine(tmp_path, day_bytes_max=100)
    again.add([Reject(START_NS, "odd", b"1")], "binance")
    assert 2 == len(kept(tmp_path))


def test_what_stands_nowhere_else_is_kept_even_when_the_day_is_full(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, clock=ManualClock(START_NS), day_bytes_max=0)
    quarantine.keep("torn end", b'{"r":', "binance")

    assert [b'{"r":1723161600000000000,"reason":"torn end","b":"eyJyIjo="}'] == kept(tmp_path)


def test_old_days_expire(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.add([Reject(START_NS + n * DAY_NS, "odd", b"1") for n in range(3)], "binance")

    assert [] == quarantine.expire("20240812", 0)
    assert ["binance/20240809", "binance/20240810"] == quarantine.expire("20240812", 1)
    assert 1 == len(kept(tmp_path, "20240811"))


def test_a_quarantine_that_can_not_be_written_says_so_and_still_counts(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("")
    quarantine = Quarantine(tmp_path)

    with pytest.raises(JournalError, match=r"20240809.ndjson"):
        quarantine.add([Reject(START_NS, "odd", b"1")], "binance")
    assert {"binance": {"odd": 1}} == quarantine.counts()
