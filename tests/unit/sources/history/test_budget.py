"""The budget of a host: never over its limit, urgent first, nobody for ever last, and bans that outlive us."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.clock import ManualClock
from tickcast.sources.history.budget import Budgets, HostBudget, Ticket
from tickcast.sources.history.dialects import Limit

LIMITS = st.sampled_from([Limit(6000.0, 61.0), Limit(10.0, 1.1), Limit(3.0, 3.3), Limit(1.0, 1.0)])
STEPS = st.lists(
    st.tuples(st.floats(0.0, 0.4), st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=80
)


class Host:
    """A budget, its line, and what was granted when."""

    def __init__(self, limit: Limit) -> None:
        self.clock = ManualClock()
        self.budget = HostBudget(limit, self.clock)
        self.line: list[tuple[Ticket, float]] = []
        self.granted: list[tuple[float, Ticket]] = []
        self.waits: list[float] = []

    def enter(self, weight: float, urgent: bool) -> Ticket:
        ticket = self.budget.enter(weight, urgent=urgent)
        self.line.append((ticket, self.clock.monotonic_s()))
        return ticket

    def serve(self) -> float:
        """All whose turn it is go; how long the others wait at least."""
        while True:
            waits = {}
            for ticket, since_s in list(self.line):
                wait_s = self.budget.wait_s(ticket)
                if wait_s == 0.0:
                    self.granted.append((self.clock.monotonic_s(), ticket))
                    self.waits.append(self.clock.monotonic_s() - since_s)
                    self.line.remove((ticket, since_s))
                    break
                waits[ticket] = wait_s
            else:
                return min(waits.values(), default=0.0)


@settings(max_examples=150, deadline=None)
@given(limit=LIMITS, steps=STEPS)
def test_no_span_of_time_has_more_than_the_limit(limit: Limit, steps: list[tuple[float, int, int, int]]) -> None:
    host = Host(limit)
    for wait_s, urgent, patient, weight in steps:
        host.clock.sleep(wait_s * limit.span_s)
        for _ in range(urgent):
            host.enter(weight, True)
        for _ in range(patient):
            host.enter(weight, False)
        host.serve()
    while host.line:
        host.clock.sleep(max(host.serve(), 0.001))

    for at, (end_s, _) in enumerate(host.granted):
        inside = [
            min(ticket.weight, limit.weight)
            for when_s, ticket in host.granted[: at + 1]
            if when_s > end_s - limit.span_s + 1e-6
        ]
        assert sum(inside) <= limit.weight + 1e-6


@settings(max_examples=60, deadline=None)
@given(limit=LIMITS, weight=st.integers(1, 40))
def test_a_patient_request_is_served_however_many_urgent_ones_come(limit: Limit, weight: int) -> None:
    host = Host(limit)
    patient = host.enter(weight, False)
    asked = 0
    while (patient, 0.0) in host.line:
        host.enter(weight, True)
        asked += 1
        host.serve()
        host.clock.sleep(limit.span_s / 10)
        assert asked < 300

    assert len([ticket for _, ticket in host.granted if ticket.urgent]) <= 5 + limit.weight * 0.75 / weight


def test_urgent_requests_go_first_and_patient_ones_leave_them_a_share() -> None:
    host = Host(Limit(10.0, 1.0))
    for _ in range(20):
        host.enter(1.0, False)
    host.serve()
    late = [host.enter(1.0, True) for _ in range(2)]
    host.serve()

    assert [False] * 7 + [True] * 2 == [ticket.urgent for _, ticket in host.granted]
    assert late == [ticket for _, ticket in host.granted[-2:]]
    assert {0.0} == {when_s for when_s, _ in host.granted}


def test_who_leaves_the_line_holds_up_nobody() -> None:
    host = Host(Limit(1.0, 1.0))
    first, second = host.budget.enter(1.0, urgent=True), host.budget.enter(1.0, urgent=True)

    host.budget.leave(first)

    assert 0.0 == host.budget.wait_s(second)
    host.budget.leave(first)
    host.budget.leave(second)


def test_what_the_venue_counts_is_never_less_than_we_do() -> None:
    host = Host(Limit(100.0, 60.0))
    host.budget.used_at_venue(99.0)  # others behind the same address

    ticket = host.enter(4.0, True)

    assert 60.0 == host.serve()
    host.clock.sleep(60.0)
    host.serve()
    assert ticket is host.granted[0][1]


def test_the_limit_that_the_venue_names_counts() -> None:
    host = Host(Limit(6000.0, 61.0))
    host.budget.set_limit(8.0)
    for _ in range(3):
        host.enter(4.0, True)

    host.serve()

    assert 2 == len(host.granted)


def test_after_a_refusal_nobody_asks_before_its_time() -> None:
    host = Host(Limit(10.0, 1.0))
    assert 7.0 == host.budget.refused(ban=False, retry_after_s=7.0)

    host.enter(1.0, True)
    host.enter(1.0, False)

    assert 7.0 == host.serve()
    host.clock.sleep(6.9)
    host.serve()
    assert [] == host.granted
    host.clock.sleep(0.2)
    host.serve()
    assert 2 == len(host.granted)


def test_refusals_without_a_time_double_the_wait_until_an_answer_comes() -> None:
    host = Host(Limit(10.0, 1.0))
    waits = []
    for _ in range(9):
        waits.append(host.budget.refused(ban=False))
        host.clock.sleep(waits[-1])
    host.budget.worked()

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] == waits
    assert 1.0 == host.budget.refused(ban=False)


def test_a_ban_is_kept_over_a_restart(tmp_path: Path) -> None:
    path, limit = tmp_path / "bans.json", Limit(10.0, 1.0)
    clock = ManualClock(start_ns=1_736_208_000_000_000_000)
    budgets = Budgets(clock, path)
    budgets.of("binance api.binance.com", limit)
    assert 300.0 == budgets.banned("binance api.binance.com", 300.0)

    later = ManualClock(start_ns=1_736_208_100_000_000_000)
    again = Budgets(later, path)

    assert 200.0 == again.of("binance api.binance.com", limit).blocked_s
    assert 0.0 == again.of("kraken api.kraken.com", limit).blocked_s
    later.sleep(201.0)
    ticket = again.of("binance api.binance.com", limit).enter(1.0, urgent=True)
    assert 0.0 == again.of("binance api.binance.com", limit).wait_s(ticket)


def test_a_ban_without_a_time_lasts_the_least_that_the_venue_is_known_for() -> None:
    budgets = Budgets(ManualClock())
    budgets.of("binance x", Limit(10.0, 1.0))

    assert 120.0 == budgets.banned("binance x", 0.0)


def test_a_broken_file_of_bans_is_said_and_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "bans.json").write_bytes(b"{nonsense")

    assert "earlier bans are not known" in Budgets(ManualClock(), tmp_path / "bans.json").notes()[0]


def test_a_host_has_one_budget_whoever_asks() -> None:
    budgets = Budgets(ManualClock())

    assert budgets.of("a", Limit(1.0, 1.0)) is budgets.of("a", Limit(1.0, 1.0))
