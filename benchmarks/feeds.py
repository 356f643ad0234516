"""Messages of an exchange through our feed, beside what cryptofeed and ccxt do with the same messages.

All figures are messages a second of the receiver's CPU time, the kernel's part included where there is a socket: what
one core can take. Python's garbage collector is set for all of them as our runner sets it. In detail:

- "bare picows": a WebSocket client that counts bytes, and nothing else.
- "ours, feed": sockets, what each message is, whether each trade follows the last one, the list that `poll` answers.
- "ours, feed to candles": the same, then the journal's lines, columns, candles, tick features, features.
- "ours, parse path": without a socket: what each message is, its journal line, columns of trades and quotes, in polls
  of 256 messages that were read at once. Nothing is journaled to disk.
- "ours, columns of journaled lines": the last part of that alone, which is what a replay pays.
- "cryptofeed, parse path": without a socket: `message_handler` of its class of that exchange awaited for each message
  as text, into its own types, with a callback that counts.
- "cryptofeed, client": the same behind its own connection.
- "ccxt, parse path": without a socket: `handle_message` of its client: JSON, unified trade or ticker, its caches.
- "ccxt.pro, client": its own connection, with `watch_trades` and `watch_bids_asks` awaited in a loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.blast import binance_messages, blast, frames_of
from benchmarks.sockets import bare_picows
from benchmarks.table import show
from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.runners.collecting import collected_rarely
from tickcast.sources.blocks import encode_line, encode_lines
from tickcast.sources.contract import Block, Mapper
from tickcast.sources.history.contract import After, Part, TimeSample
from tickcast.sources.mapping import map_block
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.feed import messages
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.sources.venues.contract import Listing
from tickcast.sources.venues.registry import venue_of

MESSAGES = 200_000
MORE_MESSAGES = 100_000
"""A socket is read ahead of what is polled: ids must not begin anew there."""
PEER_MESSAGES = 40_000
"""For the slow: enough to be steady."""
ROUNDS = 3
POLL = 256
NAMES = {"binance": ("BTCUSDT",), "coinbase": ("BTC-USD", "ETH-USD"), "kraken": ("BTC/USD", "ETH/USD")}
"""The pairs that the messages are of."""
CRYPTOFEED_SPEAKS = ("binance", "coinbase")
ANSWER = b'{"result":null,"id":1}'
Work = Callable[[], float]
"""Do it, and tell the seconds of CPU that a message took; what is made once is not counted."""


@lru_cache(maxsize=2)
def raws(count: int = MESSAGES) -> list[bytes]:
    """Binance's trades and best prices, ids in a row."""
    return binance_messages(count)


def unwrapped(said: Sequence[bytes]) -> list[str]:
    """As the endpoint that ccxt dials sends them: without the stream's name around them."""
    return [json.dumps(json.loads(raw)["data"]) for raw in said]


def coinbase_raws(count: int) -> list[bytes]:
    """Coinbase Advanced's batches of trades, as the simulated exchange writes them."""
    return simulated("coinbase", b'"market_trades"', count)


def kraken_raws(count: int) -> list[bytes]:
    """Kraken's trades and best prices, the same; cryptofeed does not speak this version of its protocol."""
    return simulated("kraken", b'"data"', count)


def simulated(exchange: str, having: bytes, count: int) -> list[bytes]:
    """What the simulated exchange says of two pairs, as far as it has this word in it."""
    settings = MarketSettings(pairs=pairs_named(NAMES[exchange]), trades_per_second=20.0)
    said = (message.raw for message in messages(settings, settings.start_ms + 86_400_000, exchange))
    return list(islice((raw for raw in said if having in raw), count))


