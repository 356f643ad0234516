"""What `tickcast doctor` says of one thing that it looked at."""

from __future__ import annotations

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(NamedTuple):
    """One thing that was looked at."""

    check: str
    state: str
    found: str
    remedy: str = ""
