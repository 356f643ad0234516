"""One socket from its dial to its end: hello, answers, pings, silence. It never comes back; a Connection dials anew.

    open ─→ dial ─→ hello, at the venue's pace ─→ answers ─→ stands ─→ pings, silence watched ─→ ends, once, and why

What it hears it hands to its owner at once, on the loop, in order. Sequence numbers are counted here, for they belong
to a socket.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from tickcast.clock import Clock
from tickcast.sources.sockets.contract import Client, Socket, SocketError
from tickcast.sources.sockets.failures import shown
from tickcast.sources.sockets.patience import Patience, within
from tickcast.sources.venues.contract import ANSWER, PROOF, REFUSED, SHUTDOWN, Heard, Venue

PINGS_KEPT = 64
"""Pings without an answer that are remembered."""
MANY = 8
"""So many messages read at once are worth a look at all of them."""
ALONE_MAX = 8
"""After so many of them had to be told by themselves, the rest is too."""
UNSENT_MAX = 1000
"""Messages that may wait for their turn; more are asked for only by a fault of ours."""
_OF_RATE = re.compile(r"rate|limit|too many|throttl|exceed", re.IGNORECASE)


class Refused(SocketError):
    """The venue spoke with us, and said no; it will say so again in a second."""


class Owner(Protocol):
    """Who is told."""

    def heard(self, line: Line, recv_ns: int, raw: bytes, heard: Heard) -> None:
        """A message."""
        ...

    def look(self, line: Line, raws: Sequence[bytes]) -> bool:
        """Messages that were read at once: whether `follow` may take some of them."""
        ...

    def follow(self, line: Line, recv_ns: int, raws: Sequence[bytes], at: int, reached: int) -> tuple[int, int]:
        """From one of them on, as many as simply go on; the first that must be told by itself, and the last number."""
        ...

    def proven(self, line: Line, sent_ns: int, recv_ns: int, heard: Heard | None) -> None:
        """A ping's round trip; with what the venue said, where the ping was in its own words."""
        ...

    def jumped(self, line: Line) -> None:
        """Messages of this socket are missing, all before the one that is told next."""
        ...

    def stands(self, line: Line) -> None:
        """The subscription is confirmed; what follows is live."""
        ...

    def refused(self, line: Line, pair: str, words: str) -> None:
        """The venue says no to something, and the line goes on."""
        ...

    def leaving(self, line: Line, why: str) -> None:
        """The line will end soon, and wants a successor."""
        ...

    def ended(self, line: Line, why: str) -> None:
        """Nothing more will be heard from it; once, and only for a line that has stood."""
        ...


