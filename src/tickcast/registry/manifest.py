"""What a bundle says of itself: a part that is hashed, and a part that is of the day and the hand that wrote it.

The same data, configuration and seed give the same `hash`, on another day and in another folder: neither clock, host
nor path is in what is hashed. The `seal` is over all of it, so that no byte of the file can change unseen.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

from tickcast.errors import BundleError
from tickcast.training.contract import Task

FORMAT = 1
MANIFEST_FILE, CALIBRATION_FILE, EVALUATION_FILE = "manifest.json", "calibration.json", "evaluation.parquet"
MANIFEST_BYTES_MAX = 4_000_000
FILES_BYTES_MAX = 200_000_000
"""All files of a bundle together; what is larger is no model for a live path."""
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
VERSION = re.compile(r"v([1-9][0-9]{0,8})-([a-z][a-z0-9-]{0,39})")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Role = Literal["model", "calibration", "evaluation", "report"]


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a bundle."""

    bytes: int
    role: Role
    """What it is for; only what is of the model is handed to its kind."""
    sha256: str


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the hash of a bundle is of."""

    format: int = FORMAT
    task: Task
    candle_seconds: int
    kind: str
    """The name in the table of model kinds."""
    params: dict[str, Any]
    seed: int
    trials: int
    """How many sets of parameters were tried to find these."""
    feature_set: str
    names: tuple[str, ...]
    """The model's inputs, in order."""
    keys: tuple[str, ...]
    """`exchange:pair` of all that it learned from."""
    from_ms: int
    to_ms: int
    rows: int
    dataset_hash: str
    metrics: dict[str, Any]
    level: float | None
    """What share of outcomes the interval is to hold; None where there is no interval."""
    threshold: float | None
    """From which probability on the answer is yes; None for prices."""
    libraries: dict[str, str]
    code_version: str
    files: dict[str, FileEntry] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file `manifest.json`."""

    content: Content
    hash: str
    version: str
    created_ms: int
    created_by: str
    note: str
    seal: str = ""

    @property
    def task(self) -> str:
        """The name of the task, which is also the folder."""
        return self.content.task.name


def canonical(value: Any) -> bytes:
    """JSON with sorted names and no spaces.

    >>> canonical({"b": 0.1, "a": None})
    b'{"a":null,"b":0.1}'
    """
    return msgspec.json.encode(value, order="sorted")


def hash_of(content: Content) -> str:
    """The hash of a bundle."""
    return hashlib.sha256(canonical(content)).hexdigest()


def sealed(content: Content, *, version: str, created_ms: int, created_by: str, note: str) -> Manifest:
    """A manifest in the very form in which it is read back."""
    content = msgspec.json.decode(canonical(content), type=Content)  # 1 where a float stands becomes 1.0
    manifest = Manifest(
        content=content,
        hash=hash_of(content),
        version=version,
        created_ms=created_ms,
        created_by=created_by,
        note=note,
    )
    return msgspec.structs.replace(manifest, seal=_seal_of(manifest))


def written(manifest: Manifest) -> bytes:
    """The bytes of the file."""
    return msgspec.json.format(canonical(manifest), indent=1) + b"\n"


def parse(raw: bytes, where: str) -> Manifest:
    """The manifest that `written` wrote, to the last byte, or BundleError."""
    try:
        told = msgspec.json.decode(raw)
        form = told["content"]["format"]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as exc:
        raise _refused(where, "holds no manifest of a bundle") from exc
    if form != FORMAT or isinstance(form, bool):
        raise _refused(where, f"is of format {str(form)[:20]}, and this version reads format {FORMAT}")
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _refused(where, f"does not fit its format ({str(exc).rstrip('.')})") from exc
    if hash_of(manifest.content) != manifest.hash or _seal_of(manifest) != manifest.seal or written(manifest) != raw:
        raise _refused(where, "was changed since it was written")
    _check(manifest, where)
    return manifest


def _check(manifest: Manifest, where: str) -> None:
    """What a right seal alone does not promise: whoever can write a file can seal it."""
    content = manifest.content
    for name, entry in content.files.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST_FILE:
            raise _refused(where, f"names the file {name[:80]!r}, which is no plain name inside its folder")
        if not _SHA256.fullmatch(entry.sha256) or entry.bytes < 0:
            raise _refused(where, f"gives no hash and size for the file {name}")
    total = sum(entry.bytes for entry in content.files.values())
    if total > FILES_BYTES_MAX:
        raise _refused(where, f"speaks of {total:,} bytes, and a bundle may have {FILES_BYTES_MAX:,}")
    found = VERSION.fullmatch(manifest.version)
    if found is None or found[2] != content.kind:
        raise _refused(where, f"is of version {manifest.version[:60]!r}, which is no v<number>-{content.kind[:40]}")
    if not content.names or len(set(content.names)) != len(content.names):
        raise _refused(where, "names no inputs, or one of them twice")
    if content.task.horizon_seconds < 1 or content.candle_seconds < 1:
        raise _refused(where, "has a horizon or a candle of no length")


def _seal_of(manifest: Manifest) -> str:
    return hashlib.sha256(canonical(msgspec.structs.replace(manifest, seal=""))).hexdigest()


def _refused(where: str, what: str) -> BundleError:
    return BundleError(where, f"{what}, so the bundle was refused", "take another version, or train again")
