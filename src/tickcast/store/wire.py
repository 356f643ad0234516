"""What the query server and its client say to each other, and the file by which they find each other."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import msgspec

from tickcast.errors import StoreError

RUN_FILE = "run.json"
MAX_QUERIES = 4
MAX_CONNECTIONS = 16
MAX_BODY_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ROWS = 100_000
MAX_TIMEOUT_S = 300.0
SOCKET_TIMEOUT_S = 10.0


class Run(msgspec.Struct):
    """What `run.json` says of the process that holds a data directory."""

    host: str
    port: int
    token: str
    pid: int


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /sql."""

    sql: str
    limit: int = 10_000
    timeout_s: float = 30.0


class Said(msgspec.Struct):
    """An error on the wire: the three parts of its sentence."""

    where: str
    what: str
    remedy: str


def read_run(data_dir: Path) -> Run:
    """What `run.json` says, or StoreError when nothing holds the data directory."""
    path = data_dir / RUN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except FileNotFoundError as exc:
        raise StoreError(
            str(data_dir), "is not held by any process, so there is nobody to ask", "start `tickcast up`"
        ) from exc
    except (OSError, msgspec.DecodeError) as exc:
        raise StoreError(str(path), f"can not be read ({exc})", "restart the process that wrote it") from exc


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    partial.replace(path)


def is_loopback(host: str) -> bool:
    """True for the names of this machine that can not be reached from another.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("evil.example")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
