"""The past that pairs have to have: each goes live as soon as it has its own, what could not be had is asked for again.

    a pair ─┬→ missed something: its steps, one after the other ─→ ready to go live ─┐
            └→ goes on where it was: ready at once                                   ├→ live
    live ───→ lacks candles still: asked for in the background, ever more rarely ────┘   until the venue has answered

Feeds are polled by the runner; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tickcast.runners.embedded import Embedded
from tickcast.runners.origins import Origins
from tickcast.runners.status import FetchSeen
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.history.feed import BackfillFeed, Wanted
from tickcast.sources.history.steps import NotKept
from tickcast.sources.live.contract import KnownTrades

AT_ONCE = 3
"""Pairs of one exchange that are fetched at once."""
AGAIN_S, AGAIN_S_MAX = 5.0, 300.0
"""After an attempt in vain; twice as long after each one more."""
TOGETHER_S = 10.0
"""So long a pair that is ready waits for others of its exchange, so that they share a connection."""
GROUPS_MAX = 4
"""Later pairs of one exchange wait for all that are left: connections are few."""
WAITING, ASKING, AGAIN = "waiting", "asking", "again"


class Fetch:
    """One pair's way to its past."""

    def __init__(self, exchange: str, pair: str, steps: list[Wanted], *, begins: bool) -> None:
        self.exchange, self.pair, self.steps = exchange, pair, steps
        self.begins = begins
        """The pair goes live after it; else it is live meanwhile."""
        self.later: list[Wanted] = []
        """What it lacks beside, and does not have to wait for."""
        self.feed: BackfillFeed | None = None
        self.done = self.rows = self.tries = 0
        self.due_s = float("-inf")
        self.failed: HistoryError | None = None

    @property
    def share(self) -> float:
        """How much of it is there."""
        inside = self.feed.progress()[0].done_share if self.feed is not None else 0.0
        return (self.done + inside) / len(self.steps) if self.steps else 0.0

    def seen(self, now_s: float) -> FetchSeen:
        """For who looks."""
        state = ASKING if self.feed is not None else AGAIN if self.due_s > now_s else WAITING
        rows = self.rows + (self.feed.progress()[0].rows if self.feed is not None else 0)
        wait_s = max(0.0, self.due_s - now_s) if state == AGAIN else 0.0
        why = str(self.failed) if self.failed is not None else ""
        return FetchSeen(self.exchange, self.pair, state, self.share, rows, not self.begins, wait_s, why)

    def close(self) -> None:
        """Let go of what is under way."""
        if self.feed is not None:
            self.feed.close()
            self.rows += self.feed.progress()[0].rows
            self.feed = None


