"""The demo, with a clock moved by hand: it ends by itself, goes on where it was; replay and verify agree with it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runners.kit import START_MS
from tickcast.cli.main import main
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.errors import ConfigError, StoreError
from tickcast.runners.ask import ask
from tickcast.runners.demo import Demo, DemoOptions, DemoSummary, market_of
from tickcast.runners.replay import replay
from tickcast.runners.verify import verify
from tickcast.sources.recorded import open_recording
from tickcast.store.client import QueryClient

NOW_NS = (START_MS + 60_000) * 1_000_000
"""A minute after a midnight: the history is the anchor and that minute."""


def settings_of(root: Path, **more: Any) -> Settings:
    return Settings(data_dir=root, port=0, **{"candle_seconds": (1,), "pairs": ("BTCUSDT",), **more})


def run(root: Path, now_ns: int = NOW_NS, on_tick: Any = lambda demo: None, **options: Any) -> DemoSummary:
    return Demo(settings_of(root), DemoOptions(**{"seconds": 3.0, "speed": 10.0, **options}), ManualClock(now_ns)).run(
        on_tick
    )


def replayed(root: Path) -> tuple[str, dict[str, int]]:
    summary = replay(open_recording([root]), settings_of(root, pairs=()))
    return summary.digest, summary.counts


def test_it_goes_through_its_phases_and_ends_by_itself(tmp_path: Path) -> None:
    phases: list[str] = []

    def note(demo: Demo) -> None:
        if [demo.shown.phase] != phases[-1:]:
            phases.append(demo.shown.phase)

    summary = run(tmp_path, on_tick=note)

    assert ["history", "live"] == phases[-2:]
    assert phases[0].startswith("compiling kernels")
    assert summary.seconds >= 3.0
    assert 30_000 <= summary.market_ms - NOW_NS // 1_000_000 < 40_000  # three seconds at ten times the speed
    assert all(count > 0 for count in summary.counts.values())
    assert {} == summary.quarantined


def test_no_live_seconds_at_all_still_give_the_history(tmp_path: Path) -> None:
    summary = run(tmp_path, seconds=0.0)

    assert summary.market_ms >= NOW_NS // 1_000_000 - 1000
    assert summary.counts["candles"] > 500


def test_a_replay_of_its_journal_gives_its_digest_and_verify_holds(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert (first.digest, first.counts) == replayed(tmp_path)

    second = run(tmp_path, NOW_NS + 60_000_000_000)
    assert (second.digest, second.counts) == replayed(tmp_path)
    assert second.counts["candles"] > first.counts["candles"]
    assert verify(tmp_path).holds


def test_what_it_stored_can_be_asked_for_while_it_runs_and_after(tmp_path: Path) -> None:
    answers: list[Any] = []

    def look(demo: Demo) -> None:
        if demo.shown.phase == "live" and not answers:
            demo.embedded.checkpoint()
            answers.append(ask(tmp_path, "SELECT count(*) FROM candles").rows)
            said = QueryClient(tmp_path).health()
            assert {"phase", "messages", "notes", "rows", "candles", "lag_ms"} <= said.keys()
            assert said["simulated"]
            assert demo.watch.ready()["ready"]

    summary = run(tmp_path, on_tick=look)

    assert 0 < answers[0][0][0] <= summary.counts["candles"]
    assert [(summary.counts["candles"],)] == ask(tmp_path, "SELECT count(*) FROM candles").rows


def test_it_ends_cleanly_at_a_signal_and_gives_the_handlers_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def stop(demo: Demo) -> None:
        if demo.shown.phase == "live":
            signal.raise_signal(signal.SIGTERM)

    summary = run(tmp_path, on_tick=stop, seconds=None)

    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert (summary.digest, summary.counts) == replayed(tmp_path)


def test_a_recovery_can_be_stopped_and_loses_nothing(tmp_path: Path) -> None:
    class Gone(Exception):
        pass

    def die(demo: Demo) -> None:
        if demo.shown.phase == "live":
            raise Gone

    def stop(demo: Demo) -> None:
        if demo.shown.phase == "recovering":
            demo.stop()

    with pytest.raises(Gone):
        run(tmp_path, on_tick=die)
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
    market_of(settings_of(tmp_path), DemoOptions(), START_MS)

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
    monkeypatch.setattr("tickcast.clock.SystemClock", lambda: ManualClock(NOW_NS))
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
