"""The exchange behind one port: HTTP and WebSocket for all its venues, and what happened to whoever asks.

/binance/stream  /binance/ws/...  /binance/api/v3/...  /binance/data/spot/daily/...
/coinbase/ws     /coinbase/api/v3/brokerage/...
/kraken/v2       /kraken/0/public/...
/status          /truth/{venue}/{pair}?from_ms=&to_ms=&aggregates=1
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from math import ceil

from aiohttp import WSMsgType, web

from tickcast.sources.simulated.exchange import truth
from tickcast.sources.simulated.exchange.control import Control
from tickcast.sources.simulated.exchange.door import Door
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.faults.answers import Torn
from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked
from tickcast.sources.simulated.exchange.rest.bulk import Day, pack
from tickcast.sources.simulated.exchange.sockets.binance import BinanceSession
from tickcast.sources.simulated.exchange.sockets.coinbase import CoinbaseSession
from tickcast.sources.simulated.exchange.sockets.kraken import KrakenSession
from tickcast.sources.simulated.exchange.sockets.link import Link, reset
from tickcast.sources.simulated.exchange.sockets.session import Session

SHUTDOWN_S = 1.0
MUTED_LOOK_S = 0.05


class Server:
    """An exchange that listens. `async with Server(exchange) as server: server.base("binance")`."""

    def __init__(self, exchange: Exchange, door: Door | None = None) -> None:
        self.exchange = exchange
        self.port = 0
        self._door = door
        self._runner: web.AppRunner | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def base(self, venue: str) -> str:
        """Where a venue is: what the setting `endpoints` wants."""
        return f"{self.address}/{venue}"

    @property
    def address(self) -> str:
        """Where all of it is."""
        settings = self.exchange.settings
        return f"{'https' if settings.tls_cert else 'http'}://{settings.host}:{self.port}"

    async def start(self) -> None:
        """Listen, and let time pass; ends with the door closed, whoever opened it."""
        door = self._door = self._door or Door(self.exchange.settings)
        if door.context is not None:
            door.context.sni_callback = self._shake_hands
        self._runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            for bound in door.sockets:
                await web.SockSite(self._runner, bound, ssl_context=door.context).start()
        except OSError as error:
            await self.stop()
            raise door.refusal(error) from error
        self.port = door.port
        self._tick()

    async def stop(self) -> None:
        """End all connections and stop listening."""
        if self._timer is not None:
            self._timer.cancel()
        for hall in self.exchange.halls.values():
            for session in tuple(hall.sessions):
                session.link.abort()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._door is not None:
            self._door.close()

    def _shake_hands(self, _: object, __: str | None, ___: object) -> int | None:
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE if self.exchange.requests.no_handshake() else None

    def _tick(self) -> None:
        self.exchange.tick()
        self._timer = asyncio.get_running_loop().call_later(self.exchange.settings.tick_s, self._tick)

    def _app(self) -> web.Application:
        app = web.Application()
        for venue in self.exchange.halls:
            app.router.add_get(f"/{venue}/{{path:.*}}", self._venue)
        app.router.add_get("/status", self._status)
        app.router.add_get("/truth/{venue}/{pair:.+}", self._truth)
        Control(self.exchange).add_to(app)
        return app

    async def _status(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.json_response(self.exchange.status())

    async def _truth(self, request: web.Request) -> web.Response:
        venue, pair, query = request.match_info["venue"], request.match_info["pair"], request.query
        try:
            span = int(query.get("from_ms", "0")), int(query.get("to_ms", "0"))
            columns = self.exchange.truth(venue, pair, *span, aggregates=query.get("aggregates") == "1")
        except KeyError:
            return web.json_response({"error": f"no {pair} on {venue}"}, status=404)
        except ValueError:
            return web.json_response({"error": "from_ms and to_ms are whole numbers"}, status=400)
        return web.Response(body=truth.page(pair, columns), content_type="application/json")

    async def _venue(self, request: web.Request) -> web.StreamResponse:
        venue = request.path.split("/")[1]
        path = "/" + request.match_info["path"]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, venue, path)
        now_us = self.exchange.world.now_us()
        real_s = self.exchange.clock.monotonic_s()
        asked = Asked(path, request.query, request.remote or "", now_us, now_us, real_s)
        bent = self.exchange.requests.before(venue, asked)
        if bent.delay_s:
            await asyncio.sleep(bent.delay_s)
        answer = bent.answer or await self._answer(venue, bent.asked)
        return await respond(request, self.exchange.requests.after(venue, asked, answer))

    async def _answer(self, venue: str, asked: Asked) -> Answer:
        if venue == "binance" and asked.path.startswith("/data/"):
            found = self.exchange.bulk.find(asked.path, asked.seen_us)
            if isinstance(found, Day):
                return self.exchange.bulk.keep(found, await asyncio.to_thread(pack, found))
            return found
        return self.exchange.desks[venue].answer(asked)

    async def _socket(self, request: web.Request, venue: str, path: str) -> web.StreamResponse:
        hall, real_s = self.exchange.halls[venue], self.exchange.clock.monotonic_s()
        limits = hall.limits
        opens = _SESSIONS[venue](path, request.query.get("streams", ""))
        if opens is None:
            return web.Response(status=404, text="404 page not found\n")
        refused = self.exchange.requests.door(venue)
        if refused is not None:
            if not refused.status:
                reset(request.transport)
            return web.Response(body=refused.body, status=refused.status or 503, headers=dict(refused.headers))
        if not hall.connects.take(real_s):
            wait_s = ceil(hall.connects.wait_s(real_s))
            return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": str(wait_s)})
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=limits.message_bytes_max, timeout=SHUTDOWN_S
        )
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket
        self._number += 1
        session = opens(Link(self._number, transport, limits.backlog_bytes), hall, real_s)
        session.opened()
        hall.enter(session)
        try:
            await self._listen(socket, session)
        finally:
            hall.leave(session)
            transport.close()
        return socket

    async def _listen(self, socket: web.WebSocketResponse, session: Session) -> None:
        link, clock = session.link, self.exchange.clock
        async for message in socket:
            if link.muted or link.closing:
                continue
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if session.hall.faults is not None and session.hall.faults.deaf():
                    continue
                raw = message.data.encode() if message.type == WSMsgType.TEXT else message.data
                session.heard(raw, clock.monotonic_s())
            elif message.type == WSMsgType.PING and session.allowed(clock.monotonic_s()):
                link.pong(message.data)
            elif message.type == WSMsgType.PONG:
                link.pongs.append(message.data)
        while link.muted and not link.transport.is_closing():  # a goodbye to one who is not there
            await asyncio.sleep(MUTED_LOOK_S)
        link.close(socket.close_code or 1000)


Opens = Callable[[Link, Hall, float], Session]


def _binance(path: str, streams: str) -> Opens | None:
    if path != "/stream" and path != "/ws" and not path.startswith("/ws/"):
        return None
    return lambda link, hall, real_s: BinanceSession(link, hall, real_s, path=path, query=streams)


_SESSIONS: dict[str, Callable[[str, str], Opens | None]] = {
    "binance": _binance,
    "coinbase": lambda path, streams: CoinbaseSession if path in ("/ws", "/") else None,
    "kraken": lambda path, streams: KrakenSession if path == "/v2" else None,
}


async def respond(request: web.Request, torn: Torn) -> web.StreamResponse:
    """An answer as aiohttp wants it; one that is shorter than it promised ends with its connection."""
    answer = torn.answer
    if torn.promised == len(answer.body):
        headers = dict(answer.headers)
        return web.Response(body=answer.body, status=answer.status, headers=headers, content_type=answer.type)
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    response.content_type, response.content_length = answer.type, torn.promised
    await response.prepare(request)
    await response.write(answer.body)
    if request.transport is not None:
        request.transport.close()
    return response
