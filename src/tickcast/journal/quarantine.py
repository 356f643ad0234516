"""What no mapper could read: kept unchanged beside its reason, counted, and bounded.

quarantine/binance/20240809.ndjson
{"r":1723161600000000000,"reason":"binance/trade: ...","m":{"e":"trade"}}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tickcast.clock import NS_PER_MS, Clock, SystemClock, utc_day
from tickcast.journal.files import DayFile, days_before, exchange_dir, failure, list_days, list_exchanges, plain_path
from tickcast.sources.contract import Reject

REASONS_MAX = 100
"""Distinct reasons counted by name for one exchange; what comes beyond is counted as "other"."""
DAY_BYTES_MAX = 64 << 20
_REASON_CHARS_MAX = 500


class Quarantine:
    """Day files of refused messages under `<data_dir>/quarantine`.

    When a day's file is full, what comes is only counted, and `notes` says so once a day and exchange.
    """

    def __init__(self, data_dir: Path, *, clock: Clock | None = None, day_bytes_max: int = DAY_BYTES_MAX) -> None:
        self.root = data_dir / "quarantine"
        self.notes: list[str] = []
        self._clock = clock or SystemClock()
        self._day_bytes_max = day_bytes_max
        self._counts: dict[str, dict[str, int]] = {}
        self._full: set[Path] = set()

    def add(self, rejects: Sequence[Reject], exchange: str) -> None:
        """Count and keep; JournalError when the disk refuses (they have been counted all the same)."""
        by_path: dict[Path, list[bytes]] = {}
        folder = exchange_dir(self.root, exchange)
        for reject in rejects:
            self._count(exchange, reject.reason)
            by_path.setdefault(plain_path(folder, self._day_of(reject)), []).append(_line(reject, exchange))
        for path, lines in by_path.items():
            self._write(path, lines)

    def keep(self, reason: str, raw: bytes, exchange: str) -> None:
        """Keep bytes that stand nowhere else, full or not; returns when the disk has them."""
        reject = Reject(self._clock.now_ns(), reason, raw)
        self._count(exchange, reason)
        path = plain_path(exchange_dir(self.root, exchange), self._day_of(reject))
        _append(path, _line(reject, exchange), sync=True)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many were refused since this was opened, by exchange and reason."""
        return {exchange: dict(reasons) for exchange, reasons in self._counts.items()}

    def expire(self, today: str, keep_days: int) -> list[str]:
        """Delete the days that are older than so many days (0 keeps all); says which."""
        gone: list[str] = []
        if keep_days > 0:
            for exchange in list_exchanges(self.root):
                folder = exchange_dir(self.root, exchange)
                for day in list_days(folder):
                    if day < days_before(today, keep_days):
                        _delete(plain_path(folder, day))
                        gone.append(f"{exchange}/{day}")
        return gone

    def _day_of(self, reject: Reject) -> str:
        return utc_day((reject.recv_ns or self._clock.now_ns()) // NS_PER_MS)

    def _count(self, exchange: str, reason: str) -> None:
        reasons = self._counts.setdefault(exchange, {})
        name = reason if reason in reasons or len(reasons) < REASONS_MAX else "other"
        reasons[name] = reasons.get(name, 0) + 1

    def _write(self, path: Path, lines: list[bytes]) -> None:
        room = self._day_bytes_max - _size(path)
        kept = 0
        while kept < len(lines) and len(lines[kept]) <= room:
            room -= len(lines[kept])
            kept += 1
        if kept:
            _append(path, b"".join(lines[:kept]), sync=False)
        if kept < len(lines) and path not in self._full:
            self._full.add(path)
            self.notes.append(
                f"{path}: is full at {self._day_bytes_max >> 20} MiB, so what comes for that day is only counted; "
                "look at what is in it, the venue may have changed its format."
            )


def _line(reject: Reject, exchange: str) -> bytes:
    from tickcast.sources.blocks import encode_line

    head = b'{"r":%d,"reason":%s,' % (reject.recv_ns, msgspec.json.encode(reject.reason[:_REASON_CHARS_MAX]))
    body = encode_line(reject.recv_ns, exchange, reject.raw).split(b'","', 1)[1]  # what follows the exchange's name
    return head + b'"' + body


def _append(path: Path, data: bytes, *, sync: bool) -> None:
    try:
        file = DayFile(path)
    except OSError as exc:
        raise failure(path, "can not be opened", exc) from exc
    before = file.size
    try:
        file.write(data)
        if sync:
            file.sync()
    except OSError as exc:
        file.cut(before)
        raise failure(path, "can not be written", exc) from exc
    finally:
        file.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as exc:
        raise failure(path, "can not be written", exc) from exc


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise failure(path, "can not be deleted", exc) from exc
