"""State as bytes: what a stage hands to a checkpoint, a changelog topic or a test that forgets everything.

A snapshot names the stage and the version that wrote it, so that a newer stage refuses what it would misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.errors import SnapshotError

Part = int | float | str | bytes | None | NDArray[Any] | list[Any] | dict[str, Any]


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: list[int]
    data: bytes


class _Snapshot(msgspec.Struct, array_like=True):
    stage: str
    version: int
    plain: dict[str, Any]
    arrays: dict[str, _Array]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


def pack(stage: str, version: int, parts: Mapping[str, Part]) -> bytes:
    """Write named parts (plain values and arrays) as bytes; equal parts give equal bytes.

    >>> data = pack("candles", 1, {"low_ms": 5, "ids": np.arange(3)})
    >>> unpack("candles", 1, data)["ids"].tolist()
    [0, 1, 2]
    """
    arrays = {
        name: _Array(part.dtype.str, list(part.shape), part.tobytes())
        for name, part in parts.items()
        if isinstance(part, np.ndarray)
    }
    plain = {name: part for name, part in parts.items() if name not in arrays}
    return _encoder.encode(_Snapshot(stage, version, plain, arrays))


def unpack(stage: str, version: int, data: bytes) -> dict[str, Any]:
    """Read what `pack` wrote; arrays come back as owned, writable copies."""
    try:
        found = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError) as exc:
        raise SnapshotError(
            f"snapshot of {stage}", f"can not be read ({exc})", "start from the journal with an empty data directory"
        ) from exc
    if (found.stage, found.version) != (stage, version):
        raise SnapshotError(
            f"snapshot of {stage}",
            f"was written by {found.stage} version {found.version}, this is version {version}",
            "rebuild the data directory's store from its journal with `tickcast replay`",
        )
    arrays = {
        name: np.frombuffer(a.data, dtype=np.dtype(a.dtype)).reshape(a.shape).copy() for name, a in found.arrays.items()
    }
    return found.plain | arrays