class Fetching:
    """All of a start, and what is asked again after it."""

    def __init__(self, origins: Origins, embedded: Embedded) -> None:
        self._origins, self._embedded, self._clock = origins, embedded, embedded.clock
        self._fetches: list[Fetch] = []
        self._ready: dict[str, list[str]] = {}
        self._since_s: dict[str, float] = {}
        self._groups: dict[str, int] = {}
        self._notes: list[str] = []
        for exchange in origins.endpoints:
            lacks = self._lacks(exchange, origins.plan[exchange])
            known = self._known(exchange)
            for pair in origins.plan[exchange]:
                steps = origins.missed(exchange, pair, known.get(pair), lacks[pair])
                if steps:
                    self._fetches.append(Fetch(exchange, pair, steps, begins=True))
                    self._fetches[-1].later = lacks[pair] if pair in known else []
                    continue
                self._ready.setdefault(exchange, []).append(pair)
                if lacks[pair]:
                    self._fetches.append(Fetch(exchange, pair, lacks[pair], begins=False))
        self._begun = len(self._starts)

    def _known(self, exchange: str) -> dict[str, KnownTrades]:
        """What was seen of each pair; of one that has no time yet nothing was, whatever was said of it."""
        known = self._embedded.pipeline.known_trades(exchange)
        return {pair: one for pair, one in known.items() if one.reached_ms}

    def _lacks(self, exchange: str, pairs: Sequence[str]) -> dict[str, list[Wanted]]:
        """What the store lacks of some pairs, once it has all that came."""
        self._embedded.checkpoint()
        known = self._known(exchange)
        return self._origins.lacking(self._embedded.store, exchange, {pair: known.get(pair) for pair in pairs})

    @property
    def _starts(self) -> list[Fetch]:
        return [one for one in self._fetches if one.begins]

    @property
    def starting(self) -> bool:
        """Whether a pair is not live yet."""
        return bool(self._starts or any(self._ready.values()))

    @property
    def share(self) -> float | None:
        """How much of what comes before the live streams is there; None: nothing has to be."""
        left = sum(1.0 - one.share for one in self._starts)
        return 1.0 - left / self._begun if self._begun else None

    def seen(self) -> tuple[FetchSeen, ...]:
        """What is not there yet, those first that are not live."""
        now_s = self._clock.monotonic_s()
        return tuple(one.seen(now_s) for one in sorted(self._fetches, key=lambda one: not one.begins))

    def notes(self) -> list[str]:
        """What could not be had since this was last asked, a sentence each."""
        told, self._notes = self._notes, []
        return told

    def feeds(self) -> list[BackfillFeed]:
        """What is to be polled now; what may begin is begun."""
        for exchange in self._origins.endpoints:
            own = [one for one in self._fetches if one.exchange == exchange]
            room = AT_ONCE - sum(one.feed is not None for one in own)
            if not any(one.feed is not None and not one.begins for one in own):
                behind = next((one for one in own if not one.begins and self._is_due(one)), None)
            else:
                behind = None
            due = [one for one in own if one.begins and self._is_due(one)]
            for one in [*due, *([behind] if behind is not None else [])][: max(room, 0)]:
                self._begin(one)
        return [one.feed for one in self._fetches if one.feed is not None]

    def _is_due(self, one: Fetch) -> bool:
        return one.feed is None and one.due_s <= self._clock.monotonic_s()

    def _begin(self, one: Fetch) -> None:
        """The next step of a pair; what was tried in vain is planned anew, and may be there by now."""
        if one.failed is not None:
            one.failed = None
            one.steps = self._lacks(one.exchange, [one.pair])[one.pair]
        if one.steps:
            one.feed = self._origins.fetch(one.exchange, one.steps[one.done])
        else:
            self._fetches.remove(one)

    def advance(self) -> None:
        """After a poll: go on with those whose step is through."""
        for one in list(self._fetches):
            if one.feed is None or not one.feed.ended:
                continue
            errors = one.feed.errors
            if not one.tries:  # later `why` says it: the same note again and again would hide all others
                self._notes += map(str, errors)
            one.failed = next((error for error in errors if not isinstance(error, NotKept)), None)
            one.close()
            one.done += 1
            if one.failed is not None or one.done == len(one.steps):
                self._through(one)

    def _through(self, one: Fetch) -> None:
        """A pair has what can be had now: it may go live, and what is left is asked for beside that."""
        now_s = self._clock.monotonic_s()
        if one.begins:
            self._since_s.setdefault(one.exchange, now_s)
            self._ready.setdefault(one.exchange, []).append(one.pair)
        one.begins, one.done = False, 0
        if one.failed is not None:
            one.due_s = now_s + min(AGAIN_S * 2.0 ** min(one.tries, 16), AGAIN_S_MAX)
            one.tries += 1
        elif one.later:
            one.steps, one.later = one.later, []
        else:
            self._fetches.remove(one)

    def ready(self) -> Iterator[tuple[str, list[str]]]:
        """Pairs that are to go live now, by exchange, each once."""
        now_s = self._clock.monotonic_s()
        for exchange, pairs in self._ready.items():
            last = not any(one.exchange == exchange for one in self._starts)
            waited = now_s - self._since_s.get(exchange, float("-inf")) >= TOGETHER_S
            if pairs and (last or (waited and self._groups.get(exchange, 0) < GROUPS_MAX - 1)):
                self._groups[exchange] = self._groups.get(exchange, 0) + 1
                self._ready[exchange] = []
                self._since_s.pop(exchange, None)
                yield exchange, pairs

    def close(self) -> None:
        """Let go of all that is under way."""
        for one in self._fetches:
            one.close()
