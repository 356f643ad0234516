"""Every stage's state, as bytes and back, changes nothing; nor does the cut of the input, nor a pair beside it."""

from __future__ import annotations

import pytest

from tests.unit.runners.kit import FLOW, blocks, folded, market
from tickcast.config import FlowSettings
from tickcast.events import CANDLES, Frame
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline, SnapshotKey
from tickcast.sources.contract import Message
from tickcast.store.results import Results

MINUTES = 12


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
@pytest.mark.parametrize(("size", "every"), [(1, 97), (7, 1), (50, 3), (10_000, 0)])
def test_no_cut_and_no_restart_changes_a_bit(exchange: str, size: int, every: int) -> None:
    """
    whole:    |------------------------|
    restarts: |---x---x---x---x---x----|     x: all states to bytes, a new process's pipeline from them
    """
    said = market(MINUTES, exchange=exchange)

    assert folded(said, 1000) == folded(said, size, restart_every=every)


def test_states_that_come_back_from_bytes_give_the_same_bytes() -> None:
    intake = Intake(Pipeline(FLOW))
    for block in blocks(market(MINUTES), 100):
        intake.take(block)
    taken = intake.pipeline.snapshots()
    again = Pipeline(FLOW)
    again.restore(taken)

    assert taken == intake.pipeline.snapshots()
    assert taken == again.snapshots()


def test_snapshots_of_what_changed_add_up_to_all() -> None:
    intake, kept = Intake(Pipeline(FLOW)), dict[SnapshotKey, bytes]()
    for block in blocks(market(MINUTES), 200):
        intake.take(block)
        kept |= intake.pipeline.snapshots(changed_only=True)
        intake.pipeline.settled()

    assert intake.pipeline.snapshots() == kept


def test_what_changed_stays_changed_until_it_is_kept() -> None:
    """A checkpoint that failed must not make the next one leave states out."""
    intake = Intake(Pipeline(FLOW))
    intake.take(next(blocks(market(MINUTES), 500)))
    first = intake.pipeline.snapshots(changed_only=True)

    assert first == intake.pipeline.snapshots(changed_only=True) != {}
    intake.pipeline.settled()
    assert {} == intake.pipeline.snapshots(changed_only=True)


def digests_by_pair(said: tuple[Message, ...]) -> dict[str, str]:
    intake, digests = Intake(Pipeline(FLOW)), dict[str, Results]()
    for block in blocks(said, 64):
        for frame in intake.take(block).frames:
            digests.setdefault(frame.pair, Results()).write(frame)
    return {pair: digest.hexdigest() for pair, digest in digests.items()}


def test_another_pair_beside_it_changes_nothing_of_a_pair() -> None:
    """The word of the whole exchange (its proof of life) stays; only the other pair's messages go."""
    both = market(MINUTES)
    alone = tuple(one for one in both if b"ADAUSDT" not in one.raw)

    assert digests_by_pair(both)["BTCUSDT"] == digests_by_pair(alone)["BTCUSDT"]


def test_imported_candles_pass_through_all_stages_and_keep_their_values() -> None:
    pipeline = Pipeline(FlowSettings(candle_seconds=(60,)))
    prices = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume", "buy_volume"), 1.0)
    rows = CANDLES.rows([{"candle_seconds": 60, "window_start_ms": 0, "window_end_ms": 60_000, **prices}])
    out = pipeline.push_frame(Frame("candles", "binance", "BTCUSDT", 60_000, rows))

    assert ["candles", "technical_indicators", "features"] == [frame.kind for frame in out]
    assert prices == {name: out[0].columns[name].tolist()[0] for name in prices}


def test_counts_are_summed_over_keys_and_lows_are_told() -> None:
    intake = Intake(Pipeline(FLOW))
    said = market(2)
    for block in blocks([*said, *said], 100):
        intake.take(block)
    trades = sum(b'"trade"' in one.raw or b"aggTrade" in one.raw for one in said)

    assert trades == intake.pipeline.counts()["candles"]["duplicates"] > 0
    assert {"binance:BTCUSDT", "binance:ADAUSDT"} == set(intake.pipeline.lows())
    assert said[-1].recv_ns == intake.pipeline.last_recv_ns("binance")
    assert 0 == intake.pipeline.last_recv_ns("kraken")
