"""What a reader is asked and what it answers: options in; frames, counts, refused rows and notes out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tickcast.errors import DataError

SHOWN_REJECTS = 10
TIME_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}
"""Microseconds in one unit; a nanosecond is less than one."""


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a file; what is left empty is found out.

    >>> ReadOptions(what="trades", time_unit="ms").pair
    ''
    """

    what: str = ""
    exchange: str = ""
    pair: str = ""
    pair_unsaid: str = ""
    """The pair of a file that does not tell its own."""
    columns: Mapping[str, str] = {}
    """Role to column name, for example {"time": "stamp"}; a column without a name is called by its place, from 1."""
    time_unit: str = ""
    candle_seconds: int = 0
    quiet_gaps: bool = False
    """Candles are left out only where nothing was traded, so that flat ones belong there."""
    rejects_path: Path | None = None
    scratch_dir: Path | None = None
    """Where rows wait that do not fit into memory; the system's own place for temporary files when not given."""
    batch_rows: int = 65_536
    memory_rows: int = 2_000_000
    block_bytes: int = 8 << 20
    progress: Callable[[int], None] | None = None
    """Told how many further bytes of the file were read."""

    def __post_init__(self) -> None:
        if self.what not in ("", "candles", "trades"):
            raise DataError("--what", f"was {self.what}", "give candles or trades")
        if self.time_unit not in ("", *TIME_UNITS):
            raise DataError("--time-unit", f"was {self.time_unit}", f"give one of {', '.join(TIME_UNITS)}")
        if self.candle_seconds and (self.candle_seconds < 0 or 86_400 % self.candle_seconds):
            raise DataError(
                "--candle-seconds", f"was {self.candle_seconds}", "give whole seconds that divide a day, for example 60"
            )


class RowReject(NamedTuple):
    """One row that can not be true."""

    file: str
    place: str
    """`line 12` of a text, `row 12` of anything else; both count from 1."""
    reason: str
    row: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.reason}"


class Rejects:
    """The refused rows of a file: counted, the first few kept, all of them written down.

    >>> rejects = Rejects(Path("a.csv"), None)
    >>> rejects.add("line 3", "price 0 is not above 0", "1700000000,0,1")
    >>> rejects.count, str(rejects.first[0])
    (1, 'a.csv, line 3: price 0 is not above 0')
    """

    def __init__(self, file: Path, path: Path | None) -> None:
        self.file, self.path = file, path
        self.count = 0
        self.first: list[RowReject] = []
        self.reasons: Counter[str] = Counter()
        self._out: Any = None
        self._writer: Any = None

    def add(self, place: str, reason: str, row: str, kind: str = "") -> None:
        """Count one; `kind` groups reasons that differ in their numbers only."""
        reject = RowReject(self.file.name, place, reason, row[:500])
        self.count += 1
        self.reasons[kind or reason] += 1
        if len(self.first) < SHOWN_REJECTS:
            self.first.append(reject)
        if self.path is not None:
            self._write(self.path, reject)

    def _write(self, path: Path, reject: RowReject) -> None:
        if self._out is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._out = path.open("a", encoding="utf-8", newline="")
            self._writer = csv.writer(self._out, lineterminator="\n")
            if self._out.tell() == 0:
                self._writer.writerow(("file", "place", "reason", "row"))
        self._writer.writerow((str(self.file), reject.place, reject.reason, reject.row))

    def close(self) -> None:
        """Let go of the file."""
        if self._out is not None:
            self._out.close()
            self._out = self._writer = None


class Understood(msgspec.Struct):
    """What a reader took a file for; the user reads this to see whether it is right.

    >>> print(Understood("CSV", "candles", "binance", "BTCUSDT", {"time": "date"}, "ms", 60))
    CSV of 60-second candles of binance:BTCUSDT, times in ms, columns time=date
    """

    format: str
    what: str
    exchange: str
    pair: str
    columns: dict[str, str]
    time_unit: str
    candle_seconds: int = 0
    notes: list[str] = []

    def __str__(self) -> str:
        kind = f"{self.candle_seconds}-second candles" if self.what == "candles" else self.what
        named = ", ".join(f"{role}={name}" for role, name in self.columns.items())
        return f"{self.format} of {kind} of {self.exchange}:{self.pair}, times in {self.time_unit}, columns {named}"
