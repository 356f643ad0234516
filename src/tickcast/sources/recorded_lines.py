"""What one line of a recording is: a journal line, a message with or without its receive time, or the recorder's own.

{"r":1723161253937085768,"x":"binance","m":{...}}     our journal
1723161253937085768 {"stream":...}                    receive time in ns (ms, us and s are told by their size)
1618677372.1768699: {"stream":...}                    receive time in seconds
https://host/path -> 1618678132.358447: {...}         an answer that was received
wss://host <-> 1618677371.36                          a connection: the recorder's own
wss://host <- 1618677371.36: {"event":"subscribe"}    what was sent: the recorder's own
{"type":"match",...}                                  a message whose receive time nobody wrote down
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS

JOURNAL, MESSAGE, OWN, GARBAGE = range(4)

_TIME_MIN_NS, _TIME_MAX_NS = TIME_MIN_MS * 1_000_000, TIME_MAX_MS * 1_000_000
BOM = b"\xef\xbb\xbf"
JOURNAL_HEAD = re.compile(rb'\{"r":(-?\d{1,19}),"x":"([^"\\]+)","[mb]":')
_STAMPED = re.compile(rb"(\d{10,19})(?:\.(\d+))?:? (?=[{\[])")
_URL = re.compile(rb"\w+://\S+ (<->|<-|->) (\d{10})(?:\.(\d+))?(?:$|: )")
_OWN = re.compile(rb"configuration: ")
_EVENT_TIME = re.compile(
    rb'"(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z?"'
    rb"|(?<![\w.])(?P<ms>1\d{12})(?![\w.])"
    rb"|(?<![\w.])(?P<s>1\d{9})\.(?P<fraction>\d+)(?![\w.])"
)


class Line(NamedTuple):
    """One line: what it is, its receive time (0: not said), its message, and whose it is ("": not said)."""

    kind: int
    recv_ns: int
    raw: bytes
    exchange: str = ""


def read_line(line: bytes) -> Line:
    """Tell what a line without its line end is; the message is not yet looked into.

    >>> read_line(b'1618677372.1768699: {"a":1}')
    Line(kind=1, recv_ns=1618677372176869900, raw=b'{"a":1}', exchange='')
    """
    if line.startswith((b"{", b"[")) or line.lstrip().startswith((b"{", b"[")):
        if (head := JOURNAL_HEAD.match(line)) and line.endswith(b"}"):
            return Line(JOURNAL, int(head[1]), line, head[2].decode("utf-8", "replace"))
        return Line(MESSAGE, 0, line)
    if stamped := _STAMPED.match(line):
        whole, fraction = stamped.groups(b"")
        return Line(MESSAGE, stamp_ns(whole, fraction), line[stamped.end() :])
    if url := _URL.match(line):
        if url[1] == b"->":
            return Line(MESSAGE, stamp_ns(url[2], url[3] or b""), line[url.end() :])
        return Line(OWN, 0, line)
    return Line(OWN if _OWN.match(line) else GARBAGE, 0, line)


def stamp_ns(whole: bytes, fraction: bytes) -> int:
    """A written time as nanoseconds, exact; the unit is told by the size. 0 where it can be no time of a market.

    >>> stamp_ns(b"1618677372", b"5"), stamp_ns(b"1618677372500", b""), stamp_ns(b"12345678901", b"")
    (1618677372500000000, 1618677372500000000, 0)
    """
    digits = 19 - len(whole)  # all times of markets have 10 digits in seconds, 13 in ms, 16 in us, 19 in ns
    if digits not in (0, 3, 6, 9):
        return 0
    value = int(whole + (fraction + b"000000000")[:digits])
    return value if _TIME_MIN_NS <= value <= _TIME_MAX_NS else 0


def event_ns(raw: bytes) -> int:
    """The first time that a message speaks of; 0 when it speaks of none. It orders files, nothing else.

    >>> event_ns(b'{"E":1618677372122}'), event_ns(b'{"time":"2026-07-07T23:00:03.5Z"}'), event_ns(b"{}")
    (1618677372122000000, 1783465203500000000, 0)
    """
    for found in _EVENT_TIME.finditer(raw):
        if found["iso"]:
            whole, _, fraction = found["iso"].partition(b".")
            try:
                moment = datetime.fromisoformat(whole.decode()).replace(tzinfo=UTC)
            except ValueError:
                continue
            value = stamp_ns(b"%d" % moment.timestamp(), fraction)
        else:
            value = stamp_ns(found["ms"] or found["s"], found["fraction"] or b"")
        if value:
            return value
    return 0
