"""The seam between the live feed and a WebSocket library: two small protocols, so that a library is one file.

Everything here runs on one asyncio loop and is called on it; what listens must not block.
"""

from __future__ import annotations

from typing import Protocol

from tickcast.errors import TickcastError


class SocketError(TickcastError):
    """A connection could not be opened: refused, timed out, no TLS, no WebSocket there; `what` says which."""

    def __init__(self, where: str, what: str, remedy: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(where, what, remedy)
        self.status, self.retry_after_s = status, retry_after_s
        """The HTTP status of a refusal (429, 451, 503; 0: there was none) and its Retry-After."""


class Socket(Protocol):
    """An open connection."""

    def send(self, raw: bytes) -> None:
        """Send one text message; on a closed socket nothing happens."""
        ...

    def ping(self, payload: bytes) -> None:
        """Send a WebSocket ping."""
        ...

    def close(self) -> None:
        """Say goodbye and let go; `Listener.closed` follows, at once if the other side does not answer."""
        ...


class Listener(Protocol):
    """Who is told what comes.

    One that has `messages(recv_ns, raws)` too may be given several messages that were read at once by it.
    """

    def message(self, recv_ns: int, raw: bytes) -> None:
        """One whole text or binary message, and when it was read."""
        ...

    def sign_of_life(self, recv_ns: int, pong: bytes | None) -> None:
        """A ping came (answered already; `pong` None), or the answer to one of ours with its payload."""
        ...

    def closed(self, why: str) -> None:
        """The connection has ended, for whatever reason; exactly once, and nothing follows."""
        ...


class Client(Protocol):
    """A WebSocket library."""

    name: str

    async def connect(
        self, url: str, listener: Listener, *, message_bytes_max: int, timeout_s: float, ca_file: str = ""
    ) -> Socket:
        """Dial; raises SocketError. Pings of the other side are answered by the client itself."""
        ...
