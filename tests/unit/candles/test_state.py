"""State as bytes: small, refused when it would be misread; and columns of any making."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.candles.tape import as_bytes, at, frame, in_one_process, joined, trade
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.errors import SnapshotError
from tickcast.events import CANDLES


def busy(stage: Candles) -> bytes:
    state = stage.new()
    stage.step(state, frame(*(trade(k, at("0:00") + k * 400, 100.0 + k % 9) for k in range(9000))))
    return stage.snapshot(state)


def test_a_snapshot_is_small() -> None:
    assert len(busy(Candles(FlowSettings()))) < 6_000
    assert len(Candles(FlowSettings()).snapshot(Candles(FlowSettings()).new())) < 500


def test_another_version_s_state_is_refused() -> None:
    stage = Candles(FlowSettings())
    data = busy(stage)
    stage.version = 99

    with pytest.raises(SnapshotError, match="version"):
        stage.restore(data)


def test_a_state_of_other_candle_lengths_is_refused() -> None:
    with pytest.raises(SnapshotError, match="candle_seconds"):
        Candles(FlowSettings((1, 60))).restore(busy(Candles(FlowSettings())))


def test_columns_have_the_names_and_types_of_the_table() -> None:
    (out,), _ = in_one_process(lambda: Candles(FlowSettings()), [frame(trade(1, "0:00"), low="1:00")])

    assert {n: c.dtype for n, c in CANDLES.empty().items()} == {n: c.dtype for n, c in out.columns.items()}
    assert ("candles", "binance:BTCUSDT", at("1:00")) == (out.kind, out.key, out.low_ms)


def test_what_was_issued_stays_when_the_next_frame_comes() -> None:
    stage = Candles(FlowSettings())
    state = stage.new()
    (first,) = stage.step(state, frame(trade(1, "0:00", 5.0), low="1:00"))
    kept = as_bytes(first.columns)
    stage.step(state, frame(trade(2, "1:00", 9.0), low="3:00"))

    assert kept == as_bytes(first.columns)


def test_columns_that_may_not_be_written_to_are_read_all_the_same() -> None:
    whole = frame(*(trade(k, f"{k}:00", 100.0 + k) for k in range(20)))
    odd = whole.with_columns("trades", {name: np.repeat(c, 2)[::2] for name, c in whole.columns.items()})
    for column in odd.columns.values():
        column.flags.writeable = False

    expected, actual = (joined(in_one_process(lambda: Candles(FlowSettings()), [one])[0]) for one in (whole, odd))

    assert as_bytes(expected) == as_bytes(actual)
