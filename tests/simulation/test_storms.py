"""Whatever the venues' sockets and REST do, what is stored in the end is what was traded, and it is proven.

Each fault alone, on the three venues at once, one after the other in one run; then storms of many at once from a seed.
Longer and stranger ones are looked for by hand (`hunt.py`, which also keeps what they found).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from statistics import median

import pytest

from tests.simulation.weather import BUSY, QUIET, Voyage
from tickcast.runners import health
from tickcast.runners.system import Summary
from tickcast.sources.live import holes, joiner
from tickcast.sources.simulated.exchange.faults.kinds import KINDS, Fault, lines_of
from tickcast.sources.simulated.exchange.faults.storms import storm
from tickcast.sources.simulated.exchange.names import spelling

ELSEWHERE = {"tls", "checksum", "anew"}
"""Handshakes are broken in tests of sockets, files of whole days in tests of history; new ids have a test below."""
SECONDS = 1.5
STORM_S = 30.0
KEPT = (7,)
"""Seeds of storms to sail through each time."""


def each_alone() -> list[list[Fault]]:
    return [
        [Fault(kind=kind, seconds=0.0 if about.once else SECONDS)]
        for kind, about in KINDS.items()
        if kind not in ELSEWHERE
    ]


@pytest.mark.parametrize("half", [0, 1], ids=("these", "those"))
def test_after_each_fault_alone_every_venue_is_whole_again(half: int, tmp_path: Path) -> None:
    summary = Voyage(tmp_path / "data").sail(*each_alone()[half::2])

    assert {"binance", "coinbase", "kraken"} == {one.exchange for one in summary.live.connections}
    assert all(one.reconnects > 0 for one in summary.live.connections)
    assert all(pair.gaps_lost == 0 == pair.gaps_open for pair in summary.live.pairs)


@pytest.mark.parametrize("seed", KEPT)
def test_after_a_storm_everything_is_whole_again(seed: int, tmp_path: Path) -> None:
    sail(seed, tmp_path)


def test_what_the_venue_forgot_while_it_was_away_stays_partial_and_everything_else_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    live ──|  away, and nothing is kept for so long |── live        the beginning of that time is nobody's any more
           ╌╌╌ lost ╌╌╌ fetched ──────────────────────
    """
    for room in (holes, joiner):
        monkeypatch.setattr(room, "CONFIRM_S", 1.0)
    monkeypatch.setattr(holes, "NOTHING_TRIES", 2)
    voyage = Voyage(tmp_path / "data", seed=3, venues=("binance",), speed=30.0, archive_hours=0.12)
    summary = voyage.sail([Fault(kind="maintenance", seconds=18.0)])

    for pair in summary.live.pairs:
        lost = voyage.lost[pair.exchange, pair.pair]
        assert (len(lost) > 0, 0) == (pair.gaps_lost > 0, pair.gaps_open), f"{pair} {lost}"
        assert lost or spelling(QUIET).of(pair.exchange) == pair.pair, f"{pair} lost nothing"


class Watched(Voyage):
    """Notes how far each pair's time stood behind the market's, while a weather lasts."""

    def look(self) -> None:
        market_ms = self.market_ms()
        self.seen.append({key: market_ms - low_ms for key, low_ms in self.system.shown.lows.items()})

    @cached_property
    def seen(self) -> list[dict[str, int]]:
        return []


def test_while_connections_are_dead_and_history_does_not_answer_no_candle_closes(tmp_path: Path) -> None:
    """Half-open: nothing says that they are dead. Thirty seconds of the market later no pair's time has gone on."""
    voyage = Watched(tmp_path / "data", speed=10.0)
    voyage.sail([Fault(kind="half_open"), Fault(kind="refuse", seconds=4.0), Fault(kind="status", seconds=4.0)])

    behind_ms = min(voyage.seen[-1].values())
    assert behind_ms > 0.8 * 4_000 * voyage.speed, voyage.seen[-1]


def test_in_calm_weather_a_quiet_pair_closes_its_candles_on_time(tmp_path: Path) -> None:
    """Within seconds of the venue's own clock, whether it trades or not: where a slow machine lets the pair that always
    trades come later, it is no later than that."""
    voyage = Watched(tmp_path / "data", speed=1.0)
    voyage.sail([Fault(kind="checksum", seconds=8.0)])  # nobody asks for files of whole days

    usual_ms = {key: median(seen[key] for seen in voyage.seen) for key in voyage.seen[0]}
    for venue in voyage.venues:
        quiet, busy = (usual_ms[f"{venue}:{spelling(name).of(venue)}"] for name in (QUIET, BUSY))
        assert quiet < max(4_000, busy + 2_000), usual_ms


class Noting(Voyage):
    """Keeps what the system says while a weather lasts."""

    def look(self) -> None:
        self.told.update(self.system.shown.notes)

    def _whole_again(self, since_ms: int) -> bool:
        self.look()
        return super()._whole_again(since_ms)

    @cached_property
    def told(self) -> set[str]:
        return set()


def test_pairs_whose_ids_begin_anew_are_whole_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delisted for half a minute, on the three venues at once; then ids begin with 1, and history tells all of it."""
    monkeypatch.setattr(health, "NOTES_KEPT", 10_000)  # on a slow machine many come between two looks
    voyage = Noting(tmp_path / "data", seed=5, speed=20.0)
    voyage.sail([Fault(kind="anew"), Fault(kind="checksum", seconds=6.0)])  # nobody asks for files of whole days

    notes = " ".join(voyage.told)
    for venue, pairs in voyage.pairs.items():
        for pair in pairs[:2]:
            assert f"{venue} {pair}: its trade ids began anew" in notes, notes


def sail(seed: int, root: Path) -> Summary:
    faults = storm(seed, STORM_S)
    print(f"storm {seed}: {lines_of(faults).decode()}")
    return Voyage(root / "data", seed=seed).sail(faults)
