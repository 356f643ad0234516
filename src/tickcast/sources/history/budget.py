"""How many requests a host allows: one budget a host, shared by everything in the process that asks it.

enter ─→ wait_s > 0 ─→ (sleep) ─→ wait_s == 0: go, its weight is spent

Urgent requests (a hole in a live stream) go before patient ones (backfill), which may use only three quarters of the
budget; after four urgent ones in a row a patient one has its turn, so that neither waits for ever. A host that says
no (429, 418) is not asked again before its time, whoever asks.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import NamedTuple

import msgspec

from tickcast.clock import NS_PER_MS, Clock
from tickcast.sources.history.dialects import Limit

PATIENT_SHARE = 0.75
TURN_AFTER = 4
PENALTY_S_FIRST, PENALTY_S_MAX = 1.0, 60.0
BAN_S, BAN_S_MAX = 120.0, 4 * 86_400.0
NOTES_MAX = 20
"""Notes that wait to be told; of more, the oldest are forgotten."""
_LEAST_WAIT_S = 0.01


class HostUse(NamedTuple):
    """How much of a host's budget is used, and why one waits."""

    host: str
    """The exchange and the host: `kraken api.kraken.com`."""
    used: float
    """Weight that was spent in the last `span_s` seconds."""
    allowed: float
    span_s: float
    blocked_s: float
    """The host wants to be left alone for so long (Retry-After, or a ban); 0: it does not."""
    waiting: int
    """Requests that wait for their turn."""


class Ticket:
    """A request that waits for its turn."""

    __slots__ = ("urgent", "weight")

    def __init__(self, weight: float, urgent: bool) -> None:
        self.weight, self.urgent = weight, urgent


class HostBudget:
    """One host's budget. It only counts: who asks does the waiting."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self.limit, self.clock = limit, clock
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._urgent: deque[Ticket] = deque()
        self._patient: deque[Ticket] = deque()
        self._urgent_run = 0
        self._blocked_until_s = float("-inf")
        self._penalty_s = 0.0

    def enter(self, weight: float, *, urgent: bool) -> Ticket:
        """Stand in line. A request heavier than the whole budget costs the whole budget."""
        ticket = Ticket(weight, urgent)
        (self._urgent if urgent else self._patient).append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Step out of the line; harmless for one that has gone."""
        line = self._urgent if ticket.urgent else self._patient
        if ticket in line:
            line.remove(ticket)

    def wait_s(self, ticket: Ticket) -> float:
        """How long to wait before asking again; 0: go now, the weight is spent."""
        now_s = self.clock.monotonic_s()
        self._forget(now_s)
        if now_s < self._blocked_until_s:
            return max(self._blocked_until_s - now_s, _LEAST_WAIT_S)
        turn = self._urgent_run >= TURN_AFTER and bool(self._patient)
        head = self._patient[0] if self._patient and (turn or not self._urgent) else self._urgent[0]
        wait = self._room_in_s(head, now_s, whole=turn or head.urgent)
        if ticket is not head:
            return max(wait, _LEAST_WAIT_S)
        if wait > 0.0:
            return max(wait, _LEAST_WAIT_S)
        self._grant(ticket, now_s)
        return 0.0

    def used_at_venue(self, weight: float) -> None:
        """What the venue counts for us, others behind the same address included: never less than it says."""
        now_s = self.clock.monotonic_s()
        self._forget(now_s)
        if weight > self._sum:
            self._spend(weight - self._sum, now_s)

    def set_limit(self, weight: float) -> None:
        """The venue said how much it allows."""
        if weight > 0:
            self.limit = self.limit._replace(weight=weight)

    def refused(self, *, ban: bool, retry_after_s: float = 0.0) -> float:
        """The host said no: nobody asks it before the time that is returned has passed."""
        self._penalty_s = min(max(self._penalty_s * 2, PENALTY_S_FIRST), PENALTY_S_MAX)
        usual_s = BAN_S if ban else self._penalty_s
        self.block(min(retry_after_s if retry_after_s > 0 else usual_s, BAN_S_MAX))
        return self.blocked_s

    def block(self, wait_s: float) -> None:
        """Nobody asks for so long; an earlier, longer word stands."""
        self._blocked_until_s = max(self._blocked_until_s, self.clock.monotonic_s() + wait_s)

    def worked(self) -> None:
        """An answer came: the next refusal counts as the first."""
        self._penalty_s = 0.0

    @property
    def blocked_s(self) -> float:
        """How long the host may not be asked at all."""
        return max(0.0, self._blocked_until_s - self.clock.monotonic_s())

    def use(self, host: str) -> HostUse:
        """How it stands."""
        self._forget(self.clock.monotonic_s())
        waiting = len(self._urgent) + len(self._patient)
        return HostUse(host, self._sum, self.limit.weight, self.limit.span_s, self.blocked_s, waiting)

    def _forget(self, now_s: float) -> None:
        while self._spent and self._spent[0][0] <= now_s - self.limit.span_s:
            self._sum -= self._spent.popleft()[1]
        if not self._spent:
            self._sum = 0.0

    def _room_in_s(self, ticket: Ticket, now_s: float, *, whole: bool) -> float:
        weight = min(ticket.weight, self.limit.weight)
        room = self.limit.weight if whole else max(weight, self.limit.weight * PATIENT_SHARE)
        over = self._sum + weight - room
        if over <= 1e-9:
            return 0.0
        for when_s, spent in self._spent:
            over -= spent
            if over <= 1e-9:
                return when_s + self.limit.span_s - now_s
        return self.limit.span_s

    def _grant(self, ticket: Ticket, now_s: float) -> None:
        self.leave(ticket)
        if not ticket.urgent:
            self._urgent_run = 0
        elif self._patient:
            self._urgent_run += 1
        self._spend(min(ticket.weight, self.limit.weight), now_s)

    def _spend(self, weight: float, now_s: float) -> None:
        self._spent.append((now_s, weight))
        self._sum += weight


