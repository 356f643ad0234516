"""What runs on the feed's loop: a stream for each pair, pages where a stream has broken, and proof of time.

    watch_trades ─→ rows ─┬─────────────→ lines for the journal
    (connection ended) ───┴─→ held ─→ fetch_trades meets the last and the next trade ─→ lines, or word of a doubt
    fetch_time, pongs ────→ proof of time for the pairs that are not in doubt

Each pair has a stream of its own: where one call watches several, ccxt tells of one of them only and keeps the others'
news until their next trade.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from tickcast.sources import own
from tickcast.sources.ccxt.filling import Filled, fetch_after
from tickcast.sources.ccxt.library import TRADES_KEPT, check_pairs
from tickcast.sources.ccxt.lines import quote_line, trade_rows
from tickcast.sources.ccxt.pairs import DOWN, HELD_MAX, JOINING, LIVE, PairState
from tickcast.sources.ccxt.pauses import Pause
from tickcast.sources.live.contract import ConnectionStatus, LiveStatus

HOLD_MS = 10_000
"""How long a pair's trades wait for its hole to be filled; ccxt spaces its requests, so it takes its time."""
LAG_MS = 2_000
"""How far behind an exchange's sign of life its trades may come: ccxt does not tell in which order they were sent."""
SETTLE_S = 3.0
"""After a connection opens: how long until the pages are asked on behalf of a pair that says nothing."""
ASK_S = 10.0
"""How often they are asked for one pair at most."""
STALL_S = 60.0
"""A pair that has said nothing for so long is looked up in the pages."""
STALL_MS = 5_000
"""A trade in the pages that the stream has not brought after so long was lost on the way."""
CLOCK_S = 60.0
HOUSE_S = 1.0

Emit = Callable[[Sequence[bytes]], None]


