"""Ctrl-C and SIGTERM, as a runner takes them: after what is under way, or at once while a compiler works."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tickcast.errors import Stopped

AGAIN_S = 0.25
_NUMBERS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any]


class Stopping:
    """Whether somebody wants it to end."""

    def __init__(self) -> None:
        self.asked = False
        self.number = int(signal.SIGINT)
        """The signal by which it was asked last."""

    def ask(self, number: int = int(signal.SIGINT), frame: FrameType | None = None) -> None:  # noqa: ARG002
        """A signal's handler: end after what is under way."""
        self.asked, self.number = True, number

    @contextmanager
    def gently(self) -> Iterator[None]:
        """While this holds, signals only ask; who works looks at `asked` a few times a second."""
        with _handled(dict.fromkeys(_NUMBERS, self.ask)):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While this holds, signals raise as they did before; again and again, where a library swallows that.

        A compiler calls back into Python and prints what is raised there instead of passing it on: that is kept quiet.
        """
        over: list[bool] = []
        timers: list[threading.Timer] = []
        before: dict[int, Any] = {number: signal.getsignal(number) for number in _NUMBERS}

        def raise_it(number: int, frame: FrameType | None) -> None:
            if over:
                return
            self.ask(number)
            timers[:] = [threading.Timer(AGAIN_S, _thread.interrupt_main, (number,))]
            timers[0].daemon = True
            timers[0].start()
            if callable(before[number]):
                before[number](number, frame)
            raise Stopped

        with _handled(dict.fromkeys(_NUMBERS, raise_it)), _quiet():
            try:
                yield
                if self.asked:
                    raise Stopped
            finally:
                over.append(True)
                for timer in timers:
                    timer.cancel()
                    timer.join()


@contextmanager
def _quiet() -> Iterator[None]:
    """What is raised again anyway is not printed where it is swallowed."""
    before = sys.unraisablehook

    def tell(told: sys.UnraisableHookArgs) -> None:
        if not issubclass(told.exc_type, KeyboardInterrupt):
            before(told)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def _handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    """Signals go there meanwhile; in another thread than the main one nothing changes, as only that may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if number == signal.SIGTERM or before[number] is not signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was or signal.SIG_DFL)
