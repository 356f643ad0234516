"""How faults are injected from outside.

GET /faults      all of them, with their state and how often each has hit
POST /faults     one as JSON, or a list: {"kind":"stall","venue":"binance","pair":"BTCUSDT","seconds":30}
DELETE /faults   all of them; /faults/3 one
POST /storm      {"seed":7,"seconds":60}: draws a storm, injects it, answers with its faults
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.faults.kinds import read_faults


class Weather(msgspec.Struct, forbid_unknown_fields=True):
    """What a storm is drawn from; the exchange's venues and pairs where none are named."""

    seed: int
    seconds: float = 60.0
    venues: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


class Control:
    """The exchange's own paths."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def add_to(self, app: web.Application) -> None:
        """Name the paths."""
        app.router.add_get("/faults", self._list)
        app.router.add_post("/faults", self._inject)
        app.router.add_delete("/faults", self._remove)
        app.router.add_delete(r"/faults/{number:\d+}", self._remove)
        app.router.add_post("/storm", self._storm)

    async def _list(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return _json(self._exchange.faults.list())

    async def _inject(self, request: web.Request) -> web.Response:
        try:
            return _json({"numbers": self._exchange.faults.inject(*read_faults(await request.read()))})
        except ConfigError as error:
            return _json({"error": str(error)}, 400)

    async def _remove(self, request: web.Request) -> web.Response:
        self._exchange.faults.remove(int(request.match_info.get("number", "0")))
        return _json({})

    async def _storm(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=Weather)
            faults = self._exchange.storm(asked.seed, asked.seconds, venues=asked.venues, pairs=asked.pairs)
        except (ConfigError, msgspec.DecodeError) as error:
            return _json({"error": str(error)}, 400)
        return _json(faults)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
