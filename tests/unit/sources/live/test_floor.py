"""The live feed on the local exchange: every venue's own words over real sockets, damaged and mended."""

from __future__ import annotations

import pytest

from tests.unit.sources.live.floor import PAIRS, a_floor
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.simulated.exchange.faults.kinds import Fault

pytestmark = pytest.mark.long

MESSAGES = 12
"""So many damaged messages of each venue are enough."""


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="skip", chance=0.3), Fault(kind="double", chance=0.5), Fault(kind="reorder", chance=0.3)],
    ids=lambda fault: fault.kind,
)
def test_lost_doubled_and_late_messages_change_nothing(fault: Fault) -> None:
    with a_floor(hold_ms=30_000) as floor:
        floor.until(floor.all_live)
        floor.breaks_until_met(MESSAGES, *floor.at_each_venue(fault))
        floor.calm()

        assert ({}, {}) == (floor.missing(), floor.out_of_order())
        assert fault.kind != "skip" or sum(one.gaps_repaired for one in floor.status()) > 0
        assert 0 == sum(one.gaps_lost for one in floor.status())


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="cut", how="reset"), Fault(kind="cut", how="close"), Fault(kind="shutdown", ms=2000)],
    ids=["reset", "closed", "shutdown"],
)
def test_a_line_that_ends_leaves_no_hole(fault: Fault) -> None:
    with a_floor() as floor:
        floor.until(floor.all_live)
        floor.breaks_until_met(1, *floor.at_each_venue(fault))
        floor.until(lambda: all(one.reconnects + one.rotations for one in floor.feed.status().connections))
        floor.calm()

        assert ({}, {}) == (floor.missing(), floor.out_of_order())
        rotated = {one.exchange: one.rotations for one in floor.feed.status().connections}
        assert fault.kind != "shutdown" or 1 == rotated["binance"]


@pytest.mark.parametrize("venue", PAIRS)
def test_a_stall_of_one_pair_is_seen_filled_and_ended(venue: str) -> None:
    stalled, other = PAIRS[venue]
    with a_floor(pairs={venue: PAIRS[venue]}) as floor:
        floor.until(floor.all_live)
        floor.until(floor.knows_paces)
        floor.inject(Fault(kind="stall", venue=venue, pair=stalled, channel="trades"))
        floor.until(lambda: floor.of(venue, stalled).stalls > 0)
        assert "live" == floor.of(venue, other).state
        floor.calm()

        assert ({}, {}) == (floor.missing(), floor.out_of_order())
        assert (0, 0) == (floor.of(venue, other).stalls, floor.feed.status().connections[0].reconnects)


def test_at_the_start_history_is_joined_to_the_stream_without_a_seam() -> None:
    with a_floor() as floor:
        known: dict[str, dict[str, KnownTrades]] = {}
        for venue, pairs in PAIRS.items():
            truth = floor.exchange.truth(venue, pairs[0], aggregates=venue == "binance")
            first, last, ms = (truth[name].tolist()[-300:] for name in ("first_id", "trade_id", "timestamp_ms"))
            known[venue] = {
                pairs[0]: KnownTrades(
                    ((first[5], last[20], ms[5], ms[20]), (first[30], last[60], ms[30], ms[60])), ms[60]
                )
            }
        floor.knows(known)
        floor.until(floor.all_live)
        floor.until(lambda: all(floor.of(venue, pairs[0]).last_message_ms for venue, pairs in PAIRS.items()))

        for venue, pairs in PAIRS.items():
            spans = known[venue][pairs[0]].spans
            wanted = {
                one for one in floor.truth(venue, pairs[0]) if spans[0][0] <= one <= max(floor.ids(venue, pairs[0]))
            }
            have = {one for span in spans for one in range(span[0], span[1] + 1)}
            assert wanted == have | {one for one in floor.ids(venue, pairs[0]) if one >= spans[0][0]}
            assert (1, 1) == (floor.of(venue, pairs[0]).gaps_found, floor.of(venue, pairs[0]).gaps_repaired)


@pytest.mark.parametrize("client", ["picows", "aiohttp"])
def test_whatever_the_client_proof_of_time_stays_behind_the_venue_and_goes_on(client: str) -> None:
    with a_floor(client=client) as floor:
        floor.until(floor.all_live)
        floor.until(lambda: all(len(floor.alive(venue, pair)) >= 3 for venue in PAIRS for pair in PAIRS[venue]))

        now_ms = floor.exchange.world.now_us() // 1000
        for venue, pairs in PAIRS.items():
            times = floor.alive(venue, pairs[0])
            assert now_ms - 60_000 < times[0] <= times[-1] <= now_ms
