"""Host names to connected sockets, so that a dead name server can not hold up the end of the process.

`getaddrinfo` blocks for up to half a minute when no name server answers. The loop's own resolver runs it in a pool
whose threads Python waits for at exit; ours are daemons, one for each name that is being looked up.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

Address = tuple[Any, ...]
"""As `socket.getaddrinfo` gives it."""


class Resolver:
    """Looks names up; who asks for a name that is being looked up waits for the same answer, so threads are bounded."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host; raises socket.gaierror."""
        key = (host, port)
        answer = self._under_way.get(key)
        if answer is None or answer.get_loop() is not asyncio.get_running_loop():
            answer = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: self._forget(key, done))
            self._under_way[key] = answer
            threading.Thread(target=_look_up, args=(host, port, answer), name=f"resolve {host}", daemon=True).start()
        return await asyncio.shield(answer)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[Address]]) -> None:
        if self._under_way.get(key) is done:
            del self._under_way[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket: the addresses are tried side by side, a quarter of a second apart."""
        from aiohappyeyeballs import start_connection  # a part of aiohttp's

        found = await self.addresses(host, port)
        return await start_connection(found, happy_eyeballs_delay=0.25, interleave=1)


def _look_up(host: str, port: int, answer: asyncio.Future[list[Address]]) -> None:
    """In a thread of its own; the loop may be gone when the name server answers at last."""
    found: list[Address] = []
    error: BaseException | None = None
    try:
        found = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as exc:
        error = exc
    try:
        answer.get_loop().call_soon_threadsafe(_hand_over, answer, found, error)
    except RuntimeError:
        return  # the loop is closed: nobody waits


def _hand_over(answer: asyncio.Future[list[Address]], found: list[Address], error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(found)
