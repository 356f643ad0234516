"""What the tests of sockets may ask for."""

from __future__ import annotations

import pytest

from tests.unit.sources.sockets.playing import NOW_NS
from tickcast.clock import ManualClock
from tickcast.sources.sockets.clients import CLIENTS, client_for
from tickcast.sources.sockets.contract import Client


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows has no wheel here")
    return client_for(request.param, ManualClock(NOW_NS))
