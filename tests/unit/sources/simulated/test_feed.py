"""The feed: when messages come, and how it goes on after it was killed anywhere."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.clock import ManualClock
from tickcast.errors import ConfigError
from tickcast.sources.contract import ALIVE, Block, Feed, Message
from tickcast.sources.mapping import map_block
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.capture import write_capture
from tickcast.sources.simulated.dialects import DIALECTS
from tickcast.sources.simulated.feed import MESSAGES_MAX, SimulatedFeed, messages, receive_times
from tickcast.sources.simulated.settings import MarketSettings, pairs_named

START_MS = 1_735_689_600_000
MINUTE_NS = 60_000_000_000
PAIRS = {
    "binance": pairs_named(["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
    "coinbase": pairs_named(["BTC-USD", "ETH-USD"]),
    "kraken": pairs_named(["BTC/USD", "ETH/USD"]),
}


def market(exchange: str = "binance") -> MarketSettings:
    return MarketSettings(seed=6, start_ms=START_MS, pairs=PAIRS[exchange])


def drain(feed: Feed) -> list[Message]:
    told: list[Message] = []
    while not feed.ended:
        told += feed.poll(0.0)
    return told


@pytest.fixture(scope="module", params=sorted(DIALECTS))
def exchange(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def whole(exchange: str) -> list[Message]:
    """Five minutes and a half of a market."""
    return list(messages(market(exchange), START_MS + 330_000, exchange))


# what comes


def test_receive_times_rise_strictly_and_follow_the_venue_closely(exchange: str, whole: list[Message]) -> None:
    recv_ns = np.array([message.recv_ns for message in whole])

    assert (np.diff(recv_ns) > 0).all()
    assert recv_ns[0] > START_MS * 1_000_000
    assert {message.exchange for message in whole} == {exchange}


def test_proof_of_life_comes_every_second_after_all_that_the_second_brought(
    exchange: str, whole: list[Message]
) -> None:
    """
    |--trade--quote--| alive |--trade--...
    """
    lines = b"".join(b'{"r":%d,"x":"%b","m":%b}\n' % (m.recv_ns, exchange.encode(), m.raw) for m in whole)
    rows = map_block(mapper_for(exchange), Block(exchange, lines))
    alive = rows.columns["kind"] == ALIVE
    times_ms = rows.columns["timestamp_ms"]
    ours = [message for message in whole if message.raw.startswith(b'{"tickcast":"alive"')]

    assert rows.rejects == []
    assert len(ours) == 330
    reached_ms = np.maximum.accumulate(np.where(alive, times_ms, 0))
    assert (times_ms[~alive & (times_ms > 0)] >= reached_ms[~alive & (times_ms > 0)]).all()
    for second, message in enumerate(ours, 1):
        assert message.raw == b'{"tickcast":"alive","venue_ms":%d}' % (START_MS + 1000 * second)
        assert message.recv_ns == (START_MS + 1000 * second) * 1_000_000 + 5_000_000


def test_what_comes_right_after_proof_of_life_is_received_after_it() -> None:
    """
    second  |0 ............ 1 s|       of a minute
    venue   |trade trade       |trade
    recv    5 ms after         alive   right after alive, though its own way is shorter
    """
    ends_us = START_MS * 1000 + 1_000_000 * np.arange(1, 61)
    first_us, next_us = START_MS * 1000, START_MS * 1000 + 1_000_001
    times_us = np.sort(np.r_[first_us, first_us, ends_us, next_us])
    recv_ns = receive_times(times_us, ends_us, START_MS)

    assert (recv_ns[:2] - START_MS * 1_000_000).tolist() == [5_000_001, 5_000_002]
    assert (recv_ns[2:4] - START_MS * 1_000_000).tolist() == [1_005_000_000, 1_005_000_001]
    assert recv_ns[-1] == (START_MS + 60_000) * 1_000_000 + 5_000_000


def test_the_feed_ends_at_the_time_it_was_told(exchange: str) -> None:
    feed = SimulatedFeed(market(exchange), exchange, clock=ManualClock(), until_ms=START_MS + 90_000)
    told = drain(feed)

    assert told[-1].raw == b'{"tickcast":"alive","venue_ms":%d}' % (START_MS + 90_000)
    assert feed.poll(1.0) == []


def test_a_poll_gives_no_more_than_a_bounded_number() -> None:
    busy = MarketSettings(trades_per_second=40.0)
    feed = SimulatedFeed(busy, clock=ManualClock(), until_ms=busy.start_ms + 120_000)
    sizes: list[int] = []
    while not feed.ended:
        sizes.append(len(feed.poll(0.0)))

    assert max(sizes) == MESSAGES_MAX
    assert sum(sizes) > 2 * MESSAGES_MAX


# going on


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_a_feed_that_was_killed_anywhere_goes_on_with_the_same_bytes(
    exchange: str, whole: list[Message], data: st.DataObject
) -> None:
    """
    |-----------whole-----------|
    |----journaled---X
                     |--resumed-|
    """
    cut = data.draw(st.integers(0, len(whole) - 1))
    feed = SimulatedFeed(market(exchange), exchange, clock=ManualClock(), until_ms=START_MS + 330_000)
    feed.resume_after(whole[cut].recv_ns)

    assert whole[cut + 1 :] == drain(feed)


def test_a_feed_goes_on_exactly_at_the_edges_of_minutes(exchange: str, whole: list[Message]) -> None:
    for cut, message in enumerate(whole):
        if message.recv_ns % MINUTE_NS == 5_000_000 or (cut and whole[cut - 1].recv_ns % MINUTE_NS == 5_000_000):
            feed = SimulatedFeed(market(exchange), exchange, clock=ManualClock(), until_ms=START_MS + 330_000)
            feed.resume_after(message.recv_ns)

            assert whole[cut + 1 : cut + 50] == drain(feed)[:49]


@pytest.mark.parametrize("recv_ns", [0, START_MS * 1_000_000, START_MS * 1_000_000 + 5_000_000])
def test_a_feed_that_resumes_before_its_first_message_begins_at_the_beginning(recv_ns: int) -> None:
    until_ms = START_MS + 60_000
    feed = SimulatedFeed(market(), clock=ManualClock(), until_ms=until_ms)
    feed.resume_after(recv_ns)

    assert list(messages(market(), until_ms)) == drain(feed)


def test_a_feed_that_resumes_after_its_end_has_ended() -> None:
    feed = SimulatedFeed(market(), clock=ManualClock(), until_ms=START_MS + 60_000)
    feed.resume_after((START_MS + 600_000) * 1_000_000)

    assert feed.poll(0.0) == []
    assert feed.ended


def test_a_feed_that_has_begun_can_not_resume() -> None:
    feed = SimulatedFeed(market(), clock=ManualClock())
    feed.poll(0.0)

    with pytest.raises(ConfigError, match="before poll"):
        feed.resume_after(START_MS * 1_000_000 + MINUTE_NS)


def test_a_closed_feed_gives_nothing_more_and_closing_twice_is_harmless() -> None:
    feed = SimulatedFeed(market(), clock=ManualClock())
    feed.close()
    feed.close()

    assert feed.ended
    assert feed.poll(1.0) == []


# pacing


@pytest.mark.parametrize("speed", [1.0, 50.0])
def test_history_comes_at_once_and_then_the_clock_is_followed(speed: float) -> None:
    """
    market  00:00 --------- 02:00 --- 03:00
    clock   |  no time at all  | 60 s / speed |
    """
    clock = ManualClock(1_000_000_000)
    live_ms = START_MS + 120_000
    feed = SimulatedFeed(market(), clock=clock, speed=speed, live_from_ms=live_ms, until_ms=live_ms + 60_000)
    told: list[tuple[float, Message]] = []
    while not feed.ended:
        told += [(clock.monotonic_s() - 1.0, message) for message in feed.poll(0.2)]
    history = [at_s for at_s, message in told if message.recv_ns <= live_ms * 1_000_000]
    late_s = [
        at_s * speed - (message.recv_ns / 1e9 - live_ms / 1000)
        for at_s, message in told
        if message.recv_ns > live_ms * 1_000_000
    ]

    assert [message for _, message in told] == list(messages(market(), live_ms + 60_000))
    assert set(history) == {0.0}
    assert min(late_s) > -1e-3
    assert max(late_s) < 0.06 * speed


def test_a_poll_waits_no_longer_than_it_was_told() -> None:
    clock = ManualClock()
    feed = SimulatedFeed(market(), clock=clock, speed=0.001, live_from_ms=START_MS)
    told = feed.poll(0.0)

    assert told == []
    for _ in range(3):
        before_s = clock.monotonic_s()
        feed.poll(0.3)
        assert clock.monotonic_s() - before_s < 0.301


def test_the_share_of_history_rises_to_one_and_stays() -> None:
    clock = ManualClock()
    live_ms = START_MS + 3_600_000
    feed = SimulatedFeed(market(), clock=clock, speed=10.0, live_from_ms=live_ms, until_ms=live_ms + 10_000)
    shares = [feed.history_done()]
    while not feed.ended:
        feed.poll(0.1)
        shares.append(feed.history_done())

    assert shares[0] == 0.0
    assert sorted(shares) == shares
    assert shares[-1] == 1.0
    assert len(set(shares)) > 20


def test_without_history_there_is_nothing_to_wait_for() -> None:
    assert SimulatedFeed(market(), clock=ManualClock(), speed=1.0).history_done() == 1.0


def test_after_a_restart_the_market_goes_on_where_it_stopped() -> None:
    """No anchor was given: the time between the kill and the restart did not happen in the market."""
    clock = ManualClock(77_000_000_000)
    feed = SimulatedFeed(market(), clock=clock, speed=1.0, live_from_ms=START_MS)
    feed.resume_after((START_MS + 1_800_000) * 1_000_000)
    while not (told := feed.poll(1.0)):
        pass
    waited_s = clock.monotonic_s() - 77.0

    assert 0 <= told[0].recv_ns / 1e9 - (START_MS / 1000 + 1800) <= waited_s < 5


def test_after_a_restart_the_market_catches_up_with_the_time_that_went_by() -> None:
    """
    live_at      killed        restarted
    |--journaled----X   (gone by)  |     all of the gap at once, then live
    """
    clock = ManualClock(10_000_000_000)
    feed = SimulatedFeed(market(), clock=clock, speed=1.0, live_from_ms=START_MS, live_at_ns=10_000_000_000)
    clock.sleep(300.0)
    told: list[Message] = []
    while part := feed.poll(0.0):
        told += part

    assert clock.monotonic_s() == 310.0
    assert 299.0 < told[-1].recv_ns / 1e9 - START_MS / 1000 <= 300.0


@pytest.mark.parametrize("speed", [-1.0, float("nan"), 1e9])
def test_a_speed_that_means_nothing_is_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match="speed: was"):
        SimulatedFeed(market(), clock=ManualClock(), speed=speed)


# limits


def test_a_long_feed_takes_no_more_memory_than_a_short_one() -> None:
    feed = SimulatedFeed(MarketSettings(trades_per_second=10.0), clock=ManualClock())
    count = sum(len(feed.poll(0.0)) for _ in range(5))
    tracemalloc.start()
    peaks = []
    for _ in range(2):
        tracemalloc.reset_peak()
        count += sum(len(feed.poll(0.0)) for _ in range(60))
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()

    assert count > 300_000
    assert peaks[1] < 1.3 * peaks[0]


def test_a_capture_is_a_journal_of_the_same_market(exchange: str, whole: list[Message], tmp_path: Path) -> None:
    path = tmp_path / "market.ndjson"
    lines = write_capture(path, market(exchange), 330, exchange)
    rows = map_block(mapper_for(exchange), Block(exchange, path.read_bytes()))

    assert lines == len(whole) == rows.messages
    assert rows.rejects == []