class Silent:
    """A history in which nothing happened."""

    exchange = "binance"

    async def trades(self, pair: str, after: After, until_ms: int = 0) -> AsyncIterator[Part]:  # noqa: ARG002
        """None."""
        for part in tuple[Part, ...]():
            yield part

    async def candles(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> AsyncIterator[Part]:  # noqa: ARG002
        """None."""
        for part in tuple[Part, ...]():
            yield part

    async def venue_time(self) -> TimeSample:
        """As ours."""
        now_ns = time.time_ns()
        return TimeSample(now_ns // 1_000_000, now_ns, now_ns)

    async def listings(self) -> tuple[Listing, ...]:
        """None."""
        return ()

    async def close(self) -> None:
        """Nothing is held."""


def live_feed(loop: asyncio.AbstractEventLoop, url: str) -> Any:
    """A feed of one pair whose exchange is reached there."""
    from tickcast.sources.live.feed import LiveFeed, Market
    from tickcast.sources.sockets.clients import client_for

    venue = venue_of("binance")
    market = Market(venue, venue.at(url.replace("ws", "http", 1).removesuffix("/stream")), ("BTCUSDT",), Silent())
    return LiveFeed([market], clock=SystemClock(), client=client_for(""), chance=random.Random(1), loop=loop)


def feed(url: str, count: int, take: Callable[[Any], int]) -> float:
    """Poll until so many messages came; `take` polls once."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    opened = live_feed(loop, url)
    came, began = 0, time.process_time()
    while came < count:
        came += take(opened)
    spent = time.process_time() - began
    opened.close()
    for task in (late := asyncio.all_tasks(loop)):
        task.cancel()
    loop.run_until_complete(asyncio.gather(*late, return_exceptions=True))
    loop.close()
    return spent / came


def feed_alone(url: str, count: int = MESSAGES) -> float:
    """To the list that `poll` answers."""
    return feed(url, count, lambda opened: len(opened.poll(1.0)))


def feed_to_candles(url: str, count: int = MESSAGES) -> float:
    """Through all stages, on a disk."""
    from tickcast.runners.embedded import Embedded

    with tempfile.TemporaryDirectory() as root, Embedded(Settings(data_dir=Path(root)), SystemClock()) as embedded:
        embedded.warm_up()
        return feed(url, count, lambda opened: embedded.pump([opened], 1.0))


def parse_ours(exchange: str, said: Sequence[bytes]) -> float:
    """What it is, its line, columns."""
    look, mapper = look_of(exchange), mapper_for(exchange)
    _poll(look, mapper, exchange, said[:POLL])  # compiled now, if it was not yet
    began = time.process_time()
    for start in range(0, len(said), POLL):
        _poll(look, mapper, exchange, said[start : start + POLL])
    return (time.process_time() - began) / len(said)


def look_of(exchange: str) -> Callable[[Sequence[bytes]], object]:
    """How the live feed sees what messages are that were read at once."""
    from tickcast.sources.venues.usual import Usual

    return Usual(exchange, NAMES[exchange]).look


def _poll(look: Callable[[Sequence[bytes]], object], mapper: Mapper, exchange: str, said: Sequence[bytes]) -> None:
    look(said)
    map_block(mapper, Block(exchange, encode_lines(1_723_161_600_000_000_000, exchange, said)))


def parse_lines(exchange: str, said: Sequence[bytes]) -> float:
    """Columns of lines that are journaled already, as a replay reads them."""
    mapper = mapper_for(exchange)
    lines = [encode_line(1_723_161_600_000_000_000, exchange, raw) for raw in said]
    blocks = [Block(exchange, b"".join(lines[start : start + POLL])) for start in range(0, len(lines), POLL)]
    map_block(mapper, blocks[0])  # compiled now, if it was not yet
    began = time.process_time()
    for block in blocks:
        map_block(mapper, block)
    return (time.process_time() - began) / len(said)


class Counted:
    """A callback of cryptofeed's."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, _: object, __: float) -> None:
        """One more."""
        self.count += 1


def cryptofeed_of(exchange: str) -> tuple[Any, Counted]:
    """Its feed of one exchange, told the pairs that it would else ask the exchange for."""
    name = exchange.upper()
    names = {"BTC-USDT": "BTCUSDT"} if exchange == "binance" else {"BTC-USD": "BTC-USD", "ETH-USD": "ETH-USD"}
    import_module("cryptofeed.symbols").Symbols.set(name, names, {"instrument_type": dict.fromkeys(names, "spot")})
    counted = Counted()
    channels = ["trades", "ticker"] if exchange == "binance" else ["trades"]
    made = import_module("cryptofeed.exchanges").EXCHANGE_MAP[name](
        symbols=list(names), channels=channels, callbacks=dict.fromkeys(channels, counted)
    )
    return made, counted


def parse_cryptofeed(exchange: str, said: Sequence[str]) -> float:
    """Each message through its handler, as its connection does: text in, a callback awaited."""
    made, counted = cryptofeed_of(exchange)

    async def work() -> float:
        began = time.process_time()
        for text in said:
            await made.message_handler(text, None, 1_723_161_600.0)
        return time.process_time() - began

    spent = asyncio.run(work())
    assert counted.count >= len(said), "some of the messages were not read"
    return spent / len(said)


def client_cryptofeed(url: str, count: int = PEER_MESSAGES) -> float:
    """Its own connection, read as its connection handler reads it."""
    made, _ = cryptofeed_of("binance")
    link = import_module("cryptofeed.connection").WSAsyncConn("wss://", made.id, **made.websocket_endpoints[0].options)
    link.address = url  # it takes nothing but TLS at first

    async def work() -> float:
        came = 0
        async with link.connect() as connection:
            began = time.process_time()
            async for message in connection.read():
                if message != ANSWER.decode():
                    await made.message_handler(message, connection, link.last_message)
                came += 1
                if came == count:
                    spent = time.process_time() - began
                    link.conn.transport.abort()
                    return spent / came
        return math.inf

    return asyncio.run(work())


def ccxt_of(loop: asyncio.AbstractEventLoop, url: str) -> Any:
    """Its exchange with one market, told what it would else ask the exchange for."""
    made = import_module("ccxt.pro").binance({"asyncio_loop": loop, "enableRateLimit": False})
    market: dict[str, Any] = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
    market["filters"] = []
    market |= {"permissions": ["SPOT"], "isSpotTradingAllowed": True, "orderTypes": []}
    made.options["crossMarginPairsData"] = made.options["isolatedMarginPairsData"] = []
    made.set_markets([made.parse_market(market)])
    made.options["watchTrades"] = made.options["watchTradesForSymbols"] = {"name": "aggTrade"}
    made.urls["api"]["ws"]["spot"] = url
    return made


def parse_ccxt(said: Sequence[str]) -> float:
    """Each message through its client's handler."""
    from aiohttp import WSMessage, WSMsgType

    loop = asyncio.new_event_loop()
    made = ccxt_of(loop, "ws://127.0.0.1:1")

    async def work() -> float:
        client = made.client("ws://127.0.0.1:1")
        began = time.process_time()
        for text in said:
            client.handle_message(WSMessage(WSMsgType.TEXT, text, None))
        spent = time.process_time() - began
        await made.close()
        return spent

    spent = loop.run_until_complete(work())
    loop.close()
    assert made.trades["BTC/USDT"], "no trade was read"
    return spent / len(said)


def client_ccxt(url: str, count: int = PEER_MESSAGES) -> float:
    """Its own connection and the calls that its users make."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made = ccxt_of(loop, url)
    handle, came, enough = made.handle_message, 0, asyncio.Event()

    def counting(client: Any, message: object) -> None:
        nonlocal came
        came += 1
        if came >= count:
            enough.set()
        handle(client, message)

    made.handle_message = counting

    async def again(call: Callable[[], Any]) -> None:
        while True:
            await call()

    async def work() -> float:
        calls = (partial(made.watch_trades, "BTC/USDT"), partial(made.watch_bids_asks, ["BTC/USDT"]))
        began = time.process_time()
        tasks = [asyncio.ensure_future(again(call)) for call in calls]
        await enough.wait()
        spent = (time.process_time() - began) / came
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while any(client.connecting for client in made.clients.values()):  # one that comes later would be listened to
            await asyncio.sleep(0.01)
        for client in [*made.clients.values()]:
            if client.connection is not None:  # the venue talks on, and would be listened to until it stops
                client.connection._conn.transport.abort()
        await made.close()
        return spent

    spent = loop.run_until_complete(work())
    loop.close()
    return spent


def best(works: dict[str, Work], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds a message of each, the fastest round; in turns, so that what else the machine does meets all alike."""
    spent = dict.fromkeys(works, math.inf)
    for _ in range(rounds):
        for label, work in works.items():
            with collected_rarely():
                spent[label] = min(spent[label], work())
    return spent


def over_socket(work: Callable[[str], float], block: bytes) -> Work:
    """The same with a venue that talks without a pause."""

    def dialled() -> float:
        with blast(block) as url:
            return work(url)

    return dialled


def bare(url: str) -> float:
    """A client of the library that we use, which counts."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    began = time.process_time()
    came = bare_picows(loop, url, MESSAGES)
    return (time.process_time() - began) / came


def with_sockets() -> None:
    """The table of whole clients."""
    said = raws(MESSAGES + MORE_MESSAGES)
    block = frames_of([ANSWER, *said])
    bare_block = frames_of([text.encode() for text in unwrapped(said[: 4 * PEER_MESSAGES])])
    peer = f"ccxt.pro {version('ccxt')}, client"
    other = f"cryptofeed {version('cryptofeed')}, client"
    works: dict[str, Work] = {
        other: over_socket(client_cryptofeed, block),
        f"bare picows {version('picows')}": over_socket(bare, block),
        "ours, feed": over_socket(feed_alone, block),
        "ours, feed to candles": over_socket(feed_to_candles, block),
        peer: over_socket(client_ccxt, bare_block),
    }
    spent = best(works)
    for against, aim in ((other, ">= 3"), (peer, ">= 20")):
        rows = [
            (label, 1 / each, spent[against] / each, aim if "ours" in label else "") for label, each in spent.items()
        ]
        show("Binance's messages over a socket", against, rows)


def without_sockets(exchange: str, said: list[bytes]) -> None:
    """The table of parse paths; beside no peer where cryptofeed speaks another version of the protocol."""
    ours, columns = "ours, parse path", "ours, columns of journaled lines"
    works: dict[str, Work] = {}
    if exchange in CRYPTOFEED_SPEAKS:
        texts = [raw.decode() for raw in said]
        works[f"cryptofeed {version('cryptofeed')}, parse path"] = partial(parse_cryptofeed, exchange, texts)
    works[ours] = partial(parse_ours, exchange, said)
    works[columns] = partial(parse_lines, exchange, said)
    if exchange == "binance":
        works[f"ccxt {version('ccxt')}, parse path"] = partial(parse_ccxt, unwrapped(said))
    spent = best(works)
    peer = next(iter(works))
    rows = [
        (label, 1 / each, spent[peer] / each, ">= 3" if label == ours and peer != ours else "")
        for label, each in spent.items()
    ]
    show(f"{exchange.capitalize()}'s messages, without a socket", peer.partition(" ")[0].rstrip(","), rows)


def main() -> None:
    """Print the tables."""
    logging.getLogger("feedhandler").setLevel(logging.ERROR)
    without_sockets("binance", raws(PEER_MESSAGES))
    without_sockets("coinbase", coinbase_raws(PEER_MESSAGES // 4))
    without_sockets("kraken", kraken_raws(PEER_MESSAGES // 4))
    with_sockets()


if __name__ == "__main__":
    main()
