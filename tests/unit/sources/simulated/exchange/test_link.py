"""One connection as the exchange sees it, over a real transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tickcast.sources.simulated.exchange.sockets.link import Link

LARGE = b"x" * 20_000_000
"""More than the kernel takes at once: some of it waits in the transport."""


class Lost(asyncio.Protocol):
    """Tells when its connection is gone."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def connection_lost(self, _: Exception | None) -> None:
        self.gone.set()


def linked(test: Callable[[Link, Lost, asyncio.StreamReader], Awaitable[None]]) -> None:
    """One connection: the exchange's side as a link, the other as a reader."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[tuple[asyncio.Transport, Lost]] = loop.create_future()

        class Served(Lost):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                made.set_result((transport, self))

        server = await loop.create_server(Served, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport, lost = await made
        await test(Link(1, transport, len(LARGE)), lost, reader)
        writer.close()
        server.close()

    asyncio.run(asyncio.wait_for(main(), 60.0))


def test_a_late_abort_of_a_connection_that_sent_its_last_bytes_and_ended_does_nothing() -> None:
    async def test(link: Link, lost: Lost, reader: asyncio.StreamReader) -> None:
        link.transport.write(LARGE)
        link.transport.close()
        waits = link.transport.get_write_buffer_size()
        told = await reader.read(-1)
        await lost.gone.wait()
        link.abort()

        assert waits
        assert len(LARGE) == len(told)

    linked(test)


def test_an_abort_ends_a_connection_whose_last_bytes_nobody_reads() -> None:
    async def test(link: Link, lost: Lost, reader: asyncio.StreamReader) -> None:
        link.transport.write(LARGE)
        link.transport.close()
        still_there = not lost.gone.is_set()
        link.abort()
        await lost.gone.wait()

        assert still_there

    linked(test)


def test_an_abort_ends_a_connection_that_is_open() -> None:
    async def test(link: Link, lost: Lost, reader: asyncio.StreamReader) -> None:
        link.abort()
        await lost.gone.wait()

        assert b"" == await reader.read()

    linked(test)
