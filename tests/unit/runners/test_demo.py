"""The demo over real sockets: it ends by itself, goes on where it was; replay and verify agree with it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickcast.cli.main import main
from tickcast.clock import NS_PER_MS, SystemClock
from tickcast.config import Settings
from tickcast.errors import ConfigError, StoreError
from tickcast.runners.ask import ask
from tickcast.runners.demo import MARKET_FILE, Demo, DemoOptions, market_of
from tickcast.runners.replay import replay
from tickcast.runners.system import Summary
from tickcast.runners.verify import verify
from tickcast.sources.recorded import open_recording
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.client import QueryClient

START_MS = 1_735_689_600_000
HISTORY_MS = 5 * 60_000
"""A demo's own history is hours long; a market that began a few minutes ago is through at once."""


def now_ms() -> int:
    return SystemClock().now_ns() // NS_PER_MS


def settings_of(root: Path, **more: Any) -> Settings:
    return Settings(
        data_dir=root,
        port=0,
        **{"exchange": "binance", "candle_seconds": (1,), "pairs": ("BTCUSDT",), "checkpoint_ms": 60_000, **more},
    )


def young_market(root: Path) -> None:
    """As `market_of` would have written it a few minutes ago."""
    start_ms = (now_ms() - HISTORY_MS) // 60_000 * 60_000
    root.mkdir(exist_ok=True)
    market = MarketSettings(seed=1, start_ms=start_ms, pairs=pairs_named(["BTCUSDT"]))
    (root / MARKET_FILE).write_bytes(msgspec.json.encode(market))


def run(root: Path, on_tick: Any = lambda demo: None, **options: Any) -> Summary:
    if not (root / MARKET_FILE).exists():
        young_market(root)
    return Demo(settings_of(root), DemoOptions(**{"seconds": 1.0, "speed": 20.0, **options}), SystemClock()).run(
        on_tick
    )


WINDOWS_LEFT_OUT = """
    SELECT window_start_ms FROM (
        SELECT window_start_ms, lead(window_start_ms) OVER (ORDER BY window_start_ms) AS following FROM candles
    ) WHERE following <> window_start_ms + 1000
"""


def replayed(root: Path) -> tuple[str, dict[str, int]]:
    summary = replay(open_recording([root]), settings_of(root, pairs=()))
    return summary.digest, summary.counts


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_goes_through_its_phases_and_ends_by_itself(tmp_path: Path) -> None:
    phases: list[str] = []
    exchanges: set[int] = set()
    notes: set[str] = set()

    def note(demo: Demo) -> None:
        if demo.shown.phase not in phases:
            phases.append(demo.shown.phase)
        if demo.shown.phase == "live":
            exchanges.add(demo.exchange.pid)
        notes.update(demo.shown.notes)

    summary = run(tmp_path, on_tick=note)

    assert ["recovering", "opening the simulated exchange", "history", "live", "ended"] == phases[1:]
    assert phases[0].startswith("compiling kernels")
    assert summary.seconds >= 1.0
    assert summary.market_ms > now_ms()  # at twenty times the speed its time is ahead of the machine's
    assert summary.counts["candles"] > HISTORY_MS // 1000
    assert all(count > 0 for count in summary.counts.values())
    assert {} == summary.quarantined
    assert [False] == [is_alive(pid) for pid in exchanges]
    assert [] == [note for note in notes if "clock was set" in note]


def test_its_trades_come_over_sockets_and_its_history_over_rest(tmp_path: Path) -> None:
    summary = run(tmp_path)

    assert ["binance"] == [one.exchange for one in summary.live.connections]
    assert [("BTCUSDT", 0, 0)] == [(one.pair, one.gaps_open, one.gaps_lost) for one in summary.live.pairs]
    assert all(one.messages > 0 and one.url.startswith("ws://127.0.0.1:") for one in summary.live.connections)
    assert sum(summary.live.requests.values()) > 0


def test_no_live_seconds_at_all_still_give_the_history(tmp_path: Path) -> None:
    began_ms = now_ms()
    summary = run(tmp_path, seconds=0.0)

    assert summary.market_ms >= began_ms
    assert summary.counts["candles"] > HISTORY_MS // 1000 - 60


