"""What a crash leaves at the end of a day file: found, set aside, cut off."""

from __future__ import annotations

import mmap
from pathlib import Path

from tickcast.errors import JournalError, WireError

_HEAD_START = b'{"r":'


def is_line(line: bytes) -> bool:
    r"""Tell whether this is a whole journal line.

    >>> is_line(b'{"r":1,"x":"binance","m":{"e":"trade"}}'), is_line(b'{"r":1,"x":"binance","m":{"e":"tr')
    (True, False)
    """
    if not line.startswith(_HEAD_START):
        return False
    from tickcast.sources.blocks import decode_line

    try:
        decode_line(line)
    except WireError:
        return False
    return True


def whole_length(path: Path) -> int:
    """How many bytes of a day file hold whole lines; what lies behind is torn.

    A file whose first line was never a journal line is somebody else's and is not cut.
    """
    if path.stat().st_size == 0:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1
        if end == 0:
            return 0
        while end:
            start = data.rfind(b"\n", 0, end - 1) + 1
            if is_line(data[start : end - 1]):
                return end
            end = start
        if data[:1] == b"\0" or data[:5] == _HEAD_START:  # power failed before the first line was on the disk
            return 0
    raise JournalError(
        str(path),
        "holds no journal line at all, so it was left as it is and nothing was started",
        "move it away; `tickcast replay` reads captures wherever they lie",
    )
