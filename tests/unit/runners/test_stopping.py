"""Signals while a runner works: asked for, or at once, and not swallowed by a library for good."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from tickcast.clock import ManualClock, PacedClock
from tickcast.runners.stopping import LastResort, Stopping

NUMBERS = [signal.SIGINT, signal.SIGTERM]
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def _raises_as_the_command_line_does(monkeypatch: pytest.MonkeyPatch) -> object:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, stop)) for number in NUMBERS]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_gently_it_is_only_asked(number: int) -> None:
    stopping, before = Stopping(), signal.getsignal(number)
    with stopping.gently():
        signal.raise_signal(number)
        went_on = True

    assert (True, True, number) == (went_on, stopping.asked, stopping.number)
    assert before == signal.getsignal(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_at_once_it_is_raised_again_where_it_was_swallowed(number: int) -> None:
    """A compiler's callback prints what is raised in it, and goes on; also into a wait that nothing else would end."""
    stopping, before = Stopping(), signal.getsignal(number)
    waiting, failed = threading.Event(), list[str]()
    with pytest.raises(KeyboardInterrupt), stopping.at_once():  # noqa: PT012 - what is swallowed is the matter
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        assert not waiting.wait(PATIENCE_S)
        failed.append("waited to the end")

    assert before == signal.getsignal(number)
    assert (True, []) == (stopping.asked, failed)


def test_swallowed_to_the_end_it_is_raised_at_the_end() -> None:
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt), stopping.at_once(), suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_a_callback_swallows_is_not_printed_as_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt), stopping.at_once():
        Interrupted()

    assert "" == capsys.readouterr().err


def test_in_another_thread_signals_are_left_alone() -> None:
    stopping, before = Stopping(), signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def work() -> None:
        with stopping.gently():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [before] == inside


HELD = """
import ctypes, signal, sys, threading
from tickcast.runners.stopping import LastResort

LastResort("tickcast up", within_s=0.2).arm()
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
if sys.argv[1] == "swallows":
    while True:
        threading.Event().wait(60)
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)  # foreign code, which no signal wakes
libc.pthread_mutex_lock(mutex)
libc.pthread_mutex_lock(mutex)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="its mutex is Linux's")
@pytest.mark.parametrize("how", ["swallows", "is held"])
@pytest.mark.parametrize("number", NUMBERS)
def test_who_does_not_end_leaves_in_the_end_and_says_what_it_was_at(how: str, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HELD, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline()
        child.send_signal(number)
        _, said = child.communicate(timeout=PATIENCE_S)

    assert 128 + number == child.returncode
    assert [
        "tickcast up: the interpreter did not end within 0.2 s of being told to, so the process left; what was "
        "journaled is kept, and the next start goes on from the last checkpoint."
    ] == said.splitlines()


def test_the_last_resort_names_the_innermost_of_our_own_functions() -> None:
    """The main thread reads a clock of ours, which looks at it from another thread."""
    said: list[str] = []
    resort = LastResort("tickcast up")

    class Looking(ManualClock):
        def monotonic_s(self) -> float:
            asking = threading.Thread(target=lambda: said.append(resort.sentence()))
            asking.start()
            asking.join()
            return 0.0

    PacedClock(Looking(0)).monotonic_s()

    assert said[0].startswith("tickcast up: PacedClock.monotonic_s of tickcast.clock did not end within 4 s of being")
    resort.disarm()


def test_a_signal_before_the_last_resort_is_armed_or_after_it_is_disarmed_is_not_its_own() -> None:
    left: list[int] = []
    resort = LastResort("tickcast up", leave=left.append, within_s=0.0)
    with Stopping().gently():
        signal.raise_signal(signal.SIGINT)
        resort.arm()
        listening = next(one for one in threading.enumerate() if one.name == "last-resort")
        resort.disarm()
        listening.join(PATIENCE_S)
        signal.raise_signal(signal.SIGINT)

    assert [] == left
    assert not listening.is_alive()
