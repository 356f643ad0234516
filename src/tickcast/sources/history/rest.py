"""One venue's memory over HTTP: walks are asked page by page, within the host's budget, with bounded patience.

    walk.request ─→ turn in the budget ─→ GET ─→ judge ─→ walk.take ─→ Part
                          └── wait, ask again, at most so often ──┘     an error resumes after the last good part

Two degrees of patience: urgent (a live stream waits for a hole) gives up within seconds, since its caller tries again
later; patient (backfill) sits out a venue's maintenance.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from tickcast.clock import NS_PER_MS, Clock
from tickcast.sources.history.budget import Budgets, HostBudget
from tickcast.sources.history.contract import After, HistoryError, Part, Request, TimeSample
from tickcast.sources.history.dialects import BULK_LIMIT, LIMITS, LongWalk, dialect_of
from tickcast.sources.history.faults import BAN, BUSY, RATE, Fault, judge, refusal
from tickcast.sources.history.http import Answer, Http, Unreached
from tickcast.sources.history.leaps import Leaps
from tickcast.sources.venues.contract import Endpoints, Listing

TIME_STALE_S = 60.0
NOTES_MAX = 100
LEAPS_MAX = 8
"""So often a walk sees to a leap of our clock and asks a page anew; one that never rests must end nothing."""
LEAP_MS = 2000
"""A venue may tell whole seconds only: less is no proof that our clock was set."""
POLL_S = 0.1
"""How often one looks whether one's turn has come."""
LISTINGS_TIMEOUT_S = 60.0
_USED_WEIGHT = "x-mbx-used-weight-1m"


class Patience(NamedTuple):
    """How long one page is tried for."""

    attempts: int
    backoff_s: float
    """Before the second attempt; each later one doubles it."""
    backoff_max_s: float
    wait_max_s: float
    """The longest that a host may make us wait for our turn."""
    timeout_s: float
    urgent: bool = False
    """Before others in a host's line."""


URGENT = Patience(attempts=4, backoff_s=0.2, backoff_max_s=2.0, wait_max_s=15.0, timeout_s=5.0, urgent=True)
PATIENT = Patience(attempts=10, backoff_s=1.0, backoff_max_s=60.0, wait_max_s=3600.0, timeout_s=30.0)


