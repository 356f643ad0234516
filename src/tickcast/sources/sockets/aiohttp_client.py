"""aiohttp as our client: the second behind the same seam, where picows can not be imported.

A task reads, one writes: aiohttp's calls are coroutines, and ours must not wait. No permessage-deflate is asked for,
as with picows, so that both read the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tickcast.clock import Clock
from tickcast.sources.sockets.contract import Listener, SocketError
from tickcast.sources.sockets.dialler import Dialler
from tickcast.sources.sockets.failures import failed, goodbye_words, no_websocket, refused
from tickcast.sources.sockets.patience import within
from tickcast.sources.sockets.resolving import Resolver

CLOSE_WAIT_S = 1.0
"""How long the other side may take to answer our goodbye."""
UNSENT_MAX = 1024
"""Messages that may wait to be sent; the other side takes nothing any more when there are more."""
T = TypeVar("T")
_TEXT, _BINARY = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY
_PING, _PONG = aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG


class AiohttpClient(Dialler):
    """Dials with aiohttp."""

    name = "aiohttp"

    async def connect(
        self, url: str, listener: Listener, *, message_bytes_max: int, timeout_s: float, ca_file: str = ""
    ) -> AiohttpSocket:
        """Dial; raises SocketError."""
        lines: list[socket.socket] = []
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_Names(self._resolver),
                socket_factory=partial(_noted, lines),
                ssl=self._context(ca_file) if url.startswith("wss") else False,
                limit=1,
                use_dns_cache=False,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(_stay,),
        )
        dialling = session.ws_connect(
            url,
            autoping=False,
            autoclose=False,
            decode_text=False,
            max_msg_size=message_bytes_max + 1,  # aiohttp's limit is the first size that it refuses
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WAIT_S),
        )
        try:
            spoken = await within(timeout_s, _awaited(dialling))
        except BaseException as exc:
            await _let_go(session.close())
            if isinstance(exc, (OSError, TimeoutError, aiohttp.ClientError, ValueError)):
                raise _error(url, exc, timeout_s) from exc
            raise
        return AiohttpSocket(session, lines, spoken, listener, self._clock, message_bytes_max)


def _noted(lines: list[socket.socket], address: Any) -> socket.socket:
    """A socket as asyncio would make it, noted, so that it can be cut."""
    line = socket.socket(*address[:3])
    lines.append(line)
    return line


class _Names(AbstractResolver):
    """Our resolver as aiohttp wants one."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host, of either family if none is asked for."""
        found = await self._resolver.addresses(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=where[0],
                port=where[1],
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, where in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _awaited(work: Awaitable[T]) -> T:
    """As a coroutine: aiohttp's own object is a mere awaitable."""
    return await work


async def _stay(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """A redirection is a refusal: nobody sends our connection elsewhere."""
    response: aiohttp.ClientResponse = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info, (), status=response.status, message="redirected", headers=response.headers
        )
    return response


async def _let_go(*closings: Coroutine[Any, Any, object]) -> None:
    """Close what is held, one after the other; it can not hold us up."""
    for work in closings:
        closing = asyncio.ensure_future(work)
        await asyncio.wait({closing}, timeout=CLOSE_WAIT_S)
        if not closing.cancel() and not closing.cancelled():
            closing.exception()  # of a line that is gone, which is told already


def _error(url: str, exc: BaseException, timeout_s: float) -> SocketError:
    """aiohttp's errors unwrapped."""
    if isinstance(exc, aiohttp.WSServerHandshakeError):
        if exc.status == 101:
            return no_websocket(url, exc.message)
        headers: Mapping[str, str] = exc.headers or {}
        return refused(url, exc.status, headers.get("Retry-After", ""), headers.get("Date", ""))
    if isinstance(exc, aiohttp.ClientResponseError):
        return no_websocket(url, exc.message)
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return failed(url, exc.certificate_error, timeout_s)
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return failed(url, EOFError(), timeout_s)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return failed(url, exc.os_error, timeout_s)
    if isinstance(exc, (aiohttp.InvalidURL, ValueError)):
        return no_websocket(url, str(exc))
    return failed(url, exc, timeout_s)


class AiohttpSocket:
    """One connection."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        lines: list[socket.socket],
        spoken: aiohttp.ClientWebSocketResponse[Any],
        listener: Listener,
        clock: Clock,
        message_bytes_max: int,
    ) -> None:
        self._session, self._lines, self._spoken, self._listener = session, lines, spoken, listener
        self._clock, self._bytes_max = clock, message_bytes_max
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[tuple[aiohttp.WSMsgType, bytes]] = asyncio.Queue(UNSENT_MAX)
        self._why = ""
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = self._start(self._read())
        self._start(self._write())

    def send(self, raw: bytes) -> None:
        """Send one text message; on a closed socket nothing happens."""
        self._put(_TEXT, raw)

    def ping(self, payload: bytes) -> None:
        """Send a WebSocket ping."""
        self._put(_PING, payload)

    def close(self) -> None:
        """Say goodbye; after a second without an answer the line is cut."""
        self._end("closed by us")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _put(self, kind: aiohttp.WSMsgType, raw: bytes) -> None:
        if self._over or self._why:
            return
        try:
            self._out.put_nowait((kind, raw))
        except asyncio.QueueFull:
            self._why = "does not take what we send"
            self._finish()

    def _end(self, why: str) -> None:
        if self._over or self._why:
            return
        self._why = why
        self._timer = self._loop.call_later(CLOSE_WAIT_S, self._finish)
        self._start(self._say_goodbye())

    async def _say_goodbye(self) -> None:
        """aiohttp waits for the answer itself; a line that broke meanwhile is the reader's to tell of."""
        await self._spoken.close()
        self._finish()

    async def _write(self) -> None:
        while True:
            kind, raw = await self._out.get()
            try:
                await self._spoken.send_frame(raw, kind)
            except (ConnectionError, aiohttp.ClientError):
                return  # the reader sees the end and says so

    async def _read(self) -> None:
        """Hand on what comes, until the end."""
        try:
            while True:
                said = await self._spoken.receive()
                recv_ns = self._clock.now_ns()
                if said.type is _TEXT or said.type is _BINARY:
                    self._listener.message(recv_ns, bytes(said.data))
                elif said.type is _PING:
                    self._put(_PONG, bytes(said.data))
                    self._listener.sign_of_life(recv_ns, None)
                elif said.type is _PONG:
                    self._listener.sign_of_life(recv_ns, bytes(said.data))
                else:
                    break
        except Exception as exc:  # noqa: BLE001 - whoever listens is at fault; the loop's handler is told
            self._loop.call_exception_handler({"message": "a listener failed", "exception": exc})
            self._end("our own listener failed")
            return
        if not self._why:
            self._end(self._reason(said))

    def _reason(self, said: aiohttp.WSMessage) -> str:
        """Why nothing follows."""
        if said.type is aiohttp.WSMsgType.CLOSE:
            return goodbye_words(int(said.data or 0), str(said.extra or ""))
        if said.type is aiohttp.WSMsgType.ERROR:
            if getattr(said.data, "code", 0) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                return f"sent a message of more than {self._bytes_max} bytes"
            return f"broke the protocol: {said.data}"
        return "cut the line without a goodbye"

    def _finish(self) -> None:
        """The end, once: whatever still waits for the other side is cut."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for line in self._lines:
            with contextlib.suppress(OSError):  # it is gone already, which is what we want
                line.shutdown(socket.SHUT_RDWR)
        for task in self._tasks:
            task.cancel()
        self._start(self._depart())

    async def _depart(self) -> None:
        """Who is told of the end may stop the loop: the session goes first."""
        try:
            await _let_go(self._spoken.close(), self._session.close())
        finally:
            self._listener.closed(self._why)
