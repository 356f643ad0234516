"""What a data directory remembers of how it was made, and of what is gone from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickcast.config import FlowSettings
from tickcast.errors import ConfigError, StoreError
from tickcast.runners.datadir import (
    EXPIRED_FILE,
    FLOW_FILE,
    expired_until_ms,
    flow_of,
    hold_flow,
    must_exist,
    note_expired,
)

DAY_MS = 86_400_000
FIRST_MS = 1_723_075_200_000  # 2024-08-08


def test_a_directory_keeps_the_settings_it_was_made_with(tmp_path: Path) -> None:
    assert flow_of(tmp_path) is None
    made = FlowSettings(candle_seconds=(1, 60), indicators=("ADX:14",), grace_ms=5)
    hold_flow(tmp_path, made)
    hold_flow(tmp_path, made)

    assert made == flow_of(tmp_path)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (FlowSettings(candle_seconds=(60, 300)), "candle_seconds in .*: was 60 .* and is 60,300 now"),
        (FlowSettings(indicators=("ADX:14",)), "indicators in .*: was empty .* and is ADX:14 now"),
        (FlowSettings(grace_ms=7), "grace_ms in .*: was 1000 .* and is 7 now"),
    ],
)
def test_another_setting_is_refused_by_name_with_both_values(other: FlowSettings, told: str, tmp_path: Path) -> None:
    hold_flow(tmp_path, FlowSettings())

    with pytest.raises(ConfigError, match=told):
        hold_flow(tmp_path, other)


@pytest.mark.parametrize("content", [b"", b"{", b'{"candle_seconds":[7]}', b'{"what":1}'])
def test_settings_that_can_not_be_read_are_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FLOW_FILE).write_bytes(content)

    with pytest.raises((StoreError, ConfigError)):
        flow_of(tmp_path)


def test_the_mark_of_what_is_gone_only_goes_forward(tmp_path: Path) -> None:
    assert 0 == expired_until_ms(tmp_path)
    note_expired(tmp_path, [])
    assert 0 == expired_until_ms(tmp_path)
    note_expired(tmp_path, ["20240807", "20240808"])
    note_expired(tmp_path, ["20240806"])

    assert FIRST_MS + DAY_MS == expired_until_ms(tmp_path)


def test_a_mark_that_can_not_be_read_is_not_taken_for_a_whole_journal(tmp_path: Path) -> None:
    (tmp_path / EXPIRED_FILE).write_text("")

    with pytest.raises(StoreError, match="can not be read"):
        expired_until_ms(tmp_path)


def test_a_directory_without_a_store_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store"):
        must_exist(tmp_path)
