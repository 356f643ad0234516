"""Alive is not ready: each dependency is named with its state, and one that is not well is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.runners.kit import START_MS, market, settings_for
from tests.unit.runners.looks import NOW_MS, TAKEN_S, connection, live, pair, shown
from tickcast.clock import ManualClock
from tickcast.runners.embedded import Embedded
from tickcast.runners.health import Watch, health, ready
from tickcast.runners.status import DiskSeen, FetchSeen, Shown
from tickcast.sources.history.budget import HostUse


def unwell(look: Shown, now_s: float = TAKEN_S) -> dict[str, str]:
    """Why it is not ready."""
    said = ready(look, now_s)
    bad = {check["name"]: check["detail"] for check in said["checks"] if not check["ok"]}
    assert said["ready"] == (not bad)
    return bad


def test_a_system_that_is_well_is_ready_and_names_all_it_hangs_on() -> None:
    said = ready(shown(), TAKEN_S)

    assert said["ready"]
    assert [
        "phase", "runner", "store", "journal", "lag", "connection binance/1",
        "pair binance/BTCUSDT", "pair binance/ETHUSDT", "clock binance",
    ] == [check["name"] for check in said["checks"]]  # fmt: skip
    assert all(check.keys() == {"name", "ok", "detail", "age_s"} for check in said["checks"])


@pytest.mark.parametrize("phase", ["starting", "recovering", "history", "ended"])
def test_before_it_is_live_it_is_not_ready(phase: str) -> None:
    assert {"phase": phase} == unwell(msgspec.structs.replace(shown(), phase=phase))


def test_a_quiet_pair_that_is_proven_is_ready_and_one_whose_time_stands_still_is_not() -> None:
    """A minute's candle of a quiet pair closes a minute and its grace later; what is beyond is a broken flow."""
    quiet = live(pairs=[pair(age_s=55.0)])
    stands = {"binance:BTCUSDT": NOW_MS - 61_000 - 14_000}

    assert {} == unwell(shown(live=quiet, lows=stands))
    stands["binance:BTCUSDT"] -= 2_000
    assert ["pair binance/BTCUSDT"] == list(unwell(shown(live=quiet, lows=stands)))


@pytest.mark.parametrize(
    ("seen", "detail"),
    [
        (
            pair(state="joining", held=12),
            "joining, 12 messages wait for a hole to be fetched, last message 0.3 s ago, data 0.9 s behind",
        ),
        (pair(state="suspect", age_s=7.0), "suspect, last message 7.0 s ago, data 0.9 s behind"),
        (pair(state="down", gaps_open=2), "down, 2 holes open, last message 0.3 s ago, data 0.9 s behind"),
    ],
)
def test_a_pair_that_is_not_live_makes_it_not_ready(seen: Any, detail: str) -> None:
    assert {"pair binance/BTCUSDT": detail} == unwell(shown(live=live(pairs=[seen])))


def test_a_pair_of_which_nothing_came_is_not_ready() -> None:
    look = shown(live=live(pairs=[pair(last_message_ms=0)]), lows={})

    assert {"pair binance/BTCUSDT": "live, no message yet, no data yet"} == unwell(look)


def test_without_any_pair_it_is_not_ready() -> None:
    assert {"pairs": "none yet"} == unwell(shown(live=live(pairs=[])))
    assert {"pairs": "none yet"} == unwell(shown(live=None, lows={}))


def test_pairs_that_no_socket_of_ours_reads_are_asked_for_too() -> None:
    """Through ccxt there is no state, but time that must go on; a pair that is not read any more says nothing."""
    lows = {"binance:BTCUSDT": NOW_MS - 900, "okx:BTC/USDT": NOW_MS - 2_000, "bybit:OLD": NOW_MS - 86_400_000}
    look = shown(live=live(pairs=[pair()]), pairs=(("binance", "BTCUSDT"), ("okx", "BTC/USDT")), lows=lows)

    assert {} == unwell(look)
    lows["okx:BTC/USDT"] = NOW_MS - 90_000
    assert {"pair okx/BTC/USDT": "data 90.0 s behind"} == unwell(look)
    assert {"pair okx/BTC/USDT": "no data yet"} == unwell(
        msgspec.structs.replace(look, lows={"binance:BTCUSDT": NOW_MS})
    )


