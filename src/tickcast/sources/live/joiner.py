"""One pair's stream joined to its history by trade id: what goes out now, what waits, what is to be fetched.

    known ─── 180 ╌╌╌╌╌ hole ╌╌╌╌╌ 195 196 197 ...      the stream says 195 after 180
                  └── asked for ──┘ └── held ──┘        history goes out first, then what was held

Pure: time is handed in (seconds that never go back), messages and history go out as a list in the order to write them.
A pair is `live` when nothing waits and nothing is in doubt. It is in doubt after its connection was away, until a trade
joins the last one or history has been asked. What waits, waits for a bounded time; then it goes out, the hole stays
open, and is asked for again as whole windows (`holes.py`). Ids that are not consecutive join by time alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

from tickcast.clock import NS_PER_MS
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After, Part
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.held import NO_TRADE, Held, Waiting
from tickcast.sources.live.holes import APART_MS, CONFIRM_S, Filled, Hole, Holes
from tickcast.sources.live.joining import UNKNOWN, Counts, Joined, Limits, Out, Unseen, Want, quiet
from tickcast.sources.live.linking import Taken, is_anew, runs, unlinked
from tickcast.sources.venues.contract import Span


class Joiner:
    """One pair.

    >>> joiner = Joiner("BTC/USD", KnownTrades(((1, 180, 500, 1000),)))
    >>> joiner.subscribed(0.0, 1200)
    []
    >>> joiner.hear(0.1, Message(0, "kraken", b"..."), Span("BTC/USD", 195, 195, 2000, 2000)), joiner.state
    ([], 'joining')
    >>> joiner.want(0.3).after
    After(timestamp_ms=1000, trade_id=180)
    """

    def __init__(
        self, pair: str, known: KnownTrades | None = None, start_ms: int = 0, limits: Limits | None = None
    ) -> None:
        self.pair, self.limits = pair, limits or Limits()
        self.live = False
        self.next_id = UNKNOWN
        self.last_ms = self.proven_ms = 0
        """The time of the last trade (or from when on the pair is wanted); how far proof of time came: the feed's."""
        self.counts = Counts()
        self.holes = Holes()
        self.given_up: list[Hole] = []
        """Holes whose trades the venue itself does not have, until someone takes note."""
        self.anew = False
        """Ids began anew, until someone takes note."""
        self._last_id = -1
        self._held = Held()
        self._doubt = self._holding = True
        self._mending = 0  # trades that history brought where the stream should have: a gap, once it is closed
        self._suspected = self._subscribed = self._unlinked = self._blind = self._begun = False
        self._dark = True  # the stages take what comes next as not seen, unless its id or we say otherwise
        self._unseen: tuple[int, int] | None = None  # the last trade and the proven time when we called it unseen
        self._life = 0  # its stream's; what was asked for in an earlier one proves nothing in this one
        self._asked: Want | None = None
        self._due_s, self._tries = 0.0, 0
        self._begin(known or KnownTrades(), start_ms)

    def _begin(self, known: KnownTrades, start_ms: int) -> None:
        for older, newer in zip(known.spans, known.spans[1:], strict=False):
            if newer[0] > older[1] + 1 and newer[2] - older[3] <= APART_MS:
                self._open_hole(older[1] + 1, newer[0] - 1, (older[3], newer[2]), 0.0)
        self.last_ms = known.reached_ms or start_ms
        if known.spans:
            _, self._last_id, _, self.last_ms = known.spans[-1]
            self.next_id = self._last_id + 1
        self.caught_up = not self.last_ms
        """Nothing is left to fetch before the stream is opened."""
        self.proven_ms = max(self.last_ms, known.reached_ms)

    @property
    def held(self) -> int:
        """How many messages wait."""
        return len(self._held)

    @property
    def state(self) -> str:
        """For people: `live`, `joining` or `suspect`."""
        return "live" if self.live else "joining" if self._holding else "suspect"

    @property
    def settled(self) -> bool:
        """Live, and nothing to fetch either: it needs no looking after."""
        return self.live and not len(self.holes)

    # ---- what the connection says

    def flows(self, span: Span) -> bool:
        """The fast road: whether a trade simply follows the last one; if so, that is noted and it may go out."""
        if self.live and span[1] == self.next_id:
            last = span[2]
            self._last_id, self.next_id, self.last_ms = last, last + 1, span[4]
            return True
        return False

    def hear(self, now_s: float, message: Message, span: Span) -> list[Out]:
        """A message with trades; returns what goes out now."""
        _, first, last, first_ms, last_ms = span
        one = Waiting(message, now_s, self._life, self._doubt, first, last, first_ms, last_ms)
        if first >= 0 and last < self.next_id and not self._is_anew(one):
            self._pass(one, now_s)
            if self._suspected:
                self._mending = 0  # history was only quicker
            return [message]
        self._unlinked = first < 0
        follows = self._follows(one)
        if self._holding:
            self._held.add(one)
            self._due_s = min(self._due_s, now_s + self.limits.reorder_s)
            return self._settle(now_s) if follows else self._bounded(now_s)
        if first < 0 and self._doubt:
            return [message]  # it proves nothing, and history is asked for what came after the last one that did
        if follows or first < 0:
            self._pass(one, now_s)
            self._trust()
            return [message]
        self.live, self._holding, self._suspected = False, True, False
        self._due_s, self._tries = now_s + self.limits.reorder_s, 0
        self._held.add(one)
        return self._bounded(now_s)

    def hear_other(self, now_s: float, message: Message) -> list[Out]:
        """A message of the pair without trades: it keeps its place among those that wait."""
        if not self._holding:
            return [message]
        self._held.add(Waiting(message, now_s, self._life, self._doubt))
        return self._bounded(now_s)

    def pass_through(self, now_s: float, message: Message, span: Span) -> list[Out]:
        """A message of several pairs can not wait for one of them: its trades go out, what they leave is a hole."""
        _, first, last, first_ms, last_ms = span
        self._pass(Waiting(message, now_s, self._life, self._doubt, first, last, first_ms, last_ms), now_s)
        return self._settle(now_s)

    def cut(self) -> None:
        """Its connection went away: what comes next may not be what came next."""
        self._doubt = self._holding = True
        self.live = self._suspected = self._subscribed = self._blind = False
        self._life += 1

    def subscribed(self, now_s: float, venue_ms: int) -> list[Out]:
        """Its stream stands; `venue_ms` is where a pair begins of which nothing is known."""
        self._subscribed = self.caught_up = True
        self._due_s, self._tries = now_s + self.limits.audit_s, 0
        if not self.last_ms:
            self.last_ms = self.proven_ms = venue_ms
            self._doubt = False
        return self._settle(now_s)

    def jumped(self, now_s: float) -> None:
        """Its connection lost messages of nobody knows which pair."""
        subscribed = self._subscribed
        self.cut()
        self._subscribed, self._due_s, self._tries = subscribed, now_s + self.limits.audit_s, 0

    def suspect(self, now_s: float) -> None:
        """It is silent beside its usual pace: nothing waits, but nothing proves its time until history was asked."""
        if self.live:
            self.live, self._doubt, self._suspected = False, True, True
            self._due_s, self._tries = now_s, 0

    def trust(self) -> None:
        """Its stream flows after all."""
        if not self._holding:
            self._trust()

    def flush(self, now_s: float) -> list[Out]:
        """The end: nothing waits any longer."""
        return self._release(now_s, len(self._held)) if self.held else []

    def tick(self, now_s: float) -> list[Out]:
        """Time went by: what waited for too long goes out."""
        hold_s = self.limits.hold_s if self._begun else self.limits.first_hold_s
        late = now_s - self._held.since_s >= hold_s
        return self._release(now_s, self._held.older_than(now_s - hold_s)) if late else []

    # ---- what history says

    def want(self, now_s: float, *, holes: bool = True) -> Want | None:
        """What to fetch now, if anything; one thing at a time: `done` or `failed` must follow.

        Without `holes` only what is urgent: messages wait for it, or a proof.
        """
        if self._asked is not None:
            return None
        life = self._life if self._subscribed else -1
        if now_s >= self._due_s and self._asks_onward():
            after = After(self.last_ms, self._last_id)
            if self._unlinked:
                after = After(self.last_ms - self.limits.overlap_ms)
            self._asked = Want(after, 0, life, self.next_id, suspected=self._suspected)
        elif holes and (hole := self.holes.due(now_s)) is not None:
            from_ms, until_ms = hole.whole(self.limits.align_ms)
            for other in self.holes:
                if other.due_s <= now_s and from_ms <= other.from_ms <= until_ms:
                    until_ms = max(until_ms, other.whole(self.limits.align_ms)[1])
            self._asked = Want(After(from_ms), until_ms, life)
        return self._asked

    def part(self, want: Want, part: Part, now_s: float) -> list[Out]:
        """An answer to what was wanted."""
        if want.urgent and self._asks_onward():
            return self._onward(want, part, now_s)
        if want.urgent and len(part.rows["trade_id"]):
            want.reach = max(want.reach, int(part.rows["trade_id"][-1]) + 1)
        if want.urgent and not self._is_young(part):
            return []  # nobody waits for it any more: what is missing will be asked for as whole windows
        if want.urgent:
            filled = self.holes.fill(part)
        else:
            filled = self.holes.judge(part, want.before, want.after.timestamp_ms, now_s)
            want.before = part
        self._note(filled)
        return [Joined(part, self.live and self._proves(want))] if filled.trades or filled.closed else []

    def satisfied(self, want: Want) -> bool:
        """Whether no more of its answers are needed."""
        return want.urgent and not self._asks_onward()

    def done(self, want: Want, now_s: float) -> None:
        """Its answers have ended."""
        self._ended(want, now_s, 0.1)

    def failed(self, want: Want, now_s: float, *, forgotten: bool = False) -> None:
        """Nobody answered; or it is `forgotten`: the venue does not keep so much."""
        if forgotten and not want.urgent:
            self._give_up(self.holes.forget(want.after.timestamp_ms, want.until_ms))
        self._ended(want, now_s, 1.0)

    def hole_inside(self, older: Span, newer: Span, now_s: float) -> None:
        """One message holds both, and lacks what is between them."""
        if older.last_id >= self.next_id and 0 <= older.last_id < newer.first_id - 1:
            times = (older.last_ms, newer.first_ms)
            self._open_hole(older.last_id + 1, newer.first_id - 1, times, now_s + self.limits.audit_s)

    def _ended(self, want: Want, now_s: float, wait_s: float) -> None:
        self._asked = None
        if not want.urgent:
            self._give_up(self.holes.retry(want.after.timestamp_ms, want.until_ms, now_s))
        elif want.suspected and want.fresh and self._suspected:
            self._due_s = math.inf  # a stall, or only slow: the feed decides
        elif self._asks_onward():
            self._due_s = max(self._due_s, now_s + min(wait_s * 2.0 ** min(self._tries, 16), 60.0))
            self._tries += 1

    def _asks_onward(self) -> bool:
        """Whether it wants what came after the last trade: to catch up, for proof, or for what others wait for."""
        if not self.last_ms:
            return False
        return self._held.trades > 0 or (self._doubt and (self._subscribed or not self.caught_up))

    def _onward(self, want: Want, part: Part, now_s: float) -> list[Out]:
        """History after the last trade goes out at once, then what it lets go."""
        firsts, lasts = part.rows["first_id"], part.rows["trade_id"]
        linked = len(lasts) > 0 and bool(firsts[0] >= 0)
        taken = list(runs(part, self.next_id, self.last_ms)) if linked else []
        anew = any(rows.anew for rows in taken)
        if linked and firsts[0] > self.next_id >= 0 and want.reach > self.next_id and not anew:
            return []  # an answer before this one was not needed at its time, now it is: it will be asked again
        # What the venue itself has no more may wait here: it goes first, since after this answer it would be too late.
        behind = linked and int(firsts[0]) > self.next_id >= 0 and not (anew or self._is_anew(self._held.first_trade()))
        early = self._held.before(int(firsts[0])) if behind else 0
        out = self._release(now_s, early) if early else []
        taken = list(runs(part, self.next_id, self.last_ms)) if early else taken
        before = (self.next_id, self.last_ms)
        if linked:
            fresh, oldest_ms = self._take_linked(taken, now_s)
        else:
            fresh, oldest_ms, self.last_ms = unlinked(part, self.last_ms)
        want.reach = max(UNKNOWN if anew else want.reach, int(lasts[-1]) + 1) if linked else want.reach
        if self._begun:  # before, it is no gap but the beginning
            want.fresh += fresh
            self._mending += fresh
        self.caught_up |= part.reached_end
        proof = part.reached_end and self._proves(want)
        told = bool(fresh) or (proof and self._doubt) or (not linked and len(lasts) > 0)
        if fresh and oldest_ms < self.proven_ms - self.limits.young_ms:
            # The pair's time has gone on without these: windows that are long closed need to be made anew, whole.
            told, want.untold = False, []
            ids = (before[0], self.next_id - 1) if linked and before[0] >= 0 and not anew else (-1, -1)
            self._open_hole(*ids, (before[1], max(self.last_ms, self.proven_ms)), now_s)
        else:
            part = want.since(part, told=told)
        if proof and not (want.suspected and want.fresh) and not self._gap():
            self._doubt = False
            self._seen(part.to_ms, now_s)
        self._dark = not proof if told else self._dark
        return out + ([Joined(part, proof)] if told else []) + self._settle(now_s)

    def _take_linked(self, taken: Sequence[Taken], now_s: float) -> tuple[int, int]:
        """Move on to the last of an answer's rows; returns how many trades were not known before, and since when."""
        fresh = 0
        for rows in taken:
            if rows.anew:
                self._cross(int(rows.times[0]), now_s, proven=rows.proven)
            next_id = self.next_id if self.next_id >= 0 else int(rows.firsts[0])
            for first, last, times in rows.gaps(next_id, self.last_ms):
                hole = self._open_hole(first, last, times, now_s)
                hole.empty, hole.due_s = 1, now_s + CONFIRM_S
            self._last_id, self.last_ms = int(rows.lasts[-1]), int(rows.times[-1])
            self.next_id = self._last_id + 1
            fresh += rows.count(next_id)
        return fresh, int(taken[0].times[0]) if taken else 0

    def _is_young(self, part: Part) -> bool:
        """Whether its trades can still be folded into their windows one by one, however short those are."""
        return part.from_ms >= max(self.last_ms, self.proven_ms) - self.limits.young_ms

    def _proves(self, want: Want) -> bool:
        """Whether the stream stood when it was asked, and has stood since."""
        return self._subscribed and want.subscribed == self._life

    # ---- what goes out, and when

    def _follows(self, one: Waiting) -> bool:
        """Whether a trade joins what is known."""
        if one.first_id < 0 or self._is_anew(one):
            return False
        return one.first_id <= self.next_id if self.next_id >= 0 else not self._doubt

    def _gap(self) -> bool:
        """Whether it is known that trades are missing before what waits."""
        one = self._held.first_trade()
        return one is not None and one.first_id >= 0 and self.next_id >= 0 and not self._follows(one)

    def _is_anew(self, one: Waiting | None) -> bool:
        return one is not None and is_anew(one, self.next_id, self.last_ms)

    def _cross(self, first_ms: int, now_s: float, *, proven: bool) -> None:
        """Ids begin anew: the old ones tell nothing any more, of what is missing of them only the time is known."""
        for hole in self.holes:
            hole.first_id = hole.last_id = -1
        if not proven:
            self._open_hole(-1, -1, (self.last_ms, first_ms), now_s)
        self.next_id, self.anew = UNKNOWN, True

    def _pass(self, one: Waiting, now_s: float, newest_ms: int = 0) -> None:
        """A trade goes out: what is missing before it is a hole from now on, and no doubt any more.

        Without ids what is missing may be as new as the newest trade that goes out with it.
        """
        if self._is_anew(one):
            self._cross(one.first_ms, now_s, proven=False)
        elif one.first_id >= 0 and one.last_id < self.next_id:
            self._note(self.holes.seen(one.first_id, one.last_id, one.last_ms))
            return
        elif one.first_id > self.next_id >= 0:
            self._open_hole(self.next_id, one.first_id - 1, (self.last_ms, one.first_ms), now_s)
        elif self._doubt and self.last_ms and (one.first_id < 0 or self.next_id < 0):
            self._open_hole(-1, -1, (self.last_ms - self.limits.overlap_ms, max(newest_ms, one.last_ms)), now_s)
        else:
            self._seen(one.first_ms, now_s)
        self._unseen = None
        self._last_id, self.last_ms = one.last_id, one.last_ms
        self.next_id = one.last_id + 1 if one.first_id >= 0 else UNKNOWN
        self._doubt &= one.life != self._life

    def _settle(self, now_s: float) -> list[Out]:
        """Let go of what waits for nothing any more; a quote goes with the trade after it, or when all is certain."""
        out: list[Out] = []
        quotes: list[Waiting] = []
        for one in self._held.in_order():
            if one.first_id == NO_TRADE:
                quotes.append(one)
                continue
            if not self._follows(one) and (one.first_id >= 0 or self._doubt):
                break
            out += self._proof(one) if quotes else []
            self._pass(one, now_s)
            out += [quote.message for quote in [*quotes, one]]
            quotes.clear()
        else:  # quotes before a trade that still waits wait with it: their time must not pass what is missing
            out += [quote.message for quote in takewhile(lambda quote: not (self._doubt and quote.doubted), quotes)]
        self._held.drop(sum(isinstance(one, Message) for one in out))
        if not self.held and not self._doubt:
            self._trust()
        return out

    def _proof(self, one: Waiting) -> list[Out]:
        """Quotes before it would move a time of which the stages know nothing yet; that it follows proves that time."""
        if not self._dark or one.first_id < 0 or not 0 < self.last_ms < one.first_ms:
            return []
        self._dark = False
        return [quiet(self.pair, self.last_ms, one.first_ms, one.message.recv_ns // NS_PER_MS)]

    def _seen(self, until_ms: int, now_s: float) -> None:
        """A blindness is over: windows that it closed too long ago to be mended one by one are asked for whole."""
        unseen, self._unseen = self._unseen, None
        if unseen is not None and until_ms - unseen[1] > self.limits.young_ms:
            self._open_hole(-1, -1, (unseen[0], until_ms), now_s)

    def _bounded(self, now_s: float) -> list[Out]:
        full = len(self._held) >= self.limits.held_max or self.limits.hold_s <= 0
        return self._release(now_s, len(self._held)) if full else []

    def _release(self, now_s: float, count: int) -> list[Out]:
        """It took too long: so many go out all the same; what is missing before them stays a hole, or in doubt."""
        out: list[Out] = []
        waiting = self._held.in_order()[:count]
        newest_ms = max((one.last_ms for one in waiting), default=0)
        for one in waiting:
            if self._doubt and one.doubted and not self._blind and self.last_ms:
                self._blind = True
                self._unseen = self._unseen or (self.last_ms, max(self.last_ms, self.proven_ms))
                out.append(Unseen(self._unseen[1]))
            if one.first_id != NO_TRADE:
                self._pass(one, now_s, newest_ms)
            out.append(one.message)
        self._held.drop(count)
        if not self.held:
            self._holding = self._doubt and not self._subscribed
        return out + self._settle(now_s)

    def _trust(self) -> None:
        self._doubt = self._suspected = self._holding = self._dark = False
        self.live = self._begun = True
        self._tries = 0
        self.counts.found += self._mending > 0
        self.counts.repaired += self._mending > 0
        self._count_mended()

    # ---- holes

    def _open_hole(self, first: int, last: int, times: tuple[int, int], due_s: float) -> Hole:
        hole = Hole(first, last, min(times), max(times), due_s)
        self.holes.add(hole)
        self.counts.found += 1
        self._count_mended()
        return hole

    def _count_mended(self) -> None:
        self.counts.trades, self._mending = self.counts.trades + self._mending, 0

    def _note(self, filled: Filled) -> None:
        self.counts.repaired += filled.closed
        self.counts.found += filled.split
        self.counts.trades += filled.trades
        self._give_up(filled.lost)

    def _give_up(self, holes: Sequence[Hole]) -> None:
        self.counts.lost += len(holes)
        self.given_up += holes
