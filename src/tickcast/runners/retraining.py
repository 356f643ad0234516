"""Retraining beside a live flow: a child process that is looked at between two pumps, and never waited for.

    System ─ poll ─→ time to ask? ─→ `tickcast retrain --json` (child, nice, one core a library) ─→ notes, status
                 └─→ ended? hung? ─→ the next time to ask

The child decides whether anything is due and says when to ask again. It may be killed at any moment: a stop kills it,
and it ends by itself when this process is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import msgspec

from tickcast.clock import Clock
from tickcast.config import Settings, child_environment
from tickcast.runners.schedule import again_s

NICE = 10
FIRST_S = 20.0
"""So long after it went live it asks for the first time: a start has enough to do."""
ASK_LEAST_S, ASK_MOST_S = 60.0, 6 * 3600.0
"""How often it asks at most and at least."""
LIMIT_S = 6 * 3600.0
"""A training that takes longer hangs."""
LOOK_S = 0.2
PARENT_LOOK_S = 0.5
STOP_S = 1.0
"""A killed process is gone at once; one that hangs in the kernel is not waited for longer."""
TAIL_BYTES = 256 << 10
"""What is read of what a child says."""
_FLAGS = (
    "data_dir", "exchange", "pairs", "training_days", "trials", "models_dir", "retrain_hours", "retrain_tasks",
    "retrain_models",
)  # fmt: skip
_NAMES = {"retrain_hours": "hours", "retrain_tasks": "tasks", "retrain_models": "models"}


class Said(msgspec.Struct, frozen=True):
    """What the child says of a task: the part of its outcome that is needed here."""

    task: str
    due: bool
    sentence: str
    wait_s: float | None = None
    version: str = ""
    promoted: bool = False
    error: str = ""
    notes: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    outcomes: list[Said]


class RetrainingSeen(msgspec.Struct, frozen=True):
    """How it stands, for /health and views."""

    running: bool = False
    failures: int = 0
    """In a row."""
    error: str = ""
    """Of the last time, where it failed."""
    last: dict[str, str] = {}
    """By task what was said of it last."""
    versions: dict[str, str] = {}
    """By task what was trained last."""
    next_s: float = 0.0
    """The next time to ask, on the clock's monotonic scale."""


class Retraining:
    """One child at a time. All calls come from the runner's thread, and none of them waits.

    retraining = Retraining(settings, clock)
    while ...:
        notes += retraining.poll()
    retraining.stop()
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        speed: float = 1.0,
        first_s: float = FIRST_S,
        limit_s: float = LIMIT_S,
        command: Sequence[str] = (),
    ) -> None:
        self.settings, self.clock = settings, clock
        self._speed, self._limit_s = speed, limit_s
        self._command = list(command) or command_of(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._out: IO[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._began_s = self._looked_s = float("-inf")
        self.seen = RetrainingSeen(next_s=clock.monotonic_s() + first_s)

    @property
    def pid(self) -> int:
        """Of the child; 0 when none runs."""
        return self._process.pid if self._process else 0

    def poll(self) -> list[str]:
        """Start what is to be started and take in what has ended; what people should hear of it."""
        now_s = self.clock.monotonic_s()
        if now_s - self._looked_s < LOOK_S:
            return []
        self._looked_s = now_s
        if self._process is None:
            return self._start(now_s) if now_s >= self.seen.next_s else []
        if self._process.poll() is not None:
            return self._ended(self._process.returncode, now_s)
        if now_s - self._began_s > self._limit_s:
            self._kill()
            return self._failed(f"was killed after {self._limit_s:g} s without an end", now_s)
        return []

    def stop(self) -> None:
        """Kill it; twice is harmless."""
        self._kill()
        self.seen = msgspec.structs.replace(self.seen, running=False)

    def _start(self, now_s: float) -> list[str]:
        self._out, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - `_put_away`
        environment = child_environment()
        if self.settings.mlflow_uri:  # it may hold a password, and flags are for all to see
            environment["TICKCAST_MLFLOW_URI"] = self.settings.mlflow_uri
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._errors,
                env=environment,
                start_new_session=True,
            )
        except OSError as exc:
            self._put_away()
            return self._failed(f"could not be started ({exc.strerror or exc})", now_s)
        self._began_s = now_s
        self.seen = msgspec.structs.replace(self.seen, running=True)
        return []

    def _ended(self, code: int, now_s: float) -> list[str]:
        out, errors = _tail(self._out), _tail(self._errors)
        self._put_away()
        try:
            outcomes = msgspec.json.decode(out[-1] if out else b"", type=_Answer).outcomes
        except msgspec.MsgspecError:
            told = errors[-1].decode(errors="replace")[:500] if errors else f"ended with {code} and without a word"
            return self._failed(told.removeprefix("tickcast retrain: "), now_s)
        last = self.seen.last | {one.task: one.sentence for one in outcomes}
        versions = self.seen.versions | {one.task: one.version for one in outcomes if one.version}
        self.seen = msgspec.structs.replace(self.seen, last=last, versions=versions)
        notes = [line for one in outcomes if one.due and not one.error for line in (one.sentence, *one.notes)]
        if failed := [one.sentence for one in outcomes if one.error]:
            return notes + self._failed("; ".join(failed), now_s)
        waits = [one.wait_s / self._speed for one in outcomes if one.wait_s is not None]
        next_s = now_s + min(max(min(waits, default=ASK_MOST_S), ASK_LEAST_S), ASK_MOST_S)
        self.seen = msgspec.structs.replace(self.seen, running=False, failures=0, error="", next_s=next_s)
        return notes

    def _failed(self, error: str, now_s: float) -> list[str]:
        """Try again later, and later still; the same failure is said once."""
        failures = self.seen.failures + 1
        next_s = now_s + again_s(failures, self.settings.retrain_hours)
        known = error == self.seen.error
        self.seen = msgspec.structs.replace(self.seen, running=False, failures=failures, error=error, next_s=next_s)
        return [] if known else [f"retraining: {error.rstrip('.')}; it is tried again, the flow goes on"]

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        self._put_away()

    def _put_away(self) -> None:
        for held in (self._out, self._errors):
            if held is not None:
                held.close()
        self._process = self._out = self._errors = None


def command_of(settings: Settings) -> list[str]:
    """The child's command line: every setting that it needs, so that it asks no file of settings."""
    words = [
        sys.executable,
        "-m",
        "tickcast",
        "retrain",
        "--json",
        "--config",
        os.devnull,
        "--parent",
        str(os.getpid()),
    ]
    for name in _FLAGS:
        value = getattr(settings, name)
        told = ",".join(value) if isinstance(value, tuple) else str(value)
        words.append(f"--{_NAMES.get(name, name).replace('_', '-')}={told}")
    return [*words, "--promote" if settings.retrain_promote else "--no-promote"]


def beside(parent: int) -> None:
    """In the child: let the flow go first, and end when whoever started us is gone."""
    if sys.platform != "win32":
        os.nice(NICE)

    def look() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(PARENT_LOOK_S)
        os._exit(1)  # nothing that is half done can be mistaken for something whole

    threading.Thread(target=look, name="parent", daemon=True).start()


def _tail(said: IO[bytes] | None) -> list[bytes]:
    """The last lines of a file."""
    if said is None:
        return []
    said.seek(max(0, said.seek(0, os.SEEK_END) - TAIL_BYTES))
    return said.read().strip().splitlines()