def test_time_is_judged_by_the_venues_clock() -> None:
    """This machine runs ten minutes ahead; the venue's clock is known, so nothing is wrong with the data."""
    lows = {"binance:BTCUSDT": NOW_MS - 600_000, "binance:ETHUSDT": NOW_MS - 600_000}

    assert len(unwell(shown(lows=lows))) == 2
    measured = live([connection(offset_ms=-600_000.0)])
    assert {} == unwell(shown(lows=lows, live=measured))
    assert "the venue is 600,000 ms behind this machine, give or take 3 ms" == next(
        check["detail"] for check in ready(shown(live=measured), TAKEN_S)["checks"] if check["name"] == "clock binance"
    )


def test_the_best_measured_offset_counts_and_none_is_said() -> None:
    def told(*connections: Any) -> str:
        checks = ready(shown(live=live(list(connections))), TAKEN_S)["checks"]
        return str(checks[-1]["detail"])

    sure, unsure = connection(offset_ms=5.0, offset_error_ms=1.0), connection(number=2, offset_ms=90.0)
    assert "the venue is 5 ms ahead of this machine, give or take 1 ms" == told(unsure, sure)
    assert "not measured yet" == told(connection(offset_ms=None))


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"state": "waiting", "next_dial_s": 4.0, "why": "refused", "age_s": 9.0},
         "waiting, dials again in 4.0 s (refused), last byte 9.0 s ago"),
        ({"state": "connecting", "age_s": -1.0}, "connecting, no byte yet"),
        ({"state": "closed", "why": "sent 1006"}, "closed (sent 1006), last byte 0.2 s ago"),
        ({"age_s": 61.0}, "open, last byte 61.0 s ago"),
    ],
)  # fmt: skip
def test_a_connection_that_is_down_makes_it_not_ready(change: dict[str, Any], detail: str) -> None:
    assert {"connection binance/1": detail} == unwell(shown(live=live([connection(**change)])))


def test_a_planned_replacement_keeps_it_ready() -> None:
    """Number 2 takes over from number 1: first it connects, then it is open and number 1 closes."""
    assert {} == unwell(shown(live=live([connection(), connection(number=2, state="connecting", age_s=-1.0)])))
    assert {} == unwell(shown(live=live([connection(state="closed"), connection(number=2)])))


def test_what_grows_old_since_the_look_counts() -> None:
    """A runner that hangs answers through its server's threads, with what it last knew."""
    assert {} == unwell(shown(), TAKEN_S + 14.0)
    assert "looked at itself 16.0 s ago" == unwell(shown(), TAKEN_S + 16.0)["runner"]
    assert {"runner", "store", "journal", "connection binance/1"} <= unwell(shown(), TAKEN_S + 90.0).keys()


@pytest.mark.parametrize(
    ("disk", "names"),
    [
        (DiskSeen(100 << 20, 0.1, 0.0, 0.5), {"journal": "0.1 GiB free, synced 0.1 s ago"}),
        (
            DiskSeen(9 << 30, 20.0, 19.0, 0.5),
            {"journal": "9.0 GiB free, synced 20.0 s ago, oldest line waits for 19.0 s"},
        ),
        (DiskSeen(9 << 30, 0.1, 0.0, 61.0), {"store": "last checkpoint 61.0 s ago"}),
        (DiskSeen(9 << 30, 3600.0, 0.0, 0.5), {}),
    ],
)
def test_a_disk_that_is_full_or_does_not_take_makes_it_not_ready(disk: DiskSeen, names: dict[str, str]) -> None:
    assert names == unwell(shown(disk=disk))


