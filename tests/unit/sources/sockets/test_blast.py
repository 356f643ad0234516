"""A benchmark that nobody runs rots: every contender runs on a little input; no time is asserted."""

from __future__ import annotations

import pytest
from benchmarks.blast import binance_messages, frames_of
from benchmarks.sockets import contenders, cpu_seconds

from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.contract import QUOTE, TRADES


def test_the_messages_that_are_sent_are_what_binance_sends() -> None:
    assert [TRADES, QUOTE] * 10 == [Binance().hear(raw).kind for raw in binance_messages(20)]


@pytest.mark.parametrize("label", contenders())
def test_every_contender_receives_what_is_sent(label: str) -> None:
    _, work, new_loop = contenders()[label]
    block = frames_of([b'{"result":null,"id":1}', *binance_messages(20)])

    assert cpu_seconds(work, block, 2_000, new_loop) > 0.0
