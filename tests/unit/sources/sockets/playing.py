"""Both clients in tests, against a server of bytes."""

from __future__ import annotations

import asyncio

from tests.unit.sources.sockets.servers import (
    Handler,
    Peer,
)

NOW_NS = 1_723_161_600_000_000_000
LIMIT = 100_000


def sends(*frames: bytes) -> Handler:
    """A server that accepts, sends some bytes one after the other, and waits for the end."""

    async def handler(peer: Peer) -> None:
        await peer.accept()
        for raw in frames:
            await peer.send(raw)
            await asyncio.sleep(0)
        await peer.goodbye()

    return handler