def test_a_replay_of_its_journal_gives_its_digest_and_verify_holds(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert (first.digest, first.counts) == replayed(tmp_path)

    second = run(tmp_path)
    assert (second.digest, second.counts) == replayed(tmp_path)
    assert second.counts["candles"] > first.counts["candles"]
    assert [(second.counts["candles"],)] == ask(tmp_path, "SELECT count(DISTINCT window_start_ms) FROM candles").rows
    assert [] == ask(tmp_path, WINDOWS_LEFT_OUT).rows
    assert verify(tmp_path).holds


def test_what_it_stored_can_be_asked_for_while_it_runs_and_after(tmp_path: Path) -> None:
    answers: list[Any] = []

    def look(demo: Demo) -> None:
        if demo.shown.phase == "live" and demo.watch.ready()["ready"] and not answers:
            demo.embedded.checkpoint()
            answers.append(ask(tmp_path, "SELECT count(*) FROM candles").rows)
            said = QueryClient(tmp_path).health()
            assert {"phase", "messages", "notes", "rows", "candles", "lag_ms"} <= said.keys()
            assert said["simulated"]
            demo.stop()

    summary = run(tmp_path, on_tick=look, seconds=None)

    assert 0 < answers[0][0][0] <= summary.counts["candles"]
    assert [(summary.counts["candles"],)] == ask(tmp_path, "SELECT count(*) FROM candles").rows


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_at_a_signal_and_gives_the_handlers_back(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def stop(demo: Demo) -> None:
        if demo.shown.phase == "live":
            signal.raise_signal(number)

    summary = run(tmp_path, on_tick=stop, seconds=None)

    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert summary.counts == replayed(tmp_path)[1]
    assert verify(tmp_path).holds


def test_a_signal_while_the_exchange_is_made_ends_it_at_once(tmp_path: Path) -> None:
    phases: list[str] = []

    def stop(demo: Demo) -> None:
        phases.append(demo.shown.phase)
        if demo.shown.phase == "opening the simulated exchange":
            signal.raise_signal(signal.SIGTERM)

    summary = run(tmp_path, on_tick=stop, seconds=None)

    assert {"history", "live"}.isdisjoint(phases)
    assert 0 == summary.messages


def test_a_recovery_can_be_stopped_and_loses_nothing(tmp_path: Path) -> None:
    class Gone(Exception):
        pass

    def die(demo: Demo) -> None:
        if demo.shown.phase == "live" and demo.shown.messages > 10:
            raise Gone

    def stop(demo: Demo) -> None:
        if demo.shown.phase == "recovering":
            demo.stop()

    with pytest.raises(Gone):
        run(tmp_path, on_tick=die, seconds=None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_tick=stop)
    summary = run(tmp_path)

    assert (summary.digest, summary.counts) == replayed(tmp_path)
    assert verify(tmp_path).holds


@pytest.mark.parametrize(
    ("pairs", "options", "told"),
    [
        (("BTCUSDT",), {"seed": 2}, "--seed 1"),
        (("BTCUSDT",), {"signal": 0.1}, "--signal 0"),
        (("ETHUSDT",), {}, "--pairs BTCUSDT"),
    ],
)
def test_another_market_in_the_same_directory_is_refused(
    pairs: tuple[str, ...], options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    made = market_of(settings_of(tmp_path), DemoOptions(), START_MS)
    (tmp_path / MARKET_FILE).write_bytes(msgspec.json.encode(made))

    with pytest.raises(ConfigError, match=told):
        market_of(settings_of(tmp_path, pairs=pairs), DemoOptions(**options), START_MS)


def test_a_market_file_that_can_not_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{")

    with pytest.raises(StoreError, match="can not be read"):
        market_of(settings_of(tmp_path), DemoOptions(), START_MS)


def test_the_command_honours_the_environment_and_ends_with_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKCAST_DATA_DIR", "elsewhere")
    monkeypatch.setenv("TICKCAST_CANDLE_SECONDS", "1")
    monkeypatch.setenv("TICKCAST_PAIRS", "BTCUSDT")
    young_market(tmp_path / "elsewhere")
    code = main(["demo", "--seconds", "1", "--port", "0", "--json"])
    said = capsys.readouterr()

    assert 0 == code
    summary = json.loads(said.out.splitlines()[-1])
    assert {"digest", "counts"} <= summary.keys()
    assert "elsewhere" == summary["data_dir"]
    assert ["elsewhere"] == [path.name for path in tmp_path.iterdir()]
    assert "live at http://127.0.0.1:" in said.err


@pytest.mark.parametrize("words", [["--seconds", "-1"], ["--seconds", "nan"], ["--speed", "0"], ["--speed", "nan"]])
def test_impossible_flags_are_refused_before_anything_is_made(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert 2 == main(["demo", *words])
    assert capsys.readouterr().err.startswith(f"tickcast demo: {words[0][2:]}: was ")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("history_h", "expected_h"), [(1, 24.0), (40, 41.0), (2000, 96.0)])
def test_its_exchange_keeps_the_history_of_a_start_and_not_the_whole_market(
    history_h: int, expected_h: float, tmp_path: Path
) -> None:
    demo = Demo(settings_of(tmp_path), DemoOptions(), SystemClock())
    demo.market = MarketSettings(start_ms=START_MS)

    made = demo._exchange_settings((START_MS + history_h * 3_600_000) * NS_PER_MS, 0)

    assert expected_h == made.archive_hours
