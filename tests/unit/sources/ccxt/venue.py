"""A small exchange that speaks enough of Binance's dialect for ccxt's class of that name, over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

SYMBOLS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT")}


def _market(symbol: str) -> dict[str, Any]:
    base, quote = SYMBOLS[symbol]
    return {
        "symbol": symbol, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"], "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        ],
    }  # fmt: skip


class SmallVenue:
    """Runs on a thread of its own. `trades` is the truth; faults are switches."""

    def __init__(self) -> None:
        self.trades: dict[str, list[dict[str, Any]]] = {symbol: [] for symbol in SYMBOLS}
        self.requests: Counter[str] = Counter()
        self.dials = 0
        self.deaf: set[str] = set()
        """Symbols whose stream says nothing."""
        self.refuses_sockets = self.refuses_pages = self.hangs = False
        self.page_size = 500
        self.heeds_since = True
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SmallVenue:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hangs = False
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def options(self, **more: Any) -> dict[str, Any]:
        """What makes ccxt's binance talk to this one, with ids of one kind on stream and pages."""
        here = f"127.0.0.1:{self.port}"
        return {
            "urls": {"api": {"public": f"http://{here}/api/v3", "ws": {"spot": f"ws://{here}/ws"}}},
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "watchTradesForSymbols": {"name": "aggTrade"},
                "watchTrades": {"name": "aggTrade"},
            },
            "rateLimit": 1,
            "timeout": 2_000,
            **more,
        }

    def trade(self, symbol: str, count: int = 1, *, at_ms: int = 0) -> list[int]:
        """Some trades happen; answers their ids."""
        made: list[int] = self._do(self._trade(symbol, count, at_ms))
        return made

    def cut(self) -> None:
        """All connections end without a word."""
        self._do(self._cut())

    def subscribed(self, symbol: str) -> bool:
        """Whether anyone listens to this pair's trades."""
        return any(f"{symbol.lower()}@aggTrade" in topics for topics in list(self._sockets.values()))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v3/{what}", self._answer)
        app.router.add_get("/ws{rest:.*}", self._talk)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._cut()
        await self._runner.cleanup()

    async def _cut(self) -> None:
        for socket in list(self._sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    async def _trade(self, symbol: str, count: int, at_ms: int) -> list[int]:
        known = self.trades[symbol]
        made = []
        for _ in range(count):
            number = len(known) + 1
            row = {"a": number, "p": f"{100 + number % 7}.25", "q": f"0.{number % 9 + 1}", "f": number, "l": number}
            row |= {"T": at_ms or time.time_ns() // 1_000_000, "m": number % 3 == 0, "M": True}
            known.append(row)
            made.append(number)
            if symbol not in self.deaf:
                said = json.dumps({"e": "aggTrade", "E": row["T"], "s": symbol, **row})
                quote = {"u": number, "s": symbol, "b": row["p"], "B": "1.5", "a": f"{101 + number % 7}.0", "A": "2"}
                await self._tell(f"{symbol.lower()}@aggTrade", said)
                await self._tell(f"{symbol.lower()}@bookTicker", json.dumps(quote))
        return made

    async def _tell(self, topic: str, said: str) -> None:
        for socket, topics in list(self._sockets.items()):
            if topic in topics and not socket.closed:
                await socket.send_str(said)

    async def _answer(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        self.requests[what] += 1
        while self.hangs:
            await asyncio.sleep(0.05)
        if what == "exchangeInfo":
            return web.json_response({"timezone": "UTC", "symbols": [_market(symbol) for symbol in SYMBOLS]})
        if what == "time":
            return web.json_response({"serverTime": time.time_ns() // 1_000_000})
        if self.refuses_pages or what != "aggTrades":
            return web.json_response({"code": -1000, "msg": "down"}, status=503)
        rows = self.trades[request.query["symbol"]]
        if self.heeds_since and "startTime" in request.query:
            since = int(request.query["startTime"])
            return web.json_response([row for row in rows if row["T"] >= since][: self.page_size])
        return web.json_response(rows[-self.page_size :])

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        self.dials += 1
        if self.refuses_sockets:
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        topics = self._sockets[socket] = set()
        try:
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    continue
                asked = json.loads(message.data)
                if asked.get("method") == "SUBSCRIBE":
                    await socket.send_str(json.dumps({"result": None, "id": asked["id"]}))
                    topics.update(asked["params"])
        finally:
            self._sockets.pop(socket, None)
        return socket
