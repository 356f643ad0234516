"""Training beside a live flow: it is looked at, never waited for, and it ends when it must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.unit.runners.home import is_whole, now_s
from tests.unit.runners.test_demo import settings_of, young_market
from tickcast.cli.common import settings_of as settings_from
from tickcast.cli.main import parser_for
from tickcast.clock import ManualClock, SystemClock
from tickcast.config import Settings
from tickcast.runners.demo import Demo, DemoOptions
from tickcast.runners.retraining import ASK_LEAST_S, ASK_MOST_S, LOOK_S, Retraining, command_of

PATIENCE_S = 60.0
MUTE = (sys.executable, "-c", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)")


def saying(text: str, code: int = 0, errors: str = "") -> tuple[str, ...]:
    """A child that says that and ends."""
    told = f"import sys; print({text!r}); print({errors!r}, file=sys.stderr); sys.exit({code})"
    return (sys.executable, "-c", told)


def outcome(text: str = "", *, due: bool = False, error: str = "", wait_s: str = "3600.0", version: str = "") -> str:
    return (
        f'{{"outcomes":[{{"task":"price","due":{str(due).lower()},"sentence":"{text}","wait_s":{wait_s},'
        f'"version":"{version}","error":"{error}","hash":"","notes":[]}}]}}'
    )


def started(command: Sequence[str], clock: ManualClock, **more: float) -> Retraining:
    child = Retraining(Settings(retrain_hours=24), clock, command=command, **{"first_s": 0.0, **more})
    assert [] == child.poll()
    assert child.seen.running
    return child


def ended(child: Retraining, clock: ManualClock) -> list[str]:
    """What it notes when its child is through; only the test waits for that."""
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    clock.sleep(2 * LOOK_S)
    return child.poll()


def wait_s(child: Retraining, clock: ManualClock) -> float:
    return round(child.seen.next_s - clock.monotonic_s(), 3)


def test_nothing_is_started_before_its_time() -> None:
    clock = ManualClock()
    child = Retraining(Settings(retrain_hours=24), clock, command=MUTE, first_s=10.0)
    clock.sleep(9.9)

    assert [] == child.poll()
    assert 0 == child.pid


def test_nothing_due_is_not_worth_a_word_and_says_when_to_ask_again() -> None:
    clock = ManualClock()
    child = started(saying(outcome("price is not due")), clock)

    assert [] == ended(child, clock)
    assert 3600.0 == wait_s(child, clock)
    assert {"price": "price is not due"} == child.seen.last
    assert not child.seen.running


def test_it_asks_neither_all_the_time_nor_never() -> None:
    for said, expected in (("0.0", ASK_LEAST_S), ("1e9", ASK_MOST_S), ("null", ASK_MOST_S)):
        clock = ManualClock()
        child = started(saying(outcome(wait_s=said)), clock)
        ended(child, clock)

        assert expected == wait_s(child, clock)


def test_what_was_trained_is_told_once() -> None:
    clock = ManualClock()
    child = started(saying("words\n" + outcome("price v3-ridge was trained", due=True, version="v3-ridge")), clock)

    assert ["price v3-ridge was trained"] == ended(child, clock)
    assert {"price": "v3-ridge"} == child.seen.versions
    assert (0, "") == (child.seen.failures, child.seen.error)


def test_a_failure_is_told_once_and_tried_again_later_and_later() -> None:
    clock = ManualClock()
    child = started(saying("", 2, "Traceback\ntickcast retrain: store: is held; wait."), clock)

    assert ["retraining: store: is held; wait; it is tried again, the flow goes on"] == ended(child, clock)
    assert (1, 600.0) == (child.seen.failures, wait_s(child, clock))
    clock.sleep(600.0)
    assert [] == child.poll()
    assert [] == ended(child, clock)
    assert (2, 1200.0) == (child.seen.failures, wait_s(child, clock))


def test_a_task_that_failed_is_a_failure_whatever_the_others_gave() -> None:
    clock = ManualClock()
    child = started(saying(outcome("price was not trained: rows", due=True, error="rows"), 2), clock)

    assert ["retraining: price was not trained: rows; it is tried again, the flow goes on"] == ended(child, clock)


def test_a_child_that_is_killed_from_outside_is_a_failure_like_any_other() -> None:
    clock = ManualClock()
    child = started(MUTE, clock)
    os.kill(child.pid, signal.SIGKILL)

    assert ["retraining: ended with -9 and without a word; it is tried again, the flow goes on"] == ended(child, clock)


def test_a_child_that_hangs_is_killed_at_its_limit() -> None:
    clock = ManualClock()
    child = started(MUTE, clock, limit_s=100.0)
    pid = child.pid
    clock.sleep(99.0)
    assert [] == child.poll()
    assert psutil.pid_exists(pid)
    clock.sleep(2.0)

    assert ["retraining: was killed after 100 s without an end; it is tried again, the flow goes on"] == child.poll()
    assert not psutil.pid_exists(pid)


def test_a_child_that_can_not_be_started_is_a_sentence() -> None:
    clock = ManualClock()
    child = Retraining(Settings(retrain_hours=1), clock, command=("/no/such/thing",), first_s=0.0)

    assert ["retraining: could not be started (No such file or directory); it is tried again, the flow goes on"] == (
        child.poll()
    )


def test_a_stop_kills_it_whatever_it_does_with_signals() -> None:
    child = started(MUTE, ManualClock())
    pid = child.pid
    child.stop()
    child.stop()

    assert not psutil.pid_exists(pid)
    assert not child.seen.running


def test_the_child_gets_the_settings_that_we_have(tmp_path: Path) -> None:
    ours = Settings(
        data_dir=tmp_path / "a b", exchange="binance", pairs=("BTCUSDT",), training_days=7.5, trials=3,
        retrain_hours=6, retrain_tasks=("price",), retrain_models=("ridge", "forest"), retrain_promote=True,
    )  # fmt: skip
    for settings in (ours, Settings()):
        words = command_of(settings)[3:]

        assert settings == settings_from(parser_for(words).parse_args(words))
    assert "postgres" not in " ".join(command_of(Settings(mlflow_uri="postgresql://me:secret@host/db")))


def test_it_ends_with_its_parent_even_if_that_is_killed() -> None:
    """The child says its number and waits; who started it is shot."""
    code = """if True:
        import subprocess, sys, os
        code = "import sys; from tickcast.runners.retraining import beside; beside(int(sys.argv[1]));" \
            "print(__import__('os').getpid(), __import__('os').nice(0), flush=True); sys.stdin.read()"
        child = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())], stdin=subprocess.PIPE)
        child.wait()
    """
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid, nice = map(int, parent.stdout.readline().split())
    keeps_stdin_open = psutil.Process(pid)
    parent.kill()
    parent.wait()

    keeps_stdin_open.wait(PATIENCE_S)  # TimeoutExpired, if it lives on
    assert 10 == nice - os.nice(0)
    parent.stdout.close()


def test_the_flow_goes_on_beside_a_child_that_hangs_and_a_stop_ends_both(tmp_path: Path) -> None:
    young_market(tmp_path)
    settings = settings_of(tmp_path, retrain_hours=24.0)
    demo = Demo(settings, DemoOptions(speed=20.0), SystemClock())
    demo.retraining = Retraining(settings, SystemClock(), command=MUTE, first_s=0.0)
    seen: dict[str, int] = {}
    began_s: list[float] = []

    def look(running: Demo) -> None:
        if running.shown.phase == "live":  # before that a compiler may take its time
            began_s.append(now_s())
            assert began_s[-1] < began_s[0] + PATIENCE_S
        assert running.retraining is not None
        if not seen and running.retraining.pid:
            seen.update(pid=running.retraining.pid, messages=running.watch.messages)
        if seen and running.watch.messages > seen["messages"] + 50 and is_whole(running):
            assert psutil.pid_exists(seen["pid"])
            assert running.watch.look().retraining == running.retraining.seen
            assert running.watch.health()["retraining"]["running"]
            signal.raise_signal(signal.SIGINT)

    summary = demo.run(look)  # type: ignore[arg-type]

    assert not psutil.pid_exists(seen["pid"])
    assert summary.counts["candles"] > 0