class Budgets:
    """The budgets of all hosts of a process. With a path, bans outlive it: `{"binance api.binance.com": epoch ms}`."""

    def __init__(self, clock: Clock, bans_path: Path | None = None) -> None:
        self.clock, self.bans_path = clock, bans_path
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        self._hosts: dict[str, HostBudget] = {}
        self._bans_ms = self._load()

    def of(self, host: str, limit: Limit) -> HostBudget:
        """The one budget of a host."""
        if host not in self._hosts:
            self._hosts[host] = HostBudget(limit, self.clock)
            left_ms = self._bans_ms.get(host, 0) - self.clock.now_ns() // NS_PER_MS
            if left_ms > 0:
                self._hosts[host].block(min(left_ms / 1000, BAN_S_MAX))
        return self._hosts[host]

    def uses(self) -> tuple[HostUse, ...]:
        """How each host stands that was asked."""
        return tuple(budget.use(host) for host, budget in sorted(self._hosts.items()))

    def notes(self) -> list[str]:
        """What a reader should know of bans that could not be read or kept, a sentence each; told once."""
        told = list(self._notes)
        self._notes.clear()
        return told

    def banned(self, host: str, retry_after_s: float) -> float:
        """The host banned us: remembered on disk too; says for how long."""
        wait_s = self._hosts[host].refused(ban=True, retry_after_s=retry_after_s)
        now_ms = self.clock.now_ns() // NS_PER_MS
        self._bans_ms = {name: until for name, until in self._bans_ms.items() if until > now_ms}
        self._bans_ms[host] = now_ms + int(wait_s * 1000)
        self._save()
        return wait_s

    def _load(self) -> dict[str, int]:
        if self.bans_path is None or not self.bans_path.exists():
            return {}
        try:
            return msgspec.json.decode(self.bans_path.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.DecodeError) as exc:
            self._notes.append(f"{self.bans_path}: can not be read ({exc}), so earlier bans are not known")
            return {}

    def _save(self) -> None:
        if self.bans_path is None:
            return
        part = self.bans_path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(self._bans_ms))
            part.replace(self.bans_path)
        except OSError as exc:
            self._notes.append(f"{self.bans_path}: can not be written ({exc}), so a ban is forgotten with this process")
