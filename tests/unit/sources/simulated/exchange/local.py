"""A local exchange on a clock that the test moves, and plain clients that write down what they get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec

from tickcast.clock import ManualClock
from tickcast.events import Columns
from tickcast.sources.contract import Event, Quote, Trade
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.server import Server
from tickcast.sources.simulated.exchange.settings import UNLIMITED, ExchangeSettings
from tickcast.sources.simulated.settings import MarketSettings

START_MS = 1_735_689_600_000
PATIENCE_S = 20.0
PAIRS = {
    "binance": ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD", "SOL-USD"),
    "kraken": ("BTC/USD", "ETH/USD", "SOL/USD"),
}
PATHS = {"binance": "/stream", "coinbase": "/ws", "kraken": "/v2"}
T = TypeVar("T")


class Local:
    """The exchange, its clock and a client session."""

    def __init__(self, server: Server, clock: ManualClock, http: aiohttp.ClientSession) -> None:
        self.server, self.clock, self.http = server, clock, http
        self.exchange = server.exchange

    def passes(self, seconds: float) -> None:
        """Let market time pass, and tell what happened in it."""
        self.clock.sleep(seconds)
        self.exchange.tick()

    async def get(self, venue: str, path: str, **params: Any) -> Any:
        return msgspec.json.decode(await self.raw(venue, path, **params))

    async def raw(self, venue: str, path: str, **params: Any) -> bytes:
        return (await self.answer(venue, path, **params))[2]

    async def answer(self, venue: str, path: str, **params: Any) -> tuple[int, dict[str, str], bytes]:
        query = {name: str(value) for name, value in params.items()}
        async with self.http.get(self.server.base(venue) + path, params=query) as answer:
            return answer.status, {name.lower(): text for name, text in answer.headers.items()}, await answer.read()

    @asynccontextmanager
    async def dial(self, venue: str, path: str = "") -> AsyncIterator[Peer]:
        url = self.server.base(venue) + (path or PATHS[venue])
        async with self.http.ws_connect(url, autoping=False, autoclose=False, max_msg_size=1 << 26) as socket:
            yield Peer(socket)

    @asynccontextmanager
    async def listen(self, venue: str, *channels: str, pairs: Iterable[str] | None = None) -> AsyncIterator[Peer]:
        """A client that is subscribed, its answers read."""
        async with self.dial(venue) as peer:
            await subscribe(peer, venue, channels, tuple(pairs or PAIRS[venue]))
            yield peer


class Peer:
    """One end of a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, value: Any) -> None:
        await self.socket.send_bytes(value) if isinstance(value, bytes) else await self.socket.send_json(value)

    async def receive(self) -> aiohttp.WSMessage:
        return await asyncio.wait_for(self.socket.receive(), PATIENCE_S)

    async def text(self) -> bytes:
        """The next text message; pings on the way are answered."""
        while True:
            message = await self.receive()
            if message.type == aiohttp.WSMsgType.PING:
                await self.socket.pong(message.data)
                continue
            assert message.type == aiohttp.WSMsgType.TEXT, message
            return str(message.data).encode()

    async def json(self) -> Any:
        return msgspec.json.decode(await self.text())

    async def until(self, wanted: Callable[[Any], bool]) -> list[bytes]:
        """All texts up to the first that is wanted."""
        found = [await self.text()]
        while not wanted(msgspec.json.decode(found[-1])):
            found.append(await self.text())
        return found

    async def waiting(self) -> list[bytes]:
        """All texts that were sent before the answer to a ping of ours."""
        await self.socket.ping(b"mark")
        found: list[bytes] = []
        while True:
            message = await self.receive()
            if message.type == aiohttp.WSMsgType.PONG:
                return found
            if message.type == aiohttp.WSMsgType.PING:
                await self.socket.pong(message.data)
                continue
            assert message.type == aiohttp.WSMsgType.TEXT, message
            found.append(str(message.data).encode())

    async def end(self) -> aiohttp.WSMessage:
        """The message that ends the connection."""
        while True:
            message = await self.receive()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING):
                return message


async def subscribe(peer: Peer, venue: str, channels: Iterable[str], pairs: tuple[str, ...]) -> None:
    for number, channel in enumerate(channels):
        if venue == "binance":
            names = [f"{pair.lower()}@{channel}" for pair in pairs]
            await peer.send({"method": "SUBSCRIBE", "params": names, "id": number})
            await peer.until(lambda told: "result" in told)
        elif venue == "coinbase":
            await peer.send({"type": "subscribe", "product_ids": list(pairs), "channel": channel})
            await peer.until(lambda told: told["channel"] == "subscriptions")
        else:
            params = {"channel": channel, "symbol": list(pairs), "snapshot": False}
            await peer.send({"method": "subscribe", "params": params})
            await peer.until(lambda told: told.get("method") == "subscribe" and told["result"]["symbol"] == pairs[-1])


def run(test: Callable[[Local], Awaitable[T]], *, hours: float = 1.0, **settings: Any) -> T:
    """Run a test against an exchange that opened after so much history."""

    async def whole() -> T:
        live_ms = START_MS + round(hours * 3_600_000)
        clock = ManualClock(live_ms * 1_000_000)
        values = {"market": MarketSettings(seed=7), "live_from_ms": live_ms, "limits": UNLIMITED, **settings}
        async with (
            Server(Exchange(ExchangeSettings(**values), clock)) as server,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as http,
        ):
            return await test(Local(server, clock, http))

    return asyncio.run(whole())


def events_of(venue: str, raws: Iterable[bytes]) -> list[Event]:
    mapper = mapper_for(venue)
    return [event for raw in raws for event in mapper.map_message(raw)]


def trades_of(events: Iterable[Event], pair: str) -> list[Row]:
    return [row_of(event) for event in events if isinstance(event, Trade) and event.pair == pair]


def quotes_of(events: Iterable[Event], pair: str) -> list[Quote]:
    return [event for event in events if isinstance(event, Quote) and event.pair == pair]


Row = tuple[Any, ...]


def row_of(trade: Trade) -> Row:
    return msgspec.structs.astuple(trade)[1:]


def rows_of(columns: Columns) -> list[Row]:
    """Rows of the truth, or of a page, as `row_of` has them."""
    names = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))
