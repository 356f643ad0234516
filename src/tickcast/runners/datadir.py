"""What a data directory was made with: its flow settings, written once, so that its rows stay of one kind."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tickcast.clock import DAY_MS
from tickcast.config import FlowSettings
from tickcast.errors import ConfigError, StoreError

FLOW_FILE = "flow.json"
EXPIRED_FILE = "journal-expired-until"
STORE_FILE = "tickcast.duckdb"
AHEAD_FILE = "store-ahead"
"""There while a recovery has written rows that no checkpoint stands behind yet."""


def flow_of(root: Path) -> FlowSettings | None:
    """The settings a directory's rows were made with; None before the first."""
    path = root / FLOW_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=FlowSettings)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as exc:
        raise StoreError(str(path), f"can not be read ({exc}), so nothing was started", "restore this file") from exc


def hold_flow(root: Path, settings: FlowSettings) -> None:
    """Write the settings of a new directory; refuse others than an old one was made with."""
    known = flow_of(root)
    if known is None:
        write_whole(root / FLOW_FILE, msgspec.json.format(msgspec.json.encode(settings), indent=1))
    elif known != settings:
        for name in FlowSettings.__struct_fields__:
            was, now = getattr(known, name), getattr(settings, name)
            if was != now:
                raise ConfigError(
                    f"{name} in {root}",
                    f"was {_text(was)} when this directory was made and is {_text(now)} now, so nothing was started",
                    "start with the old value, or `tickcast replay` its journal into a new directory",
                )


def note_expired(root: Path, days: list[str]) -> None:
    """Remember which journal days retention takes, before it does: what depends on them can not be recomputed."""
    noted = _expired_day(root)
    if days and max(days) > noted:
        write_whole(root / EXPIRED_FILE, max(days).encode())


def expired_until_ms(root: Path) -> int:
    """The end of the last journal day that retention has taken; 0 while the journal is whole."""
    day = _expired_day(root)
    return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000) + DAY_MS if day else 0


def _expired_day(root: Path) -> str:
    path = root / EXPIRED_FILE
    try:
        day = path.read_text(encoding="ascii").strip()
        datetime.strptime(day, "%Y%m%d")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as exc:
        raise StoreError(
            str(path), f"can not be read ({exc})", "write the last deleted day into it, as 20240808"
        ) from exc
    return day


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole, or as it was."""
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as exc:
        raise StoreError(str(path), f"can not be written ({exc.strerror})", "name a writable --data-dir") from exc


def must_exist(root: Path) -> None:
    """One sentence for a directory that holds no store yet."""
    if not (root / STORE_FILE).is_file():
        remedy = "name the --data-dir of a system that has run, or run `tickcast demo`"
        raise StoreError(str(root), "holds no store", remedy)


def _text(value: object) -> str:
    return ",".join(map(str, value)) or "empty" if isinstance(value, tuple) else str(value)