class Line:
    """One socket of one venue for some pairs; a client's Listener."""

    def __init__(
        self,
        owner: Owner,
        venue: Venue,
        url: str,
        pairs: Sequence[str],
        *,
        client: Client,
        clock: Clock,
        first_ping: int = 0,
        age_max_s: float = 0.0,
    ) -> None:
        self._owner, self._venue, self._url, self._pairs = owner, venue, url, tuple(pairs)
        self._client, self._clock, self._rules, self._hear = client, clock, venue.rules, venue.hear
        self._loop = asyncio.get_running_loop()
        self._socket: Socket | None = None
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._answers = self._refusals = 0
        self._answers_wanted = venue.answers_wanted(self._pairs)
        self.stood_since_s = -1.0
        """When it began to stand (clock.monotonic_s); -1: not yet."""
        self.over = False
        self.gone = asyncio.Event()
        """Set when the socket is closed, or was never open."""
        self.signs = 0
        """How many messages and signs of life have come."""
        self.last_sign_s = -1.0
        """When the last one came (clock.monotonic_s)."""
        self._last_recv_ns = -1
        self._age_max_s = age_max_s
        self._sequence = -1
        self._outbox: deque[Callable[[], None]] = deque()
        self._send_timer: asyncio.TimerHandle | None = None
        self._send_next_s = 0.0
        self._ping_number = first_ping
        self._pings: dict[int, int] = {}
        """When each was sent; their numbers are long, so that an answer that carries one is no chance."""
        self._watching: asyncio.Task[None] | None = None
        self._left = False

    async def open(self) -> None:
        """Dial, say hello, and return when it stands; raises SocketError, and nothing is left open then."""
        hello = self._venue.hello(self._pairs)
        patience_s = self._rules.open_s + (len(hello) - 1) / self._rules.sends_per_s
        try:
            await within(patience_s, self._open(hello))
        except TimeoutError as exc:
            answers = f"gave {self._answers} of {self._answers_wanted} answers to the subscription"
            what = answers if self._socket is not None else "gave no answer"
            raise SocketError(shown(self._url), f"{what} within {patience_s:g} s", "it is tried again") from exc
        finally:
            if self.stood_since_s < 0:
                self.close("it was given up")

    async def _open(self, hello: Iterable[bytes]) -> None:
        limit = self._rules.message_bytes_max
        try:
            self._socket = await self._client.connect(
                self._url, self, message_bytes_max=limit, timeout_s=self._rules.open_s
            )
        except BaseException:
            self.gone.set()
            raise
        if self.over:
            self._socket.close()
        self.send(hello)
        self._stand_if_answered()
        await self._answered

    def _stand_if_answered(self) -> None:
        if self._answered.done() or self._answers + self._refusals < self._answers_wanted:
            return
        if self._refusals and not self._answers:
            self._answered.set_exception(self._refusal("every pair"))
            return
        self._answered.set_result(None)
        self.stood_since_s = self._clock.monotonic_s()
        self._watching = self._loop.create_task(self._watch())
        self._owner.stands(self)

    def _refusal(self, words: str) -> Refused:
        return Refused(shown(self._url), f"refused the subscription: {words or 'without a word'}", "it is tried again")

    def send(self, messages: Iterable[bytes]) -> None:
        """Send, as fast as the venue allows and no faster."""
        for raw in messages:
            self._put(partial(self._send, raw))

    def _send(self, raw: bytes) -> None:
        if self._socket is not None:
            self._socket.send(raw)

    def _put(self, deed: Callable[[], None]) -> None:
        if self.over:
            return
        if len(self._outbox) >= UNSENT_MAX:
            self.close("more was to be sent than the venue allows")
            return
        self._outbox.append(deed)
        if self._send_timer is None:
            self._flush()

    def _flush(self) -> None:
        """Send what is due; come back for the rest."""
        self._send_timer = None
        while self._outbox and not self.over:
            wait_s = self._send_next_s - self._loop.time()
            if wait_s > 0:
                self._send_timer = self._loop.call_later(wait_s, self._flush)
                return
            self._send_next_s = self._loop.time() + 1.0 / self._rules.sends_per_s
            self._outbox.popleft()()

    def message(self, recv_ns: int, raw: bytes) -> None:
        """What the socket says: one message."""
        if self.over:
            return
        self.signs += 1
        if recv_ns != self._last_recv_ns:  # many messages are read at once
            self._last_recv_ns, self.last_sign_s = recv_ns, self._clock.monotonic_s()
        heard = self._hear(raw)
        kind, sequence = heard.kind, heard.sequence
        if sequence > self._sequence:  # a smaller one is late, and told like any other
            if sequence != self._sequence + 1 and self._sequence >= 0:
                self._owner.jumped(self)
            self._sequence = sequence
        self._owner.heard(self, recv_ns, raw, heard)
        if kind >= PROOF and not self.over:
            self._told(kind, recv_ns, raw, heard)

    def messages(self, recv_ns: int, raws: Sequence[bytes]) -> None:
        """What the socket says: messages that were read at once; the same as one by one, only faster."""
        if self.over:
            return
        at, count, alone = 0, len(raws), 0
        if count >= MANY and self._owner.look(self, raws):
            while alone < ALONE_MAX and not self.over:
                stop, self._sequence = self._owner.follow(self, recv_ns, raws, at, self._sequence)
                if stop > at:
                    self._sign(recv_ns, stop - at)
                if stop == count:
                    return
                self.message(recv_ns, raws[stop])
                at, alone = stop + 1, alone + 1
        for raw in raws[at:]:
            self.message(recv_ns, raw)

    def _sign(self, recv_ns: int, count: int) -> None:
        self.signs += count
        if recv_ns != self._last_recv_ns:
            self._last_recv_ns, self.last_sign_s = recv_ns, self._clock.monotonic_s()

    def _told(self, kind: int, recv_ns: int, raw: bytes, heard: Heard) -> None:
        """What is meant for us and not for the market."""
        if kind == PROOF:
            number = next((number for number in self._pings if b"%d" % number in raw), -1)
            self._returned(number, recv_ns, heard)
        elif kind == ANSWER:
            self._answers += 1
            self._stand_if_answered()
        elif kind == REFUSED:
            self._refused(heard)
        elif kind == SHUTDOWN:
            self.leave("the venue is about to close it")

    def _refused(self, heard: Heard) -> None:
        """A pair that the venue does not have must not keep the others away; any other no is one to all of it."""
        of_rate = _OF_RATE.search(heard.detail) is not None
        if self.stood_since_s >= 0 or (heard.pair and not of_rate):
            self._owner.refused(self, heard.pair, heard.detail)
            self._refusals += 1
            self._stand_if_answered()
        elif not self._answered.done():
            self._answered.set_exception(self._refusal(heard.detail))

    def sign_of_life(self, recv_ns: int, pong: bytes | None) -> None:
        """What the socket says: a ping or a pong."""
        if self.over:
            return
        self.signs += 1
        self.last_sign_s = self._clock.monotonic_s()
        if pong is not None and pong.isdigit() and len(pong) < 20:
            self._returned(int(pong), recv_ns, None)

    def _returned(self, number: int, recv_ns: int, heard: Heard | None) -> None:
        """A ping came back; older ones will not any more, or too late to tell anything."""
        sent_ns = self._pings.get(number)
        if sent_ns is None:
            return
        self._pings = {later: at for later, at in self._pings.items() if later > number}
        self._owner.proven(self, sent_ns, recv_ns, heard)

    def _ping(self) -> None:
        """Ask for a sign of life, unless messages wait for their turn already."""
        if self._send_timer is None:
            self._ping_number += 1
            self._put(partial(self._send_ping, self._ping_number))

    def _send_ping(self, number: int) -> None:
        if self._socket is None:
            return
        while len(self._pings) >= PINGS_KEPT:
            del self._pings[next(iter(self._pings))]
        self._pings[number] = self._clock.now_ns()
        words = self._venue.ping(number)
        if words is None:
            self._socket.ping(b"%d" % number)
        else:
            self._socket.send(words)

    async def _watch(self) -> None:
        """Ping, and count silence; only time in which our loop ran is silence."""
        rules = self._rules
        silence = Patience(self._loop.time, max(0.005, min(0.25, rules.silence_s / 8, rules.ping_s)))
        ping_at_s, signs = self._loop.time(), self.signs
        while not self.over:
            if self._loop.time() >= ping_at_s:
                ping_at_s = self._loop.time() + rules.ping_s
                self._ping()
            await asyncio.sleep(silence.step_s)
            if self.signs != signs:
                signs = self.signs
                silence.again()
            elif silence.spent() >= rules.silence_s:
                self.close(f"it was silent for {rules.silence_s:g} s")
            if self._age_max_s and self._clock.monotonic_s() - self.stood_since_s >= self._age_max_s:
                self.leave(f"it is {self._age_max_s / 3600:.3g} hours old")

    def leave(self, why: str) -> None:
        """Ask for a successor, once."""
        if self.stood_since_s >= 0 and not self._left and not self.over:
            self._left = True
            self._owner.leaving(self, why)

    def closed(self, why: str) -> None:
        """What the socket says: it has ended."""
        self.gone.set()
        self._end(why)

    def close(self, why: str) -> None:
        """End it; the owner is told at once, the socket needs a moment."""
        if self._socket is not None and not self.over:
            self._socket.close()
        self._end(why)

    def _end(self, why: str) -> None:
        if self.over:
            return
        self.over = True
        self._outbox.clear()
        if self._send_timer is not None:
            self._send_timer.cancel()
        if self._watching is not None and self._watching is not asyncio.current_task():
            self._watching.cancel()
        if self.stood_since_s >= 0:
            self._owner.ended(self, why)
        elif not self._answered.done():
            self._answered.set_exception(SocketError(shown(self._url), why, "it is tried again"))
        if not self._answered.cancelled():
            self._answered.exception()  # nobody may be waiting for it any more
