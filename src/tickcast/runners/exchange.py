"""The local exchange as a process: served here until it is stopped, or kept as a child that ends with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import msgspec

from tickcast.clock import Clock
from tickcast.errors import TickcastError
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.settings import ExchangeSettings

if TYPE_CHECKING:
    from tickcast.sources.simulated.exchange.exchange import Exchange

PARENT_LOOK_S = 0.5
START_S = 180.0
"""A first start compiles."""
STOP_S = 3.0
ASK_S = 30.0


class ExchangeError(TickcastError):
    """The local exchange could not be started, or does not answer."""


Told = Callable[[str, dict[str, Any]], None]


def serve(
    settings: ExchangeSettings, clock: Clock, told: Told, *, parent: int = 0, faults: Sequence[Fault] = ()
) -> None:
    """Listen until Ctrl-C, SIGTERM or the end of the parent; `told` gets the address and the first status."""
    from tickcast.sources.simulated.exchange.exchange import Exchange

    asyncio.run(_serve(Exchange(settings, clock), told, parent, faults))


async def _serve(exchange: Exchange, told: Told, parent: int, faults: Sequence[Fault]) -> None:
    from tickcast.sources.simulated.exchange.server import Server

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, ValueError):  # Windows, or another thread: then the handler of the command acts
            break
    async with Server(exchange) as server:
        exchange.faults.inject(*faults)
        told(server.address, exchange.status())
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), PARENT_LOOK_S)
            except TimeoutError:
                if parent and os.getppid() != parent:
                    return


class ExchangeProcess:
    """A local exchange as a child process.

        with ExchangeProcess(ExchangeSettings(speed=10)) as exchange:
            exchange.base("binance")

    It is out of Ctrl-C's reach, so that who uses it ends first; it ends with this process even if that is killed.
    """

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        self.address = ""
        self.status_at_start: dict[str, Any] = {}
        """`live_from_ms`, `live_at_ns` and `speed` among others: what a clock is paced by."""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ExchangeProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens; ExchangeError with its own words where it does not."""
        command = [
            sys.executable,
            "-m",
            "tickcast",
            "exchange",
            "--json",
            "--settings",
            "-",
            "--parent",
            str(os.getpid()),
        ]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
            self._process = process
            late = threading.Timer(START_S, process.kill)
            late.start()
            try:
                line = _first_line(process, msgspec.json.encode(self.settings) + b"\n")
            except BrokenPipeError:
                line = b""
            finally:
                late.cancel()
            if not line:
                self.stop()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()
                raise ExchangeError(
                    "local exchange", f"did not start ({said[-1] if said else 'no word'})", "see the settings"
                )
        self.status_at_start = msgspec.json.decode(line)
        self.address = str(self.status_at_start["address"])

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid if self._process else 0

    def base(self, venue: str) -> str:
        """Where a venue is: what the setting `endpoints` wants."""
        return f"{self.address}/{venue}"

    def ask(self, path: str, **query: Any) -> Any:
        """GET something as JSON: `/status`, `/faults`."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def inject(self, *faults: Fault) -> list[int]:
        """Let faults begin; says their numbers."""
        numbers: list[int] = self._call("POST", "/faults", list(faults))["numbers"]
        return numbers

    def storm(self, seed: int, seconds: float, *, pairs: Sequence[str] = ()) -> list[Fault]:
        """Draw a storm and let it begin; says what it is made of."""
        asked = {"seed": seed, "seconds": seconds, "pairs": list(pairs)}
        return msgspec.convert(self._call("POST", "/storm", asked), list[Fault])

    def calm(self) -> None:
        """Take all faults away."""
        self._call("DELETE", "/faults")

    def truth(self, venue: str, pair: str, from_ms: int = 0, to_ms: int = 0, *, aggregates: bool = False) -> Any:
        """What happened, as columns."""
        way = f"/truth/{venue}/{quote(pair, safe='')}"
        return self.ask(way, from_ms=from_ms, to_ms=to_ms, aggregates=int(aggregates))

    def _call(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else msgspec.json.encode(value)
        request = Request(self.address + path, data=body, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=ASK_S) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            raise ExchangeError("local exchange", f"refused {path} ({said})", "correct the request") from error
        except (URLError, OSError, msgspec.DecodeError) as error:
            raise ExchangeError("local exchange", f"does not answer ({error})", "see whether it runs") from error

    def stop(self) -> None:
        """End it; twice is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[bytes], said: bytes) -> bytes:
    """Tell the child what it is to be, and hear what it says once it listens; nothing where it has ended."""
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(said)
    process.stdin.flush()
    return process.stdout.readline()
