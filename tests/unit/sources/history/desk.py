"""A venue in memory behind a port of this machine, with faults put before its answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from tests.unit.sources.history.memory import Venue
from tickcast.clock import SystemClock
from tickcast.sources.history.budget import Budgets
from tickcast.sources.history.contract import Request
from tickcast.sources.history.rest import Patience, RestHistory
from tickcast.sources.venues.contract import Endpoints

QUICK = Patience(attempts=4, backoff_s=0.001, backoff_max_s=0.01, wait_max_s=20.0, timeout_s=1.0)
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HurriedClock(SystemClock):
    """A second of waiting takes a hundredth."""

    speed = 0.01

    def monotonic_s(self) -> float:
        return time.monotonic() * 100.0


class Desk:
    """`async with Desk("kraken", venue) as desk: desk.history()`."""

    def __init__(self, exchange: str, venue: Venue) -> None:
        self.exchange, self.venue = exchange, venue
        venue.step_ms = 0  # its clock goes as ours does
        self._ahead_ms = venue.now_ms - time.time_ns() // 1_000_000
        self.faults: list[Fault | None] = []
        """What happens to the next page, and to those after it; None: nothing."""
        self.pages = 0
        """How many pages were asked for."""
        self.at_s: list[float] = []
        self.budgets = Budgets(HurriedClock())
        self._made: list[RestHistory] = []

    async def __aenter__(self) -> Desk:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for made in self._made:
            await made.close()
        await self._runner.cleanup()

    def history(self, patience: Patience = QUICK) -> RestHistory:
        made = RestHistory(
            self.exchange,
            Endpoints("", self.url, self.url),
            clock=self.budgets.clock,
            budget=self.budgets,
            chance=random.Random(1),
            loop=asyncio.get_running_loop(),
            patience=patience,
        )
        self._made.append(made)
        return made

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.venue.now_ms = self.now_ms
        if request.path.lower().endswith("/time"):
            return web.Response(body=self._time(), content_type="application/json")
        self.pages += 1
        self.at_s.append(self.budgets.clock.monotonic_s())
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return await fault(request)
        return web.Response(body=self.answer(request), content_type="application/json")

    @property
    def now_ms(self) -> int:
        """What the venue's clock says: it goes as ours does, at another time."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def answer(self, request: web.Request) -> bytes:
        return self.venue.answer(Request(request.path, tuple(request.query.items()), 1))

    def _time(self) -> bytes:
        now_ms = self.venue.now_ms
        return msgspec.json.encode(
            {
                "binance": {"serverTime": now_ms},
                "coinbase": {"epochMillis": str(now_ms)},
                "kraken": {"error": [], "result": {"unixtime": now_ms // 1000}},
            }[self.exchange]
        )

    # ---- faults

    async def torn(self, request: web.Request) -> web.StreamResponse:
        """Half of a page, by a length that says that this is all."""
        page = self.answer(request)
        return web.Response(body=page[: len(page) // 2])

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """The connection breaks in the middle of the page."""
        page = self.answer(request)
        answer = web.StreamResponse(headers={"Content-Length": str(len(page))})
        await answer.prepare(request)
        await answer.write(page[: len(page) // 2])
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def dripping(self, request: web.Request) -> web.StreamResponse:
        """A byte now and then."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):  # nobody waits for the end of it
            for byte in self.answer(request):
                await answer.write(bytes((byte,)))
                await asyncio.sleep(0.05)
        return answer


def refuse(status: int, body: bytes = b"", **headers: str) -> Fault:
    """An answer with that status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return answer


def say(body: bytes) -> Fault:
    """Another body, in an answer that is fine by its status."""
    return refuse(200, body)
