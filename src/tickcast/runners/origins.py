"""Where a configuration's data comes from: for each exchange its history and its live stream, all on one loop.

settings ─→ Origins ─┬→ check      are these pairs traded there at all?
                     ├→ histories  feeds that end: what was missed, what the indicators stand on
                     └→ live       feeds that do not
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tickcast.clock import NS_PER_MS, Clock
from tickcast.config import Settings
from tickcast.runners.beginning import Beginning, beginning
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.contract import Feed
from tickcast.sources.history.budget import Budgets
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.history.feed import BackfillFeed, Wanted
from tickcast.sources.history.rest import URGENT, Patience, RestHistory
from tickcast.sources.venues.contract import Endpoints, Listing, Venue
from tickcast.sources.venues.names import check_pairs, plan_pairs
from tickcast.sources.venues.registry import VENUES, endpoints_for, venue_of

if TYPE_CHECKING:
    from tickcast.sources.live.feed import LiveFeed

BANS_FILE = "bans.json"
CHECK = Patience(attempts=2, backoff_s=0.2, backoff_max_s=1.0, wait_max_s=5.0, timeout_s=5.0)
CHECK_S = 15.0
"""Lists of pairs are megabytes, so a page's patience is not enough; a start waits no longer than this for them."""
START = Patience(attempts=5, backoff_s=0.5, backoff_max_s=5.0, wait_max_s=120.0, timeout_s=15.0)
"""At a start somebody waits: what can not be had within a minute or two is left to the live feed's repairs."""
LIVE_FILLS_MS = 3_600_000
"""A pause up to this long is filled by the live feed, which joins it; a longer one has a progress bar first."""

ALIGN_MS_MAX = 3_600_000
"""Windows longer than an hour are in the ring for more than a day."""


class Origins:
    """One configuration's sources. `close` lets go of the loop; feeds are closed by who asked for them."""

    def __init__(self, settings: Settings, clock: Clock, *, seed: int | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.plan = plan_pairs(settings.exchange, settings.pairs)
        self.endpoints: dict[str, Endpoints] = {
            name: endpoints_for(venue_of(name), settings.endpoints) for name in self.plan if name in VENUES
        }
        self.loop = asyncio.new_event_loop()
        self._chance = random.Random(seed)  # noqa: S311 - jitter, no secrets
        self._budgets = Budgets(clock, settings.data_dir / BANS_FILE)

    @property
    def align_ms(self) -> int:
        """History comes in whole windows of this length, so that what the candles forgot is made anew from it."""
        return min(ALIGN_MS_MAX, 1000 * max(self.settings.candle_seconds))

    @property
    def venues(self) -> Iterator[Venue]:
        """The exchanges that have a socket of ours."""
        return (venue_of(name) for name in self.endpoints)

    def rest(self, exchange: str, patience: Patience = URGENT) -> RestHistory:
        """A venue's history; all of one process share one budget a host."""
        return RestHistory(
            exchange,
            self.endpoints[exchange],
            clock=self.clock,
            budget=self._budgets,
            chance=self._chance,
            loop=self.loop,
            patience=patience,
        )

    def check(self) -> list[str]:
        """Refuse pairs that an exchange does not trade; what could not be asked is said, and taken on trust."""
        said: list[str] = []
        for exchange, found in self.loop.run_until_complete(self._all_listings()).items():
            if isinstance(found, HistoryError):
                said.append(f"the pairs of {exchange} could not be checked: {found}")
            else:
                check_pairs(exchange, self.plan[exchange], found)
        return said

    async def _all_listings(self) -> dict[str, tuple[Listing, ...] | HistoryError]:
        """Of all exchanges at once: one that is away costs its patience, and no other's beside it."""
        found = await asyncio.gather(*map(self._listings, self.endpoints), return_exceptions=True)
        told: dict[str, tuple[Listing, ...] | HistoryError] = {}
        for exchange, one in zip(self.endpoints, found, strict=True):
            if isinstance(one, BaseException) and not isinstance(one, HistoryError):
                raise one
            told[exchange] = one
        return told

    async def _listings(self, exchange: str) -> tuple[Listing, ...]:
        """One that takes the question and says nothing must not keep a start waiting."""
        rest = self.rest(exchange, CHECK)
        try:
            async with asyncio.timeout(CHECK_S):
                return await rest.listings()
        except TimeoutError:
            where = f"{exchange}/history"
            what = f"{self.endpoints[exchange].rest} did not tell its pairs within {CHECK_S:g} s"
            raise HistoryError(where, what, "they are taken on trust") from None
        finally:
            await rest.close()

    def histories(self, pipeline: Pipeline) -> list[list[BackfillFeed]]:
        """What to fetch before the live stream, in stages: the feeds of one stage may run together."""
        candles: list[BackfillFeed] = []
        trades: list[BackfillFeed] = []
        for exchange in self.endpoints:
            now_ms = self.clock.now_ns() // NS_PER_MS
            known = pipeline.known_trades(exchange)
            fresh = [pair for pair in self.plan[exchange] if pair not in known]
            start = self._beginning(exchange, now_ms)
            if fresh:
                candles += [self._feed(exchange, fresh, "candles", *span) for span in start.candles]
                trades.append(self._feed(exchange, fresh, "trades", 0, start.trades_from_ms, now_ms))
            for pair in self.plan[exchange]:
                reached_ms = known[pair].reached_ms if pair in known else now_ms
                if now_ms - reached_ms > LIVE_FILLS_MS:
                    trades.append(self._feed(exchange, [pair], "trades", 0, reached_ms, now_ms))
        return [stage for stage in (candles, trades) if stage]

    def _beginning(self, exchange: str, now_ms: int) -> Beginning:
        settings = self.settings
        return beginning(
            exchange, settings.candle_seconds, now_ms=now_ms, what=settings.history, days=settings.history_days
        )

    def _feed(
        self, exchange: str, pairs: Sequence[str], what: str, seconds: int, from_ms: int, to_ms: int
    ) -> BackfillFeed:
        wanted = Wanted(tuple(pairs), what, seconds, from_ms, to_ms, align_ms=self.align_ms)
        return BackfillFeed(self.rest(exchange, START), wanted, clock=self.clock, loop=self.loop)

    def live(self, pipeline: Pipeline) -> LiveFeed | None:
        """The live stream of all exchanges that have a socket of ours, going on where the journal ends."""
        if not self.endpoints:
            return None
        from tickcast.sources.live.feed import LiveFeed, Market
        from tickcast.sources.sockets.clients import client_for

        now_ms = self.clock.now_ns() // NS_PER_MS
        markets = [
            Market(
                venue,
                self.endpoints[venue.name],
                self.plan[venue.name],
                self.rest(venue.name),
                pipeline.known_trades(venue.name),
                self._beginning(venue.name, now_ms).trades_from_ms,
            )
            for venue in self.venues
        ]
        return LiveFeed(
            markets,
            clock=self.clock,
            client=client_for(self.settings.ws_client, self.clock),
            chance=self._chance,
            loop=self.loop,
            hold_ms=self.settings.hold_ms,
            align_ms=self.align_ms,
        )

    def others(self) -> list[Feed]:
        """Feeds of the exchanges that are read through ccxt."""
        names = [name for name in self.plan if name not in self.endpoints]
        if not names:
            return []
        from tickcast.sources.ccxt.feed import CcxtFeed

        return [
            CcxtFeed(name, self.plan[name], clock=self.clock, loop=self.loop, chance=self._chance) for name in names
        ]

    def close(self) -> None:
        """Let go of the loop, and of what still runs on it."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            with suppress(asyncio.CancelledError):
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
