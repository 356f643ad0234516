"""The core must stay small enough for a laptop: every dependency earns its megabytes."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

CORE_BYTES_MAX = 800 * 1000 * 1000
MARKED_OFF = re.compile(
    r"""; .*? (extra\s*==|sys_platform\s*==\s*['"](win32|emscripten|darwin)|platform_system\s*==\s*['"]Win)""", re.X
)


def closure(name: str, seen: set[str]) -> set[str]:
    """A distribution and all that it asks for without extras."""
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    if canonical in seen:
        return seen
    try:
        found = distribution(canonical)
    except PackageNotFoundError:  # asked for on other platforms or older Pythons only
        return seen
    seen.add(canonical)
    for line in found.requires or ():
        if not MARKED_OFF.search(line):
            closure(re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0], seen)
    return seen


def bytes_of(name: str) -> int:
    files = distribution(name).files or ()
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())


def test_the_core_installs_in_less_than_800_megabytes() -> None:
    sizes = {name: bytes_of(name) for name in closure("tickcast", set())}
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    print(f"{total / 1e6:.0f} MB in {len(sizes)} distributions; largest: {largest}")

    assert "numba" in sizes
    assert "quixstreams" not in sizes
    assert total < CORE_BYTES_MAX, largest
