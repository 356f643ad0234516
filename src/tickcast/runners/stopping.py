"""Ctrl-C and SIGTERM, as a runner takes them: after what is under way, or at once while a compiler works.

A handler may run in the middle of anything that the main thread does, so ours take no lock of Python's `threading`.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from tickcast.errors import Stopped

AGAIN_S = 0.25
LEAVE_S = 4.0
"""So long after it was told to end a process leaves, whatever it is still at: five seconds are what was promised."""
SAY_S = 0.3
"""A terminal that takes no words is not waited for."""
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
        bell = _thread.allocate_lock()  # rung at the end
        bell.acquire()
        waiting: list[_thread.LockType] = []
        before: dict[int, Any] = {number: signal.getsignal(number) for number in _NUMBERS}

        def again(number: int, gone: _thread.LockType) -> None:
            if bell.acquire(timeout=AGAIN_S):
                bell.release()
            else:
                _signal_again(number)
            gone.release()

        def raise_it(number: int, frame: FrameType | None) -> None:
            if over:
                return
            self.ask(number)
            gone = _thread.allocate_lock()
            gone.acquire()
            waiting.append(gone)
            _thread.start_new_thread(again, (number, gone))
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
                bell.release()
                for gone in waiting:
                    gone.acquire()


def _signal_again(number: int) -> None:
    """By the system where it can: that also wakes a main thread that waits, for a socket or a lock."""
    if sys.platform == "win32":
        _thread.interrupt_main(signal.Signals(number))
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


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


class LastResort:
    """Leaves a process that was told to end and does not, and says what it was at.

    The system's own handler writes the signal's number to a socket, so this hears it even while the main thread is
    held in foreign code. For commands whose data may be shot at any moment: journal and checkpoint see to that.
    """

    def __init__(self, name: str, leave: Callable[[int], Any] = os._exit, within_s: float = LEAVE_S) -> None:
        self._name, self._leave, self._within_s = name, leave, within_s
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)

    def arm(self) -> None:
        """From now on; once in a process, by its main thread."""
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="last-resort", daemon=True).start()

    def disarm(self) -> None:
        """For tests: signals are nobody's business any more."""
        signal.set_wakeup_fd(-1)
        self._told.close()

    def _listen(self) -> None:
        while number := self._heard.recv(1):
            if number[0] in _NUMBERS:
                break
        else:
            self._heard.close()
            return
        threading.Event().wait(self._within_s)
        said = threading.Thread(target=self._say, daemon=True)
        said.start()
        said.join(SAY_S)
        self._leave(128 + number[0])

    def _say(self) -> None:
        with suppress(OSError):  # whoever would read it has gone
            if sys.stdout.isatty():
                os.write(1, b"\x1b[?25h\n")  # a picture hides the cursor
            os.write(2, f"{self.sentence()}\n".encode())

    def sentence(self) -> str:
        """What has not ended."""
        return (
            f"{self._name}: {_main_is_at()} did not end within {self._within_s:g} s of being told to, so the process "
            "left; what was journaled is kept, and the next start goes on from the last checkpoint."
        )


def _main_is_at() -> str:
    """The innermost of our own functions that the main thread is in, or who else keeps the process."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("tickcast.") and module != __name__:
            return f"{frame.f_code.co_qualname} of {module}"
        frame = frame.f_back
    others = (each.name for each in threading.enumerate() if not each.daemon and each is not threading.main_thread())
    return ", ".join(("the interpreter", *others))