class RestHistory:
    """History over REST, on the caller's loop. One object may serve many walks at once."""

    def __init__(
        self,
        venue_name: str,
        endpoints: Endpoints,
        *,
        clock: Clock,
        budget: Budgets,
        chance: random.Random,
        loop: asyncio.AbstractEventLoop,
        patience: Patience = URGENT,
        ca_file: str = "",
    ) -> None:
        self.exchange, self.endpoints = venue_name, endpoints
        self.dialect = dialect_of(venue_name)
        self.clock, self.chance, self.loop, self.patience = clock, chance, loop, patience
        self.budgets, self.http = budget, Http(ca_file)
        self.requests: dict[str, int] = {}
        """How many there were, by host and outcome: `api.binance.com ok`."""
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        self._offset_ms = 0
        self._known_at_s = float("-inf")
        self._own_leaps = Leaps()

    def trades(self, pair: str, after: After, until_ms: int = 0) -> AsyncGenerator[Part]:
        """All trades after that, oldest first, up to a time (0: to the newest there is)."""
        return self._walk(lambda: self.dialect.TradesWalk(pair, after, until_ms), pair)

    def candles(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> AsyncGenerator[Part]:
        """Closed candles of that length in that time, oldest first."""
        return self._walk(lambda: self.dialect.CandlesWalk(pair, seconds, from_ms, min(to_ms, self._venue_ms())), pair)

    async def venue_time(self) -> TimeSample:
        """Ask the venue for its clock."""
        answer, sent_ns = await self._page(self.dialect.TIME, "the time", self.patience.timeout_s)
        recv_ns = self.clock.now_ns()
        sample = TimeSample(self.dialect.read_time(answer.body), sent_ns, recv_ns)
        # The venue's clock stood there before the answer came: counted from then, it is never ahead of the truth.
        self._offset_ms = sample.venue_ms - recv_ns // NS_PER_MS
        self._known_at_s = self.clock.monotonic_s()
        return sample

    async def listings(self) -> tuple[Listing, ...]:
        """All pairs that the venue trades; what they say of limits is kept from then on."""
        answer, _ = await self._page(self.dialect.LISTINGS, "the listings", LISTINGS_TIMEOUT_S)
        self.budget_of(self.dialect.LISTINGS).set_limit(self.dialect.read_limit(answer.body))
        return self.dialect.read_listings(answer.body)

    async def close(self) -> None:
        """Let go of all connections."""
        await self.http.close()

    def notes(self) -> list[str]:
        """What a reader should know, a sentence each; told once."""
        told = list(self._notes)
        self._notes.clear()
        return told

    def note(self, text: str) -> None:
        """Something a reader should know."""
        self._notes.append(text)

    def our_ms(self) -> int:
        """Our own clock."""
        return self.clock.now_ns() // NS_PER_MS

    def base(self, request: Request) -> str:
        """The host that a request goes to, as a URL."""
        return self.endpoints.bulk if request.host == "bulk" else self.endpoints.rest

    def budget_of(self, request: Request) -> HostBudget:
        """The budget of the host that a request goes to."""
        limit = BULK_LIMIT if request.host == "bulk" else LIMITS[self.exchange]
        return self.budgets.of(self._host_key(request), limit)

    def count(self, request: Request, outcome: str) -> None:
        """One more request has ended."""
        key = f"{urlsplit(self.base(request)).netloc} {outcome}"
        self.requests[key] = self.requests.get(key, 0) + 1

    async def persist(self, request: Request, pair: str, ask: Callable[[str], Awaitable[Answer]]) -> tuple[Answer, int]:
        """Ask, within the budget, until there is an answer, and when that one was asked for (our clock).

        HistoryError when patience has ended, or where no patience helps.
        """
        base = self.base(request)
        fault = Fault(BUSY, "")
        for attempt in range(self.patience.attempts):
            if attempt:
                if attempt == 1 and fault.kind == BUSY and not self.patience.urgent:
                    self.note(f"{self.exchange}: {base} gives no answer for {pair} ({fault.detail}); it is asked again")
                await self._backoff(attempt)
            await self._turn(request)
            sent_ns = self.clock.now_ns()
            try:
                answer = await ask(base + request.path)
            except Unreached as exc:
                self.count(request, "failed")
                fault = Fault(BUSY, str(exc))
                continue
            self._learn(request, answer)
            found = judge(self.exchange, answer.status, base, answer.headers, answer.body)
            self.count(request, found.kind if found else "ok")
            if found is None:
                self.budget_of(request).worked()
                return answer, sent_ns
            fault = found
            self._heed(request, fault, pair)
        raise HistoryError(
            f"{self.exchange}/history",
            f"{base} gave no answer for {pair} in {self.patience.attempts} attempts ({fault.detail})",
            "it is asked again later",
        )

    async def _page(self, request: Request, pair: str, timeout_s: float) -> tuple[Answer, int]:
        return await self.persist(request, pair, lambda url: self.http.get(url, request.params, timeout_s=timeout_s))

    async def _walk(self, begin: Callable[[], LongWalk], pair: str) -> AsyncGenerator[Part]:
        await self._know_time()
        walk = begin()
        failures = leapt = 0
        while (request := walk.request) is not None:
            await self._know_time()
            leaps, offset_ms = self._leaps(), self._offset_ms
            answer, sent_ns = await self._page(request, pair, self.patience.timeout_s)
            if self._leaps() != leaps and leapt < LEAPS_MAX:
                leapt += 1
                await self._know_time()
                if abs(self._offset_ms - offset_ms) > LEAP_MS:
                    continue  # what the venue's clock said when this was asked, nobody knows
            try:
                part = walk.take(answer.body, sent_ns // NS_PER_MS + self._offset_ms)
            except HistoryError:
                self.count(request, "unreadable")
                failures += 1
                if failures >= self.patience.attempts:
                    raise
                await self._backoff(failures)
                continue
            failures = 0
            self._notes.extend(walk.notes)
            walk.notes.clear()
            if part is not None:
                yield part._replace(fetched_ms=self.our_ms())
        if walk.refusal is not None:
            raise walk.refusal

    async def _turn(self, request: Request) -> None:
        """Wait until the host may be asked; HistoryError where that takes longer than our patience."""
        budget = self.budget_of(request)
        ticket = budget.enter(request.weight, urgent=self.patience.urgent)
        try:
            while (wait_s := budget.wait_s(ticket)) > 0.0:
                if wait_s > self.patience.wait_max_s:
                    raise HistoryError(
                        f"{self.exchange}/history",
                        f"{self.base(request)} may not be asked for another {wait_s:.0f} s",
                        "its limits want that; what is missing stays marked until then",
                    )
                await asyncio.sleep(min(wait_s, POLL_S))
        finally:
            budget.leave(ticket)

    async def _backoff(self, attempt: int) -> None:
        """Wait before another attempt: twice as long each time, never two of us at once."""
        patience = self.patience
        usual_s = min(patience.backoff_s * 2.0 ** (attempt - 1), patience.backoff_max_s)
        await asyncio.sleep(usual_s * self.chance.uniform(0.5, 1.5))

    def _heed(self, request: Request, fault: Fault, pair: str) -> None:
        """Do what a refusal asks for; HistoryError where nothing helps."""
        if fault.kind == RATE:
            wait_s = self.budget_of(request).refused(ban=False, retry_after_s=fault.wait_s)
            self.note(f"{self.exchange}: {self.base(request)} asked us to wait {wait_s:.1f} s ({fault.detail})")
        elif fault.kind == BAN:
            self.budget_of(request)
            wait_s = self.budgets.banned(self._host_key(request), fault.wait_s)
            self.note(f"{self.exchange}: {self.base(request)} locked us out for {wait_s:.0f} s ({fault.detail})")
        elif fault.kind != BUSY:
            raise refusal(self.exchange, fault, pair)

    def _learn(self, request: Request, answer: Answer) -> None:
        used = answer.headers.get(_USED_WEIGHT, "")
        if used.isdecimal() and used.isascii():
            self.budget_of(request).used_at_venue(float(used[:9]))

    def _host_key(self, request: Request) -> str:
        return f"{self.exchange} {urlsplit(self.base(request)).netloc}"

    def _venue_ms(self) -> int:
        return self.our_ms() + self._offset_ms

    def _leaps(self) -> int:
        """How often our own clock was set so far; what was known of the venue's beside it is void then."""
        if self._own_leaps.look(self.clock.now_ns(), self.clock.monotonic_s(), self.clock.speed):
            self._known_at_s = float("-inf")
        return self._own_leaps.count

    async def _know_time(self) -> None:
        self._leaps()
        if self.clock.monotonic_s() - self._known_at_s > TIME_STALE_S:
            await self.venue_time()
