"""All kernels compiled once, on all cores, before any worker asks for them: `python -m tests.compiled`.

Otherwise each worker of the first run would compile each of them for itself.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import tickcast

HOME = Path(tickcast.__file__).parent
LONGEST = ("tickcast.candles.stage", "tickcast.sources.scan_lines")
"""They begin, and the others are shared out meanwhile."""


def modules() -> list[str]:
    """Those that warm kernels up."""
    paths = [path for path in sorted(HOME.rglob("*.py")) if "\n@warms\n" in path.read_text(encoding="utf-8")]
    names = [".".join(("tickcast", *path.relative_to(HOME).with_suffix("").parts)) for path in paths]
    return sorted(names, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))


def warm(name: str) -> None:
    """Compile what one module warms up, or find it compiled."""
    import_module(name)
    from tickcast.kernels import _WARMERS

    for warmer in _WARMERS:
        if warmer.__module__ == name:
            warmer()


if __name__ == "__main__":
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(warm, modules()))
