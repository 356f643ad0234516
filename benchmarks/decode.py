"""Raw Binance journal lines of trades into columns, beside what decoding the same bytes alone costs.

    python benchmarks/decode.py [CAPTURE]

The peers do less: `msgspec` decodes each line into typed structs and stops there, `json.loads` into dicts; neither
checks a value nor builds a column. CAPTURE is a recording of `<receive time in ns> <message>` lines.
"""

from __future__ import annotations

import gzip
import json
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import msgspec

from tickcast.sources.binance import Binance
from tickcast.sources.blocks import encode_line, map_lines
from tickcast.sources.contract import Block
from tickcast.sources.mapping import map_block

CAPTURE = Path(__file__).resolve().parents[2] / "shared/data/captures/binance_ws/hftbacktest_btcusdt_spot_20240808.gz"
SIZES = (16, 256, 4096)
LINES_TIMED = 65_536
ROUNDS = 7


class _Trade(msgspec.Struct):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Combined(msgspec.Struct):
    stream: str
    data: _Trade


class _Line(msgspec.Struct):
    r: int
    x: str
    m: _Combined


def trade_lines(capture: Path) -> list[bytes]:
    """The capture's trades as journal lines."""
    found = []
    with gzip.open(capture) as recording:
        for line in recording:
            stamp, _, raw = line.strip().partition(b" ")
            if b'"e":"trade"' in raw:
                found.append(encode_line(int(stamp), "binance", raw))
    return found


def seconds_per_line(work: Callable[[], object], lines: int) -> float:
    """The best of several rounds: what the machine can do when nobody disturbs it."""
    calls = max(1, LINES_TIMED // lines)
    return min(timeit.repeat(work, number=calls, repeat=ROUNDS)) / calls / lines


def measure(lines: list[bytes]) -> dict[str, float]:
    """Seconds a line, by contender."""
    block, mapper = Block("binance", b"".join(lines)), Binance()
    decode = msgspec.json.Decoder(_Line).decode

    def typed() -> object:
        return [decode(line) for line in lines]

    def loads() -> object:
        return [json.loads(line) for line in lines]

    contenders: dict[str, Callable[[], object]] = {
        "tickcast columns": lambda: map_block(mapper, block),
        "msgspec decode only": typed,
        "json.loads only": loads,
        "tickcast, line by line": lambda: map_lines(mapper, block.lines),
    }
    return {name: seconds_per_line(work, len(lines)) for name, work in contenders.items()}


def main() -> None:
    """Print the table."""
    capture = Path(sys.argv[1]) if len(sys.argv) > 1 else CAPTURE
    if not capture.is_file():
        raise SystemExit(f"{capture}: is not there; name a recording of Binance messages as the first argument.")
    found = trade_lines(capture)
    print(f"{len(found)} real trades, repeated; {sum(map(len, found)) / len(found):.0f} bytes a line; one core\n")
    print(f"{'lines a block':>13}  {'contender':<24}{'µs/block':>10}{'M lines/s':>11}{'tickcast is':>13}")
    for size in SIZES:
        took = measure((found * (size // len(found) + 1))[:size])
        ours = took["tickcast columns"]
        for name, seconds in took.items():
            print(f"{size:>13}  {name:<24}{seconds * size * 1e6:>10.1f}{1e-6 / seconds:>11.2f}{seconds / ours:>12.2f}x")


if __name__ == "__main__":
    main()
