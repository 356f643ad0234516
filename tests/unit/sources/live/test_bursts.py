"""A burst that loses messages: repairs come to an end."""

from __future__ import annotations

import pytest

from tests.unit.sources.live.floor import a_floor
from tickcast.sources.simulated.exchange.faults.kinds import Fault


@pytest.mark.parametrize("seed", [1, 2])
def test_all_that_a_burst_lost_is_repaired_while_the_stream_goes_on(seed: int) -> None:
    """Messages wait for a moment only, so nearly every hole is left open, and fetched behind the stream."""
    with a_floor(trades_per_second=30.0, hold_ms=20, seed=seed) as floor:
        floor.until(floor.all_live)
        floor.breaks_until_met(40, *floor.at_each_venue(Fault(kind="skip", chance=0.4)))
        opened = sum(one.gaps_found for one in floor.status())
        floor.until(floor.all_live)

        assert {} == floor.missing()
        assert opened > 6
        assert sum(one.gaps_found for one in floor.status()) == sum(one.gaps_repaired for one in floor.status())