class Work:
    """All tasks of one exchange."""

    def __init__(
        self,
        library: Any,
        pairs: Sequence[PairState],
        emit: Emit,
        say: Callable[[str], None],
        chance: random.Random,
        hold_s: float,
    ) -> None:
        self._library, self._pairs, self._emit, self._say = library, pairs, emit, say
        self._chance, self._hold_s = chance, hold_s
        self._streams = bool(library.has.get("watchTrades"))
        self._pages = bool(library.has.get("fetchTrades"))
        self._group: asyncio.TaskGroup
        self._asking: set[str] = set()
        self._urls: set[str] = set()
        self._offset_ms: float | None = None
        self._alive_ms = 0
        self._opened_s = 0.0
        names = tuple(pair.pair for pair in pairs)
        self.connection = ConnectionStatus(library.id, 1, "connecting", names, client="ccxt", age_s=-1.0)
        self.now_ms = 0
        """When the last line went out."""

    async def run(self) -> None:
        """Everything, until cancelled; ConfigError for a pair that the exchange does not trade."""
        library = self._library
        await self._persist("could not list its markets", library.load_markets)
        check_pairs(library.id, [pair.pair for pair in self._pairs], library.markets)
        library.on_connected = _beside(library.on_connected, self._connected)
        library.on_error = _beside(library.on_error, self._disconnected)
        library.on_close = _beside(library.on_close, self._disconnected)
        async with asyncio.TaskGroup() as self._group:
            for pair in self._pairs:
                self._group.create_task(self._watch(pair) if self._streams else self._ask(pair))
                if self._streams:
                    self._group.create_task(self._watch_quotes(pair))
            self._group.create_task(self._compare_clocks())
            if self._streams:
                self._group.create_task(self._keep_house())
            else:
                self.connection.state = "open"
                self._say("has no stream of trades in ccxt, so its pages are asked for, without best prices")

    async def close(self) -> None:
        """Let go of all connections; a goodbye would be waited for as long as the other side keeps talking."""
        for client in (self._library.clients or {}).values():
            transport = getattr(getattr(client.connection, "_conn", None), "transport", None)
            if transport is not None:
                transport.abort()
        await self._library.close()

    def status(self) -> LiveStatus:
        """All of it, as of now."""
        signs = self._signs()
        if signs:
            self.connection.age_s = (self._library.milliseconds() - max(signs)) / 1000
        for pair in self._pairs:
            pair.status.age_s = max(0.0, self._now_s() - pair.came_s) if pair.came_s else 0.0
        return LiveStatus([replace(self.connection)], [replace(pair.status) for pair in self._pairs])

    def _now_s(self) -> float:
        return float(self._library.asyncio_loop.time())

    # --- attempts

    async def _persist(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Do it until it works."""
        pause = Pause(self._chance)
        while True:
            try:
                return await call()
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001
                await self._failed(what, exc, pause)

    async def _failed(self, what: str, error: BaseException, pause: Pause) -> None:
        """The library's parsers raise whatever they like, and cancel what waits when they close; ours goes through."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise error
        wait_s = pause.after(error)
        self.connection.why = f"{what} ({_short(error)})"
        self._say(f"{self.connection.why}; trying again in {wait_s:.0f} s")
        await asyncio.sleep(wait_s)

    # --- streams

    async def _watch(self, pair: PairState) -> None:
        pause = Pause(self._chance)
        while True:
            try:
                trades = await self._library.watch_trades(pair.pair)
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001
                pair.lost()
                await self._failed(f"lost the trades of {pair.pair}", exc, pause)
                continue
            pause.reset()
            if len(trades) >= TRADES_KEPT:
                self._say(f"had more trades of {pair.pair} at once than ccxt keeps, so some may be missing")
                pair.lost()
            self._brought(pair, trades)

    def _brought(self, pair: PairState, trades: Sequence[Mapping[str, Any]]) -> None:
        self._emit(pair.take(trade_rows(pair.pair, trades)))
        pair.came_s = pair.proved_s = self._now_s()
        pair.status.last_message_ms = self.now_ms
        if len(pair.held) > HELD_MAX:
            self._emit(pair.settle(Filled([], False)))
        elif pair.doubted:
            self._settle_soon(pair)

    async def _watch_quotes(self, pair: PairState) -> None:
        library, name = self._library, pair.pair
        watch: Callable[[], Awaitable[Any]]
        if library.has.get("watchBidsAsks"):
            watch = partial(library.watch_bids_asks, [name])
        elif library.has.get("watchTickers"):
            watch = partial(library.watch_tickers, [name])
        elif library.has.get("watchTicker"):
            watch = partial(library.watch_ticker, name)
        else:
            return
        last = b""
        while True:
            found = await self._persist(f"lost the best prices of {name}", watch)
            line = quote_line(name, found.get(name, found))
            if line and line != last:
                self._emit([line])
                last = line

    def _connected(self, client: Any) -> None:
        self._opened_s = self._now_s()
        self.connection.state, self.connection.url = "open", client.url
        if client.url in self._urls:
            self.connection.reconnects += 1
            for pair in self._pairs:  # which pair goes by which connection, ccxt does not tell
                if pair.status.state == LIVE:
                    pair.lost()
        self._urls.add(client.url)
        for pair in self._pairs:
            if pair.status.state == DOWN:
                pair.status.state = JOINING

    def _disconnected(self, client: Any) -> None:
        self.connection.state = "waiting"
        if client.url in self._urls:
            for pair in self._pairs:
                pair.lost()

    # --- pages

    def _settle_soon(self, pair: PairState) -> None:
        if pair.pair not in self._asking:
            self._ask_for(pair, self._settle(pair))

    def _ask_for(self, pair: PairState, work: Coroutine[Any, Any, None]) -> None:
        """One question for a pair at a time."""
        pair.asked_s = self._now_s()
        self._asking.add(pair.pair)
        self._group.create_task(work).add_done_callback(lambda _: self._asking.discard(pair.pair))

    async def _settle(self, pair: PairState) -> None:
        """Ask for what is missing until it joins, or the pair has waited long enough; then let go of what waits."""
        filled, pause = Filled([], False), Pause(self._chance)
        try:
            async with asyncio.timeout(self._hold_s):
                while self._pages:
                    try:
                        filled = await fetch_after(self._library, pair.pair, pair.last)
                    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001
                        await self._failed(f"could not fetch the trades of {pair.pair}", exc, pause)
                        continue
                    if filled.joined and pair.is_met_by(filled):
                        break
                    await asyncio.sleep(HOUSE_S)  # pages run behind streams at times
        except TimeoutError:
            self._say(f"could not show in time that no trade of {pair.pair} is missing")
        self._emit(pair.settle(filled))

    async def _look_up(self, pair: PairState) -> None:
        """Ask whether a pair that says nothing has nothing to say."""
        try:
            filled = await fetch_after(self._library, pair.pair, pair.last)
        except Exception as exc:  # noqa: BLE001
            self._say(f"could not tell whether {pair.pair} is quiet ({_short(exc)})")
            return
        until_ms = self._library.milliseconds() + (self._offset_ms or 0.0) - STALL_MS
        if not any(pair.is_news(row) and row.timestamp_ms < until_ms for row in filled.rows):
            pair.proved_s = self._now_s()
            return
        pair.status.stalls += 1
        self._say(f"had trades of {pair.pair} that its stream did not bring, so it is dialled anew")
        pair.lost()
        self._emit(pair.settle(filled))
        await self._library.close_ws_clients()

    async def _ask(self, pair: PairState) -> None:
        """For exchanges without a stream."""
        pause_s = max(HOUSE_S, 2 * len(self._pairs) * self._library.rateLimit / 1000)
        what = f"could not fetch the trades of {pair.pair}"
        while True:
            asked_ms = self._library.milliseconds()
            filled = await self._persist(what, lambda: fetch_after(self._library, pair.pair, pair.last))
            self._emit(pair.page(filled))
            pair.came_s = pair.proved_s = self._now_s()
            pair.status.last_message_ms = self.now_ms
            if self._offset_ms is not None and pair.status.state == LIVE:
                self._emit([own.alive(int(asked_ms + self._offset_ms) - LAG_MS, [pair.pair])])
            await asyncio.sleep(pause_s)

    # --- time

    async def _compare_clocks(self) -> None:
        while True:
            before_ms = self._library.milliseconds()
            venue_ms = await self._persist("did not tell its time", self._venue_ms)
            after_ms = self._library.milliseconds()
            if venue_ms is None:
                self._say("tells its time nowhere, so a quiet pair's candles close with its next trade")
                return
            error_ms = (after_ms - before_ms) / 2
            self._offset_ms = venue_ms - after_ms  # at least so much: the answer was on its way when it was written
            self.connection.offset_ms = venue_ms - before_ms - error_ms
            self.connection.offset_error_ms = error_ms
            await asyncio.sleep(CLOCK_S)

    async def _venue_ms(self) -> int | None:
        """The exchange's clock; where it has no request for it, what its web server writes on every answer."""
        if self._library.has.get("fetchTime"):
            return int(await self._library.fetch_time())
        if not self._pages:
            return None
        await self._library.fetch_trades(self._pairs[0].pair)
        headers = {name.lower(): text for name, text in (self._library.last_response_headers or {}).items()}
        return int(parsedate_to_datetime(headers["date"]).timestamp() * 1000) if "date" in headers else None

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSE_S)
            now_s = self._now_s()
            for pair in self._pairs:
                if pair.pair in self._asking or now_s - pair.asked_s < ASK_S:
                    continue
                if pair.doubted and pair.status.state == JOINING and now_s - self._opened_s >= SETTLE_S:
                    self._settle_soon(pair)
                elif self._pages and pair.status.state == LIVE and now_s - pair.proved_s >= STALL_S:
                    self._ask_for(pair, self._look_up(pair))
            self._prove(now_s)

    def _prove(self, now_s: float) -> None:
        """Say how far the time of the pairs has come that are live, and were heard or looked up lately."""
        signs = self._signs()
        if self._offset_ms is None or not signs:
            return
        venue_ms = int(min(signs) + self._offset_ms) - LAG_MS
        heard = [
            pair.pair
            for pair in self._pairs
            if pair.status.state == LIVE and (not self._pages or now_s - pair.proved_s < 2 * STALL_S)
        ]
        if heard and venue_ms > self._alive_ms:
            self._alive_ms = venue_ms
            self._emit([own.alive(venue_ms, heard)])

    def _signs(self) -> list[int]:
        """When each connection last gave a sign of life, by this machine's clock."""
        clients = (self._library.clients or {}).values()
        return [int(max(getattr(one, "last_message_at", None) or 0, one.lastPong or 0)) for one in clients]


def _beside(theirs: Callable[..., None], ours: Callable[[Any], None]) -> Callable[..., None]:
    """Hear of what the library tells itself."""

    def both(client: Any, *rest: Any) -> None:
        ours(client)
        theirs(client, *rest)

    return both


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:160].rstrip(": ")
