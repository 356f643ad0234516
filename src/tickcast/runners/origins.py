"""Where a configuration's data comes from: for each exchange its history and its live stream, all on one loop.

settings ─→ Origins ─┬→ check           are these pairs traded there at all?
                     ├→ missed, lacking what a pair's start fetches, as feeds that end (`fetching`)
                     └→ live, others    feeds that do not
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from tickcast.clock import NS_PER_MS, Clock
from tickcast.config import Settings
from tickcast.events import CANDLES
from tickcast.runners.beginning import Beginning, beginning
from tickcast.runners.lacking import Held, Span, joined, without
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.history.budget import Budgets, HostUse
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.history.feed import BackfillFeed, Wanted
from tickcast.sources.history.rest import URGENT, Patience, RestHistory
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.venues.contract import Endpoints, Listing
from tickcast.sources.venues.names import check_pairs, plan_pairs
from tickcast.sources.venues.registry import VENUES, endpoints_for, venue_of
from tickcast.store.duckdb import DuckStore

if TYPE_CHECKING:
    from tickcast.sources.ccxt.feed import CcxtFeed
    from tickcast.sources.live.feed import LiveFeed, Market

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


def reached(plan: Iterable[str], overrides: Sequence[str]) -> dict[str, Endpoints]:
    """Where the exchanges are reached that have a socket of ours; ConfigError for an address that is none."""
    found = {name: endpoints_for(venue, overrides) for name, venue in VENUES.items()}
    return {name: found[name] for name in plan if name in found}


def unused(plan: Collection[str], overrides: Sequence[str]) -> list[str]:
    """Addresses of exchanges that are not read, a sentence each.

    >>> unused(["binance"], ["kraken=http://127.0.0.1:9000/kraken"])
    ['endpoints: an address is given for kraken, which is not among the exchanges (binance), so it is not used.']
    """
    names = [override.partition("=")[0].strip() for override in overrides]
    others = f"is not among the exchanges ({', '.join(plan)}), so it is not used."
    return [f"endpoints: an address is given for {name}, which {others}" for name in names if name not in plan]


class Origins:
    """One configuration's sources. `close` lets go of the loop; feeds are closed by who asked for them."""

    def __init__(self, settings: Settings, clock: Clock, *, seed: int | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.plan = plan_pairs(settings.exchange, settings.pairs)
        self.endpoints = reached(self.plan, settings.endpoints)
        self.loop = asyncio.new_event_loop()
        self._chance = random.Random(seed)  # noqa: S311 - jitter, no secrets
        self._budgets = Budgets(clock, settings.data_dir / BANS_FILE)
        self._made: list[RestHistory] = []
        self._patient: dict[str, RestHistory] = {}
        self._urgent: dict[str, RestHistory] = {}

    @property
    def align_ms(self) -> int:
        """History comes in whole windows of this length, so that what the candles forgot is made anew from it."""
        return min(ALIGN_MS_MAX, 1000 * max(self.settings.candle_seconds))

    def rest(self, exchange: str, patience: Patience = URGENT) -> RestHistory:
        """A venue's history; all of one process share one budget a host."""
        made = RestHistory(
            exchange,
            self.endpoints[exchange],
            clock=self.clock,
            budget=self._budgets,
            chance=self._chance,
            loop=self.loop,
            patience=patience,
        )
        self._made.append(made)
        return made

    def check(self) -> list[str]:
        """Refuse pairs that an exchange does not trade; what could not be asked is said, and taken on trust."""
        said = unused(self.plan, self.settings.endpoints)
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

    def missed(self, exchange: str, pair: str, known: KnownTrades | None, lacks: Sequence[Wanted]) -> list[Wanted]:
        """What a pair has to have before it goes live, in this order; nothing where it can go on as it is."""
        now_ms = self.clock.now_ns() // NS_PER_MS
        if known is not None:
            paused = now_ms - known.reached_ms > LIVE_FILLS_MS
            return [self._wanted(pair, "trades", 0, known.reached_ms, now_ms)] if paused else []
        candles = [one for one in lacks if one.what == CANDLES.name]
        return [*candles, self._wanted(pair, "trades", 0, self._beginning(exchange, now_ms).trades_from_ms, now_ms)]

    def lacking(
        self, store: DuckStore, exchange: str, known: Mapping[str, KnownTrades | None]
    ) -> dict[str, list[Wanted]]:
        """By pair, what the store lacks of the candles that indicators stand on; what came since is the feed's.

        What history told of once is not asked for again, even where the venue had no candles then.
        """
        start = self._beginning(exchange, self.clock.now_ns() // NS_PER_MS)
        held = Held(store, exchange, known, min(span.from_ms for span in start.wanted))
        return {pair: self._lacks(start, held, pair, seen) for pair, seen in known.items()}

    def _lacks(self, start: Beginning, held: Held, pair: str, known: KnownTrades | None) -> list[Wanted]:
        found: list[Wanted] = []
        gaps: list[Span] = []
        for seconds, from_ms, to_ms in start.wanted:
            until_ms = to_ms if known is None else known.reached_ms
            left = without((from_ms, until_ms - until_ms % (1000 * seconds)), held.of(pair, seconds))
            if left and start.candles:
                found.append(self._gaps(pair, CANDLES.name, seconds, left))
            gaps += left
        return found if start.candles or not gaps else [self._gaps(pair, "trades", 0, joined(gaps))]

    def _gaps(self, pair: str, what: str, seconds: int, gaps: Sequence[Span]) -> Wanted:
        """One question for all gaps; what lies between them is there."""
        between = tuple((older[1], newer[0]) for older, newer in pairwise(gaps))
        return self._wanted(pair, what, seconds, gaps[0][0], gaps[-1][1], between)

    def _wanted(
        self, pair: str, what: str, seconds: int, from_ms: int, to_ms: int, held: Sequence[Span] = ()
    ) -> Wanted:
        candles = what == CANDLES.name
        align_ms = 1000 * seconds if candles else self.align_ms
        return Wanted((pair,), what, seconds, from_ms, to_ms, {pair: held}, align_ms, all_or_none=candles)

    def _beginning(self, exchange: str, now_ms: int) -> Beginning:
        settings = self.settings
        return beginning(
            exchange, settings.candle_seconds, now_ms=now_ms, what=settings.history, days=settings.history_days
        )

    def fetch(self, exchange: str, wanted: Wanted) -> BackfillFeed:
        """A feed of it; all of one exchange share their connections."""
        if exchange not in self._patient:
            self._patient[exchange] = self.rest(exchange, START)
        rest = self._patient[exchange]
        return BackfillFeed(rest, wanted, clock=self.clock, loop=self.loop, shares_rest=True)

    def notes(self) -> list[str]:
        """What happened to requests since this was last asked, a sentence each."""
        return [*self._budgets.notes(), *(note for rest in self._patient.values() for note in rest.notes())]

    def hosts(self) -> tuple[HostUse, ...]:
        """How much of each host's budget is used."""
        return self._budgets.uses()

    def requests(self) -> dict[str, int]:
        """Requests for history by host and outcome, since the start."""
        found: dict[str, int] = {}
        for rest in self._made:
            for name, count in rest.requests.items():
                found[name] = found.get(name, 0) + count
        return found

    def live(self) -> LiveFeed:
        """The live stream of all exchanges that have a socket of ours; it carries what `market` is added to it."""
        from tickcast.sources.live.feed import LiveFeed
        from tickcast.sources.sockets.clients import client_for

        return LiveFeed(
            (),
            clock=self.clock,
            client=client_for(self.settings.ws_client, self.clock),
            chance=self._chance,
            loop=self.loop,
            hold_ms=self.settings.hold_ms,
            align_ms=self.align_ms,
        )

    def market(self, exchange: str, pairs: Sequence[str], pipeline: Pipeline) -> Market:
        """Some pairs of an exchange for the live stream, going on where the journal ends."""
        from tickcast.sources.live.feed import Market

        if exchange not in self._urgent:
            self._urgent[exchange] = self.rest(exchange)
        start_ms = self._beginning(exchange, self.clock.now_ns() // NS_PER_MS).recent_ms
        known = pipeline.known_trades(exchange)
        return Market(
            venue_of(exchange), self.endpoints[exchange], tuple(pairs), self._urgent[exchange], known, start_ms
        )

    def others(self, pipeline: Pipeline) -> list[CcxtFeed]:
        """Feeds of the exchanges that are read through ccxt, going on where the journal ends."""
        names = [name for name in self.plan if name not in self.endpoints]
        if not names:
            return []
        from tickcast.sources.ccxt.feed import CcxtFeed

        return [
            CcxtFeed(
                name,
                self.plan[name],
                clock=self.clock,
                loop=self.loop,
                chance=self._chance,
                known=pipeline.known_trades(name),
            )
            for name in names
        ]

    def close(self) -> None:
        """Let go of the loop, and of what still runs on it."""
        for rest in self._patient.values():
            self.loop.run_until_complete(rest.close())
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            with suppress(asyncio.CancelledError):
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
