"""Signals while a runner works: asked for, or at once, and not swallowed by a library for good."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from tickcast.runners.stopping import Stopping

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
