"""One logical connection to a venue: dialled again and again, replaced before it ends where that is known, watched.

    connecting ─→ open ─→ waiting ─→ connecting ...                    closed
                  open ─→ (a successor is dialled, both deliver) ─→ open

A connection that is `open` hears all that the venue says of its pairs. Whoever sees it leave `open` and come back knows
that something may be missing; a planned replacement does not leave it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from tickcast.clock import Clock
from tickcast.sources.live.contract import ConnectionStatus
from tickcast.sources.sockets.contract import Client, SocketError
from tickcast.sources.sockets.dial import SLICE_S, STEADY_S, Backoff, DialBudget
from tickcast.sources.sockets.line import Line, Refused
from tickcast.sources.venues.contract import Heard, Venue

OVERLAP_S = 1.0
"""How long a line is still heard after its successor stands: what was on its way comes in."""
HOLD_S = 60.0
"""How long nobody dials after a ban that does not say how long it is."""
CLOSE_S = 1.5
"""How long closing may take, whatever hangs."""
AGE_CHANCE = 0.1
"""A line is replaced up to a tenth of its age early, so that not all of them are at once."""
RATE_S = 5.0
"""Over about how long the rate of messages is measured."""
CONNECTING, OPEN, WAITING, CLOSED = "connecting", "open", "waiting", "closed"
REPLACED, UNREPLACED, REFUSED = "replaced", "unreplaced", "refused"
"""Told like states, while the connection stays open: a successor stands; none could be had; the venue said no."""
_LONG = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.IM_A_TEAPOT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
)
"""Refusals that do not pass in a second."""
_FOR_ALL = (HTTPStatus.IM_A_TEAPOT, HTTPStatus.TOO_MANY_REQUESTS)
"""Refusals that mean our address: no connection to the venue may dial meanwhile."""


class Swift(Protocol):
    """Who carries many messages on at once, and leaves what is unusual among them to be heard by itself."""

    def look(self, raws: Sequence[bytes]) -> bool:
        """These were read at once: whether `follow` is of use."""
        ...

    def follow(self, recv_ns: int, raws: Sequence[bytes], at: int, reached: int) -> tuple[int, int]:
        """Carry on from that one as far as all is usual: the first that is not, and the last running number.

        `reached` is the running number of the message before, -1 where there was none or the venue has none.
        """
        ...


class Connection:
    """One logical line for some pairs of one venue, for as long as `run` runs."""

    def __init__(
        self,
        number: int,
        venue: Venue,
        url: str,
        pairs: Sequence[str],
        *,
        client: Client,
        dials: DialBudget,
        clock: Clock,
        chance: random.Random,
        hear: Callable[[Connection, int, bytes, Heard], None],
        proven: Callable[[Connection, int, int, Heard | None], None],
        changed: Callable[[Connection, str, str], None],
        jumped: Callable[[Connection], None],
        swift: Swift | None = None,
    ) -> None:
        """`hear` gets each message with what it is to the feed; `proven` a ping's way: when it was sent (ns), when it
        came back, and what the venue said; `changed` a state, or what happened while it stays open, and why; `jumped`
        says that messages are missing, all of them before the one that is heard next; `swift` takes many at once.
        """
        self.number, self.venue, self.url, self.pairs = number, venue, url, tuple(pairs)
        self._client, self._dials, self._clock, self._chance = client, dials, clock, chance
        self._hear, self._proven, self._changed, self._jumped = hear, proven, changed, jumped
        self._swift = swift
        self._backoff = Backoff(chance)
        self.state = WAITING
        self._line: Line | None = None
        self._lines: set[Line] = set()
        self._wake = asyncio.Event()
        self._replace = ""
        self._next_dial_s = clock.monotonic_s()
        self._ended = False
        self._work: asyncio.Task[None] | None = None
        self._fault: BaseException | None = None
        self._dialling = False
        self._retired: Line | None = None
        """A line that is still heard though its successor stands."""
        self.messages = self.reconnects = self.rotations = 0
        self.why = ""
        self._opened = False
        self._last_sign_s = -1.0
        self._rate = _Rate()

    async def run(self) -> None:
        """Stay connected until `close`; raises only what those who listen raised."""
        if self._ended:
            return
        self._work = asyncio.ensure_future(self._again_and_again())
        try:
            await asyncio.wait({self._work})
        finally:
            await self.close()
        if self._fault is not None:
            raise self._fault
        if not self._work.cancelled():
            self._work.result()

    async def close(self) -> None:
        """Let go of all lines, within about a second and a half; twice is harmless."""
        first, self._ended = not self._ended, True
        lines = list(self._lines)
        for line in lines:
            line.close("closed by us")
        if self._work is not None:
            self._work.cancel()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(line.gone.wait()) for line in lines]
        if self._work is not None:
            waits.append(self._work)
        if waits:
            _, late = await asyncio.wait(waits, timeout=CLOSE_S)
            for wait in late:
                wait.cancel()
        if first:
            self._be(CLOSED, "closed by us")

    def restart(self, why: str) -> None:
        """Drop the line and dial anew."""
        if self._line is not None:
            self._line.close(why)

    def resubscribe(self, pairs: Sequence[str]) -> bool:
        """Subscribe some of its pairs anew inside the living line; False: there is none, and dialling will do it."""
        strangers = set(pairs) - set(self.pairs)
        if strangers:
            raise ValueError(f"{sorted(strangers)} are not this connection's")
        if self._line is None:
            return False
        self._line.send([*self.venue.goodbye(pairs), *self.venue.hello(pairs)])
        return True

    def status(self) -> ConnectionStatus:
        """What there is to say of it now; the offset is measured by others."""
        now_s = self._clock.monotonic_s()
        return ConnectionStatus(
            exchange=self.venue.name,
            number=self.number,
            state=self.state,
            pairs=self.pairs,
            url=self.url,
            client=self._client.name,
            messages=self.messages,
            rate=self._rate.lately(now_s, self.messages),
            age_s=now_s - last_s if (last_s := self._last_heard_s()) >= 0 else -1.0,
            reconnects=self.reconnects,
            rotations=self.rotations,
            why=self.why,
            next_dial_s=max(0.0, self._next_dial_s - now_s) if self.state == WAITING else 0.0,
        )

    def _last_heard_s(self) -> float:
        return max(self._last_sign_s, self._line.last_sign_s if self._line is not None else -1.0)

    async def _again_and_again(self) -> None:
        while True:
            if self._line is not None and not self._replace:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._pause()
            self._dialling = True
            try:
                await self._dial()
            finally:
                self._dialling = False

    async def _pause(self) -> None:
        """Until one may dial: our own backoff first, then the venue's limit, which is taken when it is used."""
        while (wait_s := self._next_dial_s - self._clock.monotonic_s()) > 0:
            await asyncio.sleep(min(wait_s, SLICE_S))
        while (wait_s := self._dials.take_s()) > 0:
            self._next_dial_s = self._clock.monotonic_s() + wait_s
            await asyncio.sleep(wait_s)

    async def _dial(self) -> None:
        if self._line is None:
            self._be(CONNECTING, self.why)
        rules = self.venue.rules
        line = Line(
            self,
            self.venue,
            self.url,
            self.pairs,
            client=self._client,
            clock=self._clock,
            first_ping=self._chance.randrange(10**8, 9 * 10**8),
            age_max_s=rules.max_age_s * (1.0 - AGE_CHANCE * self._chance.random()),
        )
        self._lines = {known for known in self._lines if not known.gone.is_set()} | {line}
        try:
            await line.open()
        except SocketError as error:
            self._failed(error)

    def _failed(self, error: SocketError) -> None:
        """Wait, for long where the answer was no; a ban is for all connections from here."""
        long = isinstance(error, Refused) or error.status in _LONG
        if error.retry_after_s or error.status in _FOR_ALL:
            self._dials.hold(error.retry_after_s or HOLD_S)
        self._wait(self._backoff.next_s(error.retry_after_s, long))
        self.why = f"{error.what}; {error.remedy}"
        if self._line is None:
            self._be(WAITING, self.why)
        else:
            self._tell(self._changed, self, UNREPLACED, self.why)

    def _wait(self, seconds: float) -> None:
        self._next_dial_s = self._clock.monotonic_s() + seconds

    def _be(self, state: str, why: str) -> None:
        self.state = state
        self._tell(self._changed, self, state, why)

    def _tell(self, callback: Callable[..., None], *what: object) -> None:
        """A fault of whoever listens ends the connection and comes out of `run`."""
        try:
            callback(*what)
        except Exception as exc:  # noqa: BLE001 - it is raised where somebody waits for it
            self._fault = self._fault or exc
            if self._work is not None:
                self._work.cancel()

    def _calm(self, line: Line) -> None:
        """What has stood for a while has earned a new beginning."""
        if self._clock.monotonic_s() - line.stood_since_s >= STEADY_S:
            self._backoff.reset()

    def heard(self, line: Line, recv_ns: int, raw: bytes, heard: Heard) -> None:  # noqa: ARG002
        """A line's message."""
        self.messages += 1
        try:
            self._hear(self, recv_ns, raw, heard)
        except Exception as exc:  # noqa: BLE001 - it is raised where somebody waits for it
            self._tell(_raise, exc)

    def look(self, line: Line, raws: Sequence[bytes]) -> bool:  # noqa: ARG002
        """A line's messages that were read at once: whether `follow` is of use."""
        return self._swift is not None and self._swift.look(raws)

    def follow(
        self,
        line: Line,  # noqa: ARG002
        recv_ns: int,
        raws: Sequence[bytes],
        at: int,
        reached: int,
    ) -> tuple[int, int]:
        """As `heard`, for as many of them as are usual: the first that is not, and the last running number."""
        stop = at
        if self._swift is not None:
            try:
                stop, reached = self._swift.follow(recv_ns, raws, at, reached)
            except Exception as exc:  # noqa: BLE001 - it is raised where somebody waits for it
                self._tell(_raise, exc)
        self.messages += stop - at
        return stop, reached

    def proven(self, line: Line, sent_ns: int, recv_ns: int, heard: Heard | None) -> None:
        """A ping came back. While two lines are heard only the older one proves: it may still bring something."""
        if self._retired is None or line is self._retired:
            self._tell(self._proven, self, sent_ns, recv_ns, heard)

    def jumped(self, line: Line) -> None:  # noqa: ARG002
        """A line lost messages."""
        self._tell(self._jumped, self)

    def refused(self, line: Line, pair: str, words: str) -> None:  # noqa: ARG002
        """A line goes on, without what was refused."""
        self._tell(self._changed, self, REFUSED, f"{pair}: {words}" if pair else words)

    def stands(self, line: Line) -> None:
        """A line stands: it is the one now, and an older one may go when what was on its way has come."""
        self._dialling = False
        old, self._line = self._line, line
        why, self._replace = self._replace, ""
        if old is None:
            self.reconnects += self._opened
            self._opened = True
            self._be(OPEN, "")
            return
        self.rotations += 1
        self._retired = old
        asyncio.get_running_loop().call_later(OVERLAP_S, old.close, "its successor stands")
        self._tell(self._changed, self, REPLACED, why)

    def leaving(self, line: Line, why: str) -> None:
        """A line wants a successor."""
        if line is self._line:
            self._calm(line)
            self._wait(self._backoff.next_s())
            self._replace = self.why = why
            self._wake.set()

    def ended(self, line: Line, why: str) -> None:
        """A line has ended; unless its successor stands, nothing is heard until another does."""
        if line is self._retired:
            self._retired = None
        if line is not self._line or self._ended:
            return
        self._line, self._replace, self.why, self._last_sign_s = None, "", why, line.last_sign_s
        self._calm(line)
        if not self._dialling:
            self._wait(self._backoff.next_s())
        self._be(CONNECTING if self._dialling else WAITING, why)
        self._wake.set()


def _raise(exc: Exception) -> None:
    raise exc


class _Rate:
    """Messages a second, lately; whoever asks often sees it smoothed over some seconds."""

    def __init__(self) -> None:
        self._asked_s, self._messages, self._rate = -math.inf, 0, 0.0

    def lately(self, now_s: float, messages: int) -> float:
        passed_s = now_s - self._asked_s
        if passed_s >= 0.5:
            weight = -math.expm1(-passed_s / RATE_S)
            self._rate += weight * ((messages - self._messages) / passed_s - self._rate)
            self._asked_s, self._messages = now_s, messages
        return self._rate
