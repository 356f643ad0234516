"""What REST handlers share: what they may see, what they answer with, and rows as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated.templates import Templates, compile_templates, render

Params = Mapping[str, str]


class Answer(NamedTuple):
    """One HTTP answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    type: str = "application/json"


class Asked(NamedTuple):
    """One request, and what the venue knows at that moment."""

    path: str
    """Below the venue's base, with a slash at its front."""
    params: Params
    client: str
    now_us: int
    """What the venue's clock says."""
    seen_us: int
    """Trades after this time are not to be seen yet."""
    real_s: float
    """Real seconds, for limits."""


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Anything as JSON."""
    return Answer(msgspec.json.encode(value), status, headers or {})


def written(templates: Templates, rows: NDArray[np.int64], which: NDArray[np.int64] | None = None) -> list[bytes]:
    """Each row as text, in the first template unless told otherwise."""
    return render(templates, np.zeros(len(rows), np.int64) if which is None else which, rows)


def one_template(text: str, columns: Mapping[str, int], decimals: Mapping[str, int]) -> Templates:
    """A single compiled template."""
    return compile_templates([(text, decimals)], columns)


def whole(params: Params, name: str) -> int | None:
    """A parameter that is a whole number; None where it is not there. ValueError for anything else."""
    text = params.get(name, "")
    return int(text) if text else None
