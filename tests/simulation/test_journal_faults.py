"""A writer that is really killed: what it said was on the disk is there, and nothing is half."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.clock import ManualClock
from tickcast.journal.journal import Journal
from tickcast.journal.reading import Position, read_days
from tickcast.sources.blocks import decode_line

WRITER = """
import sys
from pathlib import Path
from tickcast.clock import SystemClock
from tickcast.journal.journal import Journal
from tickcast.sources.contract import Message

root, number, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
journal = Journal(root, fsync_ms=0, clock=SystemClock(), keep_days=30)
while True:
    batch = []
    for _ in range(50):
        exchange = ("binance", "kraken")[number % 2]
        # an hour of receive time a message, so that days end all the time
        recv_ns = 1_723_161_600_000_000_000 + number * 3_600_000_000_000
        batch.append(Message(recv_ns, exchange, b'{"n":%d,"pad":"%b"}' % (number, b"x" * size)))
        number += 1
    journal.append(batch)
    journal.sync()
    print(number, flush=True)
    if number % 500 == 0:
        journal.seal_closed("21000101")
"""


def numbers(root: Path, after: dict[str, Position] | None = None) -> list[int]:
    """The numbers of all messages that can be read, each checked to be whole."""
    found = []
    for exchange in ("binance", "kraken"):
        for block, _ in read_days(root / "raw", exchange, (after or {}).get(exchange)):
            for line in block.lines.splitlines():
                raw = decode_line(line)[2]
                found.append(int(raw[5 : raw.index(b",")]))
    return sorted(found)


def write_until_killed(root: Path, start: int, batches: int, size: int) -> int:
    """Run a writer, kill it while it writes, and say up to which number it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(start), str(size)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = start
    for _ in range(batches):
        acknowledged = int(child.stdout.readline())
    child.kill()
    rest = child.communicate()[0].split()
    return int(rest[-1]) if rest else acknowledged


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, seed: int) -> None:
    """
    write, kill -9, open, write on, kill -9, open ...
    """
    rng = random.Random(seed)
    start, acknowledged = 0, set[int]()
    for _ in range(3):
        end = write_until_killed(tmp_path, start, rng.randint(1, 12), rng.choice([10, 5000, 60_000]))
        acknowledged |= set(range(start, end))
        with Journal(tmp_path, fsync_ms=0, clock=ManualClock(), keep_days=30) as journal:
            found = numbers(tmp_path)
            start = found[-1] + 1

            assert set() == acknowledged - set(found)
            assert len(found) == len(set(found))
            for exchange in ("binance", "kraken"):
                assert [] == list(journal.read(exchange, after=journal.position(exchange)))
        assert not list(tmp_path.glob("raw/*/.*"))


def test_days_sealed_by_a_killed_writer_are_whole(tmp_path: Path) -> None:
    acknowledged = write_until_killed(tmp_path, 0, 25, 100)

    with Journal(tmp_path, fsync_ms=0, clock=ManualClock(), keep_days=30) as journal:
        before = numbers(tmp_path)
        journal.seal_closed("21000101")
    assert before == numbers(tmp_path)
    assert not list(tmp_path.glob("raw/*/*.ndjson"))
    assert set() == set(range(acknowledged)) - set(before)
