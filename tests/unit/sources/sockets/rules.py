"""A connection in tests: the usual rules but for some."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from tests.unit.sources.sockets.exchange import USUAL
from tickcast.sources.venues.contract import Rules


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def rules(**changes: Any) -> Rules:
    """The usual ones but for some."""
    return msgspec.structs.replace(USUAL, **changes)
