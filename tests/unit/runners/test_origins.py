"""Where data comes from: addresses that are none or of no use are said at once, ccxt goes on where the journal ends."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runners.home import sail
from tickcast.clock import SystemClock
from tickcast.config import FlowSettings, Settings
from tickcast.errors import ConfigError
from tickcast.runners.origins import Origins
from tickcast.runners.pipeline import Pipeline
from tickcast.runners.system import Options, System
from tickcast.sources.contract import Message
from tickcast.sources.live.contract import ConnectionStatus, KnownTrades, LiveStatus, PairStatus

PAIR = "BTC/USDT"


class FakeCcxt:
    """Stands for the feed of an exchange that ccxt reads: nothing is dialled."""

    made: list[FakeCcxt]

    def __init__(self, exchange: str, pairs: tuple[str, ...], **more: Any) -> None:
        self.exchange, self.pairs, self.more, self.ended = exchange, pairs, more, False
        FakeCcxt.made.append(self)

    def poll(self, timeout_s: float) -> list[Message]:
        return []

    def notes(self) -> list[str]:
        return ["okx said something."]

    def status(self) -> LiveStatus:
        connection = ConnectionStatus(self.exchange, 1, "open", self.pairs, client="ccxt", reconnects=3)
        return LiveStatus([connection], [PairStatus(self.exchange, self.pairs[0], "live", 77)])

    def close(self) -> None:
        self.ended = True


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCcxt.made = []
    monkeypatch.setattr("tickcast.sources.ccxt.feed.CcxtFeed", FakeCcxt)


def settings_for(root: Path, *endpoints: str) -> Settings:
    return Settings(data_dir=root, exchange="okx", pairs=(PAIR,), endpoints=endpoints, port=0)


def test_an_address_of_an_exchange_that_is_not_read_is_said(tmp_path: Path) -> None:
    with closing(Origins(settings_for(tmp_path, "binance=http://127.0.0.1:9/binance"), SystemClock())) as origins:
        said = origins.check()

    assert [
        "endpoints: an address is given for binance, which is not among the exchanges (okx), so it is not used."
    ] == (said)


def test_an_address_that_is_none_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        System(settings_for(tmp_path / "none", "binance=ftp://127.0.0.1"), Options(), SystemClock())


def test_an_exchange_of_ccxt_goes_on_after_its_last_journaled_trade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {PAIR: KnownTrades(((1, 9, 1000, 2000),), 2000)}
    monkeypatch.setattr(Pipeline, "known_trades", lambda self, exchange: known if exchange == "okx" else {})
    with closing(Origins(settings_for(tmp_path), SystemClock())) as origins:
        origins.others(Pipeline(FlowSettings()))

    assert [known] == [one.more["known"] for one in FakeCcxt.made]


def test_what_an_exchange_of_ccxt_says_of_itself_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickcast.runners.embedded.Embedded.warm_up", lambda self: None)
    system = System(settings_for(tmp_path), Options(), SystemClock())
    summary = sail(
        system, lambda running: running.shown.phase == "live" and "okx said something." in running.shown.notes
    )

    health = system.watch.health()
    assert [("okx", 3)] == [(one.exchange, one.reconnects) for one in summary.live.connections]
    assert "okx said something." in health["notes"]
    assert {check["name"] for check in system.watch.ready()["checks"]} >= {f"pair okx/{PAIR}"}
    assert all(feed.ended for feed in FakeCcxt.made)
