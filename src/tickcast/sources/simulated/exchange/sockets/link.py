"""One WebSocket connection as the exchange sees it: bytes out, a bounded backlog, and the ways to end it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from tickcast.sources.simulated.exchange.sockets.frames import PING, PONG, close_frame, frame, text_frame

GOODBYE_S = 1.0
"""How long the other side may take to answer a close frame."""


class Link:
    """What is written goes straight to the transport; who does not read is cut when the backlog is full."""

    def __init__(self, number: int, transport: asyncio.Transport, backlog_bytes: int) -> None:
        self.number = number
        self.transport = transport
        self.messages = 0
        """Text messages that were sent."""
        self.muted = False
        """Nothing goes out any more, and nothing that comes in is answered: the other side is left alone."""
        self.closing = False
        self.slow = False
        """It was cut because its reader was too far behind."""
        self.pongs: list[bytes] = []
        self._backlog_bytes = backlog_bytes
        self._largest = 0  # a single write may be larger than the backlog
        self._dripping = False
        self._drops = bytearray()
        self._allowed = 0.0

    def write(self, data: bytes, messages: int = 0) -> None:
        """Send whole frames."""
        if self.muted or self.closing or self.transport.is_closing():
            return
        self.messages += messages
        self._largest = max(self._largest, len(data))
        if self.dripping or self._drops:
            self._drops += data
        else:
            self.transport.write(data)
        if len(self._drops) + self.transport.get_write_buffer_size() > self._backlog_bytes + self._largest:
            self.slow = True
            self.reset()

    def drip(self, count: float) -> None:
        """While bytes trickle: let so many of them go."""
        self._allowed += count
        whole = int(self._allowed)
        if whole and self._drops and not self.muted:
            self.transport.write(bytes(self._drops[:whole]))
            del self._drops[:whole]
        self._allowed -= whole

    @property
    def dripping(self) -> bool:
        """Whether bytes trickle now."""
        return self._dripping

    @dripping.setter
    def dripping(self, on: bool) -> None:
        self._dripping = on
        if not on and self._drops:
            if not self.muted and not self.transport.is_closing():
                self.transport.write(bytes(self._drops))
            self._drops.clear()

    def mute(self) -> None:
        """Never say anything again, and keep the connection."""
        self.muted = True

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something to it in real seconds, by the loop's clock."""
        asyncio.get_running_loop().call_later(seconds, act)

    def say(self, payload: bytes) -> None:
        """Send one text message."""
        self.write(text_frame(payload), 1)

    def ping(self, payload: bytes) -> None:
        """Ask for a sign of life."""
        self.write(frame(PING, payload))

    def pong(self, payload: bytes) -> None:
        """Give one."""
        self.write(frame(PONG, payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, and end the connection when that is answered or too much time has passed."""
        if self.closing or self.transport.is_closing():
            return
        self.write(close_frame(code, reason))
        self.closing = True
        asyncio.get_running_loop().call_later(GOODBYE_S, self.abort)

    def abort(self) -> None:
        """End it, whatever is not sent yet; what has ended already stays as it is.

        A transport whose last bytes went out after it was closed has let go of its loop, and has nothing to abort with.
        """
        transport = self.transport
        over_tls = transport.get_extra_info("ssl_object") is not None  # that one may still wait for the other's goodbye
        if over_tls or transport.get_write_buffer_size() or not transport.is_closing():
            transport.abort()

    def reset(self) -> None:
        """End it without a word: the other side gets a reset."""
        reset(self.transport)
        self.closing = True


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Let the kernel answer with RST instead of a goodbye."""
    if transport is None or transport.is_closing():
        return
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