def test_messages_that_wait_too_long_make_it_not_ready() -> None:
    slow = live()
    slow.lag_ms = 5_001.0

    assert {"lag": "the oldest message that came waited 5,001 ms"} == unwell(shown(live=slow))


def test_health_says_what_it_does_and_ages() -> None:
    said = health(shown(notes=("sealed binance/20251109",)), TAKEN_S + 2.0)

    assert ("ok", "live", 92.0, 2.0, 123_456, ["sealed binance/20251109"], 3, 420) == (
        said["status"], said["phase"], said["uptime_s"], said["age_s"], said["messages"], said["notes"],
        said["quarantined"], said["rows"]["candles"],
    )  # fmt: skip
    assert ["binance", "binance"] == [one["exchange"] for one in said["pairs"]]
    assert [["BTCUSDT", "ETHUSDT"]] == [
        one["pairs"] for one in msgspec.json.decode(msgspec.json.encode(said))["connections"]
    ]


def test_a_look_at_a_directory_at_work(tmp_path: Path) -> None:
    """Without sockets a pair is judged by how far its time stands behind the newest message."""
    said = market(3)
    clock = ManualClock(said[-1].recv_ns)
    with Embedded(settings_for(tmp_path), clock) as embedded:
        watch = Watch(embedded, clock, simulated=True)
        assert "starting" == watch.health()["phase"]
        assert not watch.ready()["ready"]
        embedded.accept(said)
        embedded.checkpoint()
        watch.phase, watch.messages = "live", len(said)
        clock.sleep(0.5)
        look = watch.look()

        assert {} == unwell(look, clock.monotonic_s())
        assert (len(said), {"binance": len(said)}, True) == (look.messages, look.received, look.simulated)
        assert 10_000 + 1000 == look.wait_ms
        assert 0.5 == pytest.approx(look.disk.committed_age_s, abs=1e-3)
        assert look.qualities[("binance", "complete")] > 2
        assert embedded.status.rows["candles"] == sum(look.qualities.values())
        assert "tickcast_ready 1\n" in watch.metrics()
        assert START_MS < min(look.lows.values()) <= look.market_ms
        clock.sleep(60.0)
        assert not watch.ready()["ready"]
        assert "tickcast_ready 0\n" in watch.metrics()


def test_a_look_is_not_changed_by_what_follows(tmp_path: Path) -> None:
    """The server's threads read it while the runner goes on."""
    said = market(2)
    clock = ManualClock(said[-1].recv_ns)
    with Embedded(settings_for(tmp_path), clock) as embedded:
        watch = Watch(embedded, clock)
        embedded.accept(said[:200])
        look = watch.look()
        before = msgspec.json.encode(health(look, 0.0)), look.lows.copy(), {k: len(v) for k, v in look.closes.items()}
        embedded.accept(said[200:])
        watch.look()

        assert before == (
            msgspec.json.encode(health(look, 0.0)), look.lows, {k: len(v) for k, v in look.closes.items()},
        )  # fmt: skip


def test_history_that_is_missing_is_named_with_its_share_and_the_budget_that_it_waits_for() -> None:
    slow = FetchSeen("kraken", "BTC/USD", "asking", 0.42, 12_345)
    again = FetchSeen("binance", "BTCUSDT", "again", 0.0, 0, True, 9.0, "it gave no answer")
    look = shown(fetching=(slow, again), hosts=(HostUse("kraken api.kraken.com", 3.0, 3.0, 3.3, 12.0, 5),))

    assert {
        "history kraken/BTC/USD": "42% fetched, 12,345 rows, not live before",
        "history binance/BTCUSDT": "0% fetched, 0 rows, asked again in 7 s (it gave no answer)",
    } == unwell(look, TAKEN_S + 2.0)
    said = health(look, TAKEN_S)
    assert [("BTC/USD", 0.42), ("BTCUSDT", 0.0)] == [(one["pair"], one["share"]) for one in said["history"]]
    assert [("kraken api.kraken.com", 3.0, 12.0)] == [
        (one["host"], one["allowed"], one["blocked_s"]) for one in said["hosts"]
    ]
