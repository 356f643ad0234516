"""picows as our client: frames are parsed in C and handed to a callback, without a task or a queue in between.

picows parses frames; what a message is made of is ours to check: fragments, reserved bits (we ask for no extension, so
a compressed frame is a fault), sizes. It offers no permessage-deflate, and we ask for none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from functools import partial
from typing import Any

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect
from picows.url import WSParsedURL

from tickcast.clock import Clock
from tickcast.sources.sockets.contract import Listener, SocketError
from tickcast.sources.sockets.dialler import Dialler
from tickcast.sources.sockets.failures import failed, goodbye_words, no_websocket, refused
from tickcast.sources.sockets.patience import within

CLOSE_WAIT_S = 1.0
"""How long the other side may take to answer our goodbye."""
WRITE_BUFFER_MAX = 1 << 20
"""Bytes that the other side may leave unread: pongs to somebody who only pings must not fill the memory."""
_QUIET = logging.getLogger("tickcast.picows")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # what goes wrong is told through `closed` and SocketError, once
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")
_HEADER = re.compile(rb"^(retry-after|date):[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_PING, _PONG, _CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE


class PicowsClient(Dialler):
    """Dials with picows."""

    name = "picows"

    async def connect(
        self, url: str, listener: Listener, *, message_bytes_max: int, timeout_s: float, ca_file: str = ""
    ) -> PicowsSocket:
        """Dial; raises SocketError."""
        ears = PicowsSocket(listener, self._clock, message_bytes_max)
        try:
            dialling = ws_connect(
                lambda _request, _response: ears,
                url,
                ssl_context=self._context(ca_file) if url.startswith("wss") else None,
                websocket_handshake_timeout=timeout_s + CLOSE_WAIT_S,
                logger_name=_QUIET,
                enable_auto_pong=False,
                max_frame_size=message_bytes_max,
                max_redirects=0,
                socket_factory=partial(self._connected, ears),
            )
            _, heard = await within(timeout_s, dialling)
        except WSHandshakeError as exc:
            raise _refusal(url, exc) from exc
        except (OSError, TimeoutError, WSError, ValueError, EOFError) as exc:
            ears.abandon()
            if isinstance(exc, (WSError, ValueError)) and not isinstance(exc, OSError):
                raise no_websocket(url, str(exc)) from exc
            raise failed(url, exc, timeout_s) from exc
        except BaseException:
            ears.abandon()
            raise
        if heard is None:  # the line was cut before an answer came, which picows does not call an error
            raise failed(url, EOFError(), timeout_s)
        return ears

    async def _connected(self, ears: PicowsSocket, parsed: WSParsedURL) -> socket.socket:
        """Of our own, so that a dial that is given up can be cut at once."""
        ears.line = await self._resolver.connect(parsed.host, parsed.port)
        return ears.line


def _refusal(url: str, exc: WSHandshakeError) -> SocketError:
    """The status is read from the bytes: picows knows neither HTTP/1.0 nor statuses that Python has no name for."""
    head = exc.raw_header or b""
    found = _STATUS.match(head)
    if found is None or int(found[1]) == 101:
        return no_websocket(url, str(exc))
    headers = {name.lower(): value.decode("latin-1") for name, value in _HEADER.findall(head)}
    return refused(url, int(found[1]), headers.get(b"retry-after", ""), headers.get(b"date", ""))


class PicowsSocket(WSListener):
    """One connection: picows calls it with frames, we call our listener with messages."""

    def __init__(self, listener: Listener, clock: Clock, message_bytes_max: int) -> None:
        self._listener: Listener | None = listener
        self._now_ns = clock.now_ns
        self._bytes_max = message_bytes_max
        self._transport: WSTransport | None = None
        self.line: socket.socket | None = None
        self._recv_ns = 0
        """When the buffer that is being parsed was read; 0: the next frame is the first of another."""
        self._raws: list[bytes] = []
        """Whole messages of that buffer that were not told yet."""
        self._messages = getattr(listener, "messages", None) or self._one_by_one
        self._parts: bytearray | None = None
        self._why = ""
        self._deaf = False
        """Set when the other side broke the rules: what it still sends is not read."""
        self._timer: asyncio.TimerHandle | None = None

    def send(self, raw: bytes) -> None:
        """Send one text message; on a closed socket nothing happens."""
        if (transport := self._open()) is not None:
            transport.send(_TEXT, raw)

    def ping(self, payload: bytes) -> None:
        """Send a WebSocket ping."""
        if (transport := self._open()) is not None:
            transport.send_ping(payload)

    def close(self) -> None:
        """Say goodbye; after a second without an answer the line is cut."""
        self._end("closed by us", WSCloseCode.OK)

    def abandon(self) -> None:
        """Nobody wants it any more; the listener hears nothing."""
        self._listener = None
        if self.line is not None:
            with contextlib.suppress(OSError):  # it is gone already, which is what we want
                self.line.shutdown(socket.SHUT_RDWR)

    def _open(self) -> WSTransport | None:
        """Where one may write, if one may; a line that picows gave up, or that takes nothing, is cut here."""
        transport = self._transport
        if transport is None or self._why or transport.is_disconnected:
            return None
        if transport.is_close_frame_sent:  # picows' own goodbye may wait for ever behind unsent bytes
            transport.disconnect(False)
            return None
        if transport.underlying_transport.get_write_buffer_size() > WRITE_BUFFER_MAX:
            self._why = "does not take what we send"
            transport.disconnect(False)
            return None
        return transport

    def _end(self, why: str, code: Any) -> None:
        if self._why or self._transport is None or self._transport.is_disconnected:
            return
        self._why, self._deaf = why, code is not WSCloseCode.OK
        self._transport.send_close(code)
        cut = partial(self._transport.disconnect, False)
        self._timer = asyncio.get_running_loop().call_later(CLOSE_WAIT_S, cut)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done; frames may follow before `connect` returns."""
        self._transport = transport
        if self._listener is None:
            transport.disconnect(False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows' signature
        """One frame; the usual one is a whole text message, told with the others of what was read at once."""
        kind = frame.msg_type
        plain = frame.fin and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        if kind is _TEXT and plain and self._parts is None and frame.payload_size <= self._bytes_max:
            self._raws.append(frame.get_payload_as_bytes())
            if frame.last_in_buffer or not self._recv_ns:
                self._begin_or_end(frame)
            return
        self._deliver()
        recv_ns = self._recv_ns or self._now_ns()
        self._recv_ns = 0 if frame.last_in_buffer else recv_ns
        listener = self._listener
        if listener is None or self._deaf:
            if kind is _CLOSE:
                self._goodbye(frame)
            return
        try:
            self._unusual(listener, recv_ns, kind, frame)
        except Exception as exc:  # noqa: BLE001 - whoever listens is at fault
            self._failed(exc)

    def _begin_or_end(self, frame: WSFrame) -> None:
        """The first of what was read at once, or the last of it."""
        self._recv_ns = self._recv_ns or self._now_ns()
        if frame.last_in_buffer:
            self._deliver()
            self._recv_ns = 0

    def _deliver(self) -> None:
        """Tell what was collected."""
        raws, self._raws = self._raws, []
        if raws and self._listener is not None and not self._deaf:
            try:
                self._messages(self._recv_ns, raws)
            except Exception as exc:  # noqa: BLE001 - whoever listens is at fault
                self._failed(exc)

    def _one_by_one(self, recv_ns: int, raws: list[bytes]) -> None:
        for raw in raws:
            if self._listener is not None and not self._deaf:
                self._listener.message(recv_ns, raw)

    def _failed(self, exc: Exception) -> None:
        """The loop's handler is told."""
        self._end("our own listener failed", WSCloseCode.INTERNAL_ERROR)
        asyncio.get_running_loop().call_exception_handler({"message": "a listener failed", "exception": exc})

    def _unusual(self, listener: Listener, recv_ns: int, kind: Any, frame: WSFrame) -> None:
        """All but whole text messages."""
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._end("sent a compressed or reserved frame that we did not ask for", WSCloseCode.PROTOCOL_ERROR)
        elif kind is _PING:
            if (transport := self._open()) is not None:
                transport.send_pong(frame.get_payload_as_bytes())
            listener.sign_of_life(recv_ns, None)
        elif kind is _PONG:
            listener.sign_of_life(recv_ns, frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._goodbye(frame)
        else:
            self._part(listener, recv_ns, kind, frame)

    def _part(self, listener: Listener, recv_ns: int, kind: Any, frame: WSFrame) -> None:
        """A binary message, or a piece of a message."""
        if (kind is _CONTINUATION) != (self._parts is not None):
            self._end("mixed the pieces of two messages", WSCloseCode.PROTOCOL_ERROR)
            return
        parts = self._parts if self._parts is not None else bytearray()
        if len(parts) + frame.payload_size > self._bytes_max:
            self._parts = None
            why = f"sent a message of more than {self._bytes_max} bytes"
            self._end(why, WSCloseCode.MESSAGE_TOO_BIG)
            return
        parts += frame.get_payload_as_bytes()
        self._parts = None if frame.fin else parts
        if frame.fin:
            listener.message(recv_ns, bytes(parts))

    def _goodbye(self, frame: WSFrame) -> None:
        """Answer a goodbye and cut; the answer gets a moment to leave."""
        transport = self._transport
        if transport is None:
            return
        if transport.is_close_frame_sent:
            self._why = self._why or self._fault(transport)
        else:
            self._why = goodbye_words(_number(frame.get_close_code()), frame.get_close_reason() or "")
            transport.send_close(WSCloseCode.OK)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CLOSE_WAIT_S, partial(transport.disconnect, False))
        transport.disconnect(True)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The end, once."""
        ended = asyncio.ensure_future(transport.wait_disconnected())
        ended.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio complains
        if self._timer is not None:
            self._timer.cancel()
        listener, self._listener, self._parts = self._listener, None, None
        if listener is None:
            return
        listener.closed(self._why or self._fault(transport) or "cut the line without a goodbye")

    def _fault(self, transport: WSTransport) -> str:
        """What picows gave the line up for: it says so in the goodbye that it sends on its own account."""
        sent = transport.close_handshake.sent if transport.close_handshake is not None else None
        if sent is None:
            return ""
        if _number(sent.code) == _number(WSCloseCode.MESSAGE_TOO_BIG):
            return f"sent a message of more than {self._bytes_max} bytes"
        return f"broke the protocol: {sent.reason or sent.code}"

    def pause_writing(self) -> None:
        """Nothing to do: what is unsent is watched where it is sent."""


def _number(code: Any) -> int:
    """Of a close code, which picows types as an enumeration though venues have codes of their own."""
    return int(code)
