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
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import msgspec

from tickcast.clock import Clock
from tickcast.errors import TickcastError
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.settings import ExchangeSettings

if TYPE_CHECKING:
    from tickcast.sources.simulated.exchange.door import Door
    from tickcast.sources.simulated.exchange.exchange import Exchange

PARENT_LOOK_S = 0.5
START_S = 180.0
"""A first start compiles."""
LOOK_S = 0.1
WORDS_S = 1.5
STOP_S = 0.5
"""Then it is killed: it keeps nothing that could be lost."""
ASK_S = 30.0


class ExchangeError(TickcastError):
    """The local exchange could not be started, or does not answer."""


Told = Callable[[str, dict[str, Any]], None]


def serve(
    settings: ExchangeSettings, clock: Clock, told: Told, door: Door, *, parent: int = 0, faults: Sequence[Fault] = ()
) -> None:
    """Listen until Ctrl-C, SIGTERM or the end of the parent; `told` gets the address and the first status."""
    from tickcast.sources.simulated.exchange.exchange import Exchange

    asyncio.run(_serve(Exchange(settings, clock), told, door, parent, faults))


async def _serve(exchange: Exchange, told: Told, door: Door, parent: int, faults: Sequence[Fault]) -> None:
    from tickcast.sources.simulated.exchange.server import Server

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, ValueError):  # Windows, or another thread: then the handler of the command acts
            break
    async with Server(exchange, door) as server:
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

    def __init__(self, settings: ExchangeSettings | None = None) -> None:
        self.settings = settings
        self.address = ""
        self.status_at_start: dict[str, Any] = {}
        """`live_from_ms`, `live_at_ns` and `speed` among others: what a clock is paced by."""
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._line = b""
        self._heard: threading.Thread | None = None

    def __enter__(self) -> ExchangeProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens; ExchangeError with its own words where it does not."""
        self.begin()
        try:
            self.open(self.settings or ExchangeSettings())
            self.opened()
        except BaseException:
            self.stop()
            raise

    def begin(self) -> None:
        """Start the child; it compiles while it waits to be told what it is to be (`open`)."""
        command = [sys.executable, "-m", "tickcast", "exchange", "--json", "--settings", "-"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._process = subprocess.Popen(
            [*command, "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    def open(self, settings: ExchangeSettings) -> None:
        """Tell it what it is to be; `opened` waits until it is."""
        self.settings = settings
        said = msgspec.json.encode(settings) + b"\n"
        self._heard = threading.Thread(target=self._hear, args=(self._process, said), name="exchange", daemon=True)
        self._heard.start()

    def _hear(self, process: subprocess.Popen[bytes], said: bytes) -> None:
        """Beside the caller: a child that still compiles lets its pipes wait."""
        with suppress(OSError, ValueError):  # it has ended, or was ended: then there is no line
            self._line = _first_line(process, said)

    def opened(self, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Wait until it listens, or `goes_on` says no; ExchangeError with its own words where it never will."""
        for _ in range(round(START_S / LOOK_S)):
            if self._listens():
                return True
            if not goes_on():
                return False
        raise ExchangeError("local exchange", f"did not open within {START_S:g} s", "see whether the machine is busy")

    def _listens(self) -> bool:
        if self._heard is None:
            return False
        self._heard.join(LOOK_S)
        if self._heard.is_alive():
            return False
        if not self._line:
            said = self._last_words()
            self.stop()
            raise ExchangeError("local exchange", f"did not start ({said})", "see the settings")
        if not self.address:
            self.status_at_start = msgspec.json.decode(self._line)
            self.address = str(self.status_at_start["address"])
        return True

    def _last_words(self) -> str:
        if self._process is None or self._errors is None:
            return "it was stopped"
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(WORDS_S)
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "no word"

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
        if self._heard is not None:
            self._heard.join()  # its pipes are at their end
        for pipe in (process.stdin, process.stdout, self._errors):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what it did not read
                    pipe.close()


def _first_line(process: subprocess.Popen[bytes], said: bytes) -> bytes:
    """Tell the child what it is to be, and hear what it says once it listens; nothing where it has ended."""
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(said)
    process.stdin.flush()
    return process.stdout.readline()
