"""Servers that do to a client what venues and networks do, byte by byte; and ears that write down what they hear."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATIENCE_S = 20.0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, length: int | None = None) -> bytes:
    """A frame as a server sends it; `length` may lie."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if size < 126:
        head = bytes([first, size])
    elif size < 1 << 16:
        head = bytes([first, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 127]) + size.to_bytes(8, "big")
    return head + payload


def goodbye(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> bytes:
        """The client's handshake."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def accept(self, more: bytes = b"") -> None:
        """Shake hands, and send some frames in the same segment."""
        lines = (await self.request()).split(b"\r\n")
        key = next(line.split(b": ")[1] for line in lines if line.lower().startswith(b"sec-websocket-key"))
        answer = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n" + more
        )
        await self.writer.drain()

    def lose_power(self) -> None:
        """From now on it hears nothing and says nothing, and the line stays."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    async def answer(self, status: str, headers: str = "") -> None:
        """Refuse."""
        await self.request()
        self.writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n{headers}\r\n".encode())
        await self.writer.drain()

    async def send(self, raw: bytes) -> None:
        """Whatever bytes."""
        self.writer.write(raw)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the client."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0xF, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    async def goodbye(self) -> None:
        """Until the client says goodbye, which is answered."""
        while True:
            kind, payload = await self.receive()
            if kind == CLOSE:
                await self.send(frame(CLOSE, payload[:2]))
                return

    async def gone(self) -> None:
        """Until the client has let go."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Handler = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on a free port; gives the URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'wss' if context else 'ws'}://127.0.0.1:{port}/ws"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Ears:
    """Writes down what a client says."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.times: list[int] = []
        self.signs: list[bytes | None] = []
        self.ends: list[str] = []
        self._bell = asyncio.Event()

    def message(self, recv_ns: int, raw: bytes) -> None:
        self.messages.append(raw)
        self.times.append(recv_ns)
        self._bell.set()

    def sign_of_life(self, recv_ns: int, pong: bytes | None) -> None:
        self.signs.append(pong)
        self.times.append(recv_ns)
        self._bell.set()

    def closed(self, why: str) -> None:
        self.ends.append(why)
        self._bell.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Until something holds; what it is changes only when we hear something."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._bell.clear()
                await self._bell.wait()

    async def end(self) -> str:
        """Why it ended."""
        await self.until(lambda: self.ends)
        return self.ends[0]


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, str]:
    """A server's context with a certificate of its own signing for 127.0.0.1, and the file to trust it by."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    alt = ",".join(names or ("IP:127.0.0.1",))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(cert), "-subj", "/CN=local", "-addext", f"subjectAltName={alt}"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)
