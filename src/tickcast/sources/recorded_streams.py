"""One recording as runs of journal lines with their merge keys, streamed: no file is ever held as a whole.

The key of a line is the greatest receive time up to it, so that lines never change their order within a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.blocks import RECV_MAX_NS, encode_line
from tickcast.sources.recorded_bytes import Progress, Report, ignore, line_chunks, pieces
from tickcast.sources.recorded_lines import BOM, JOURNAL, OWN, read_line
from tickcast.sources.recorded_probe import Probe, is_message, read_document, split_lines

_HEAD = np.frombuffer(b'{"r":', dtype=np.uint8)
_DIGITS = 19
_POWERS = 10 ** np.arange(_DIGITS - 1, -1, -1, dtype=np.int64)


class Run(NamedTuple):
    """Some whole journal lines of one exchange, where each ends, and the receive time of each (0: not said)."""

    exchange: str
    lines: bytes
    ends: NDArray[np.int64]
    keys: NDArray[np.int64]


class Stream:
    """Files that follow each other, as the day files of one journal do; most streams are one file."""

    def __init__(self, parts: list[Probe], exchanges: frozenset[str], *, mixed: bool = False) -> None:
        self.parts, self.exchanges = parts, exchanges
        self.mixed = mixed
        """True where lines of several exchanges may stand side by side."""
        self.first_ns = parts[0].first_ns
        self.rank = 0

    def runs(self, report: Report, progress: Progress) -> Iterator[Run]:
        """All lines, keyed."""
        floor = self.first_ns
        for part in self.parts:
            for run in read_runs(part, report, progress, mixed=self.mixed):
                known = np.where(run.keys <= RECV_MAX_NS, run.keys, 0)
                keys = np.maximum.accumulate(np.maximum(known, floor))
                floor = int(keys[-1])
                yield run._replace(keys=keys)


def read_runs(part: Probe, report: Report, progress: Progress, *, mixed: bool) -> Iterator[Run]:
    """The lines of one file with their receive times."""
    if part.form == "document":
        raw = read_document(part.path, progress)
        return iter([_run(part.exchange, [encode_line(0, part.exchange, raw or b"")], [0])])
    if part.path.name.endswith(".ndjson.zst"):
        check_seal(part.path, report)
    chunks = line_chunks(pieces(part.path, report, progress), part.path)
    if part.form == "journal":
        return _journal_runs(part, chunks, report, mixed=mixed)
    return _line_runs(part, chunks, report)


def check_seal(path: Path, report: Report) -> None:
    """Compare a sealed day with its checksum; JournalError where it differs."""
    from tickcast.journal.sealing import open_sealed, sums_path

    if sums_path(path).exists():
        open_sealed(path).close()
    else:
        report(f"{path}: has no checksums beside it, so it was read as it is.")


def scan_exchanges(part: Probe) -> frozenset[str]:
    """Whose lines a journal file holds that does not lie in a journal's tree, by reading all of it."""
    return frozenset(run.exchange for run in read_runs(part, ignore, ignore, mixed=True))


def _run(exchange: str, lines: list[bytes], recv_ns: list[int]) -> Run:
    ends = np.cumsum(np.fromiter(map(len, lines), dtype=np.int64, count=len(lines)))
    return Run(exchange, b"".join(lines), ends, np.array(recv_ns, dtype=np.int64))


def _line_runs(part: Probe, chunks: Iterator[bytes], report: Report) -> Iterator[Run]:
    """Messages that others recorded, one a line; what is none goes on as it is, to be set aside with a reason."""
    exchange, first, unreadable = part.exchange, True, 0
    marker = encode_line(0, exchange, b"").partition(b',"b"')[0][6:] + b',"b":'
    for chunk in chunks:
        lines: list[bytes] = []
        recv_ns: list[int] = []
        for line in split_lines(chunk, first=first):
            kind, recv, raw, _ = read_line(line)
            if kind == OWN:
                continue
            written = line + b"\n" if kind == JOURNAL else encode_line(recv, exchange, raw)
            if kind != JOURNAL and marker in written[: len(marker) + 30] and not is_message(raw):
                unreadable += 1
            lines.append(written)
            recv_ns.append(recv)
        first = False
        if lines:
            yield _run(exchange, lines, recv_ns)
    if unreadable:
        report(f"{part.path}: {unreadable} of its lines are no JSON; they were set aside, the others were read.")


def _journal_runs(part: Probe, chunks: Iterator[bytes], report: Report, *, mixed: bool) -> Iterator[Run]:
    first = True
    for chunk in chunks:
        whole = chunk[: chunk.rfind(b"\n") + 1]
        if len(whole) < len(chunk):
            whole = _with_last(part, whole, chunk[len(whole) :], report)
        if first:
            whole, first = whole.removeprefix(BOM), False
        if whole:
            run = _fast_run(part.exchange, whole)
            yield from _slow_runs(part.exchange, whole, mixed=mixed) if run is None else (run,)


def _with_last(part: Probe, whole: bytes, last: bytes, report: Report) -> bytes:
    """The last line of a file has no line end: it is whole all the same, or torn, or still being written."""
    from tickcast.journal.repair import is_line

    if is_line(last):
        return whole + last + b"\n"
    report(f"{part.path}: ends in the middle of a line; its last {len(last)} bytes were not read.")
    return whole


def _fast_run(exchange: str, lines: bytes) -> Run | None:
    """Our own lines as they are, all columns at once; None where a line is not written exactly as we write."""
    data = np.frombuffer(lines, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    starts = np.concatenate(([0], ends[:-1]))
    tail = np.frombuffer(b',"x":"%b","' % exchange.encode(), dtype=np.uint8)
    width = len(_HEAD) + _DIGITS + len(tail)
    if int((ends - starts).min()) < width + 5:
        return None
    heads = data[starts[:, None] + np.arange(width)]
    digits = heads[:, len(_HEAD) : len(_HEAD) + _DIGITS] - ord("0")
    as_we_write = (
        (heads[:, : len(_HEAD)] == _HEAD).all()
        and (digits <= 9).all()
        and (digits[:, 0] <= 4).all()  # beyond is no time we know, nor would nine fit
        and (heads[:, len(_HEAD) + _DIGITS :] == tail).all()
        and (data[ends - 2] == ord("}")).all()
    )
    if not as_we_write:
        return None
    return Run(exchange, lines, ends, digits.astype(np.int64) @ _POWERS)


def _slow_runs(exchange: str, chunk: bytes, *, mixed: bool) -> Iterator[Run]:
    """Line by line: odd line ends, lines of several exchanges, and lines that are none of ours, to be set aside."""
    found: dict[str, tuple[list[bytes], list[int]]] = {}
    for line in split_lines(chunk):
        kind, recv, _, whose = read_line(line)
        lines, recv_ns = found.setdefault(whose if mixed and kind == JOURNAL else exchange, ([], []))
        lines.append(line + b"\n" if kind == JOURNAL else encode_line(0, exchange, line))
        recv_ns.append(recv if kind == JOURNAL else 0)
    for whose, (lines, recv_ns) in found.items():
        yield _run(whose, lines, recv_ns)
