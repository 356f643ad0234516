"""SQL and status for other processes while this one holds the store: a small server on loopback, and its client.

`run.json` in the data directory says where it listens and holds the token that a question needs; only the user who
started the process can read that file.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tickcast.errors import StoreError
from tickcast.store.ask import jsonable
from tickcast.store.client import QueryClient
from tickcast.store.contract import QueryResult
from tickcast.store.wire import (
    MAX_ANSWER_BYTES,
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MAX_QUERIES,
    MAX_ROWS,
    MAX_TIMEOUT_S,
    RUN_FILE,
    SOCKET_TIMEOUT_S,
    Question,
    Run,
    Said,
    is_loopback,
    read_run,
    write_private,
)

__all__ = ["QueryClient", "QueryServer"]

PAGES = ("/health", "/ready", "/metrics")
JSON_TYPE = "application/json"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_KNOWN = f"ask GET {', '.join(PAGES)} or POST /sql"


STOP_S = 1.0
"""So long a stop waits for answers that are under way; then they are stopped."""
CUT_S = 0.5
"""And so long after that who does not take his answer is cut."""
AGAIN_S = 0.05


class Answers(Protocol):
    """What the server asks: the part of a store that it needs."""

    def query(self, sql: str, *, limit: int = 10_000, timeout_s: float = 30.0) -> QueryResult:
        """Answer one reading statement."""
        ...

    def interrupt(self) -> None:
        """Stop what is being answered."""
        ...


class QueryServer:
    """Answers `POST /sql` with a token and `GET /health`, `/ready` and `/metrics` without, on loopback only.

    At most four queries run at once; the fifth is told to come again. The three callables are called by threads of
    the server: they must not touch what another one changes. `ready` says so under that name; `metrics` writes
    Prometheus's text.
    """

    def __init__(
        self,
        store: Answers,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        health: Callable[[], dict[str, Any]] = lambda: {"status": "ok"},
        ready: Callable[[], dict[str, Any]] = lambda: {"ready": True, "checks": []},
        metrics: Callable[[], str] = lambda: "",
    ) -> None:
        if not is_loopback(host):
            raise StoreError(
                f"query server on {host}", "is not a loopback address, so nothing was started", "use 127.0.0.1"
            )
        self.store, self.health, self.ready, self.metrics = store, health, ready, metrics
        self.token = secrets.token_urlsafe(32)
        self.slots = threading.BoundedSemaphore(MAX_QUERIES)
        self._run_file = data_dir / RUN_FILE
        try:
            self._server = _Server((host, port), self)
        except OSError as exc:
            raise StoreError(
                f"query server on {host}:{port}", f"can not listen ({exc.strerror})", "choose another port"
            ) from exc
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="query-server")

    def start(self) -> None:
        """Listen, and say where in `run.json`."""
        run = Run(self.host, self.port, self.token, os.getpid())
        try:
            write_private(self._run_file, msgspec.json.encode(run))
        except OSError as exc:
            self._server.server_close()
            raise StoreError(str(self._run_file), f"can not be written ({exc.strerror})", "free some space") from exc
        self._thread.start()

    def stop(self) -> None:
        """Let the running answers end if they do so soon, then go; twice is harmless."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.hang_up()
        ended = threading.Event()
        hurry = threading.Thread(target=self._hurry, args=(ended,), name="query-server-stop", daemon=True)
        hurry.start()
        try:
            self._server.server_close()
        finally:
            ended.set()
            hurry.join()
        with suppress(StoreError):
            if read_run(self._run_file.parent).token == self.token:  # not the file of a process that came after us
                self._run_file.unlink(missing_ok=True)

    def _hurry(self, ended: threading.Event) -> None:
        looks, wait_s = 0, STOP_S
        while not ended.wait(wait_s):
            self.store.interrupt()
            if looks * AGAIN_S >= CUT_S:
                self._server.cut_unread()
            looks, wait_s = looks + 1, AGAIN_S

    def __enter__(self) -> QueryServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # stop waits for the answers that are under way
    block_on_close = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, address: tuple[str, int], owner: QueryServer) -> None:
        self.owner = owner
        self._waiting: set[socket.socket] = set()
        """Connections whose question has not come yet."""
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._guard:
            self._waiting.add(request)
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.asked(request)
            with self._guard:
                self._open.discard(request)
            self._room.release()

    def asked(self, request: Any) -> None:
        """The question is here: from now on a stop waits for its answer."""
        with self._guard:
            self._waiting.discard(request)

    def hang_up(self) -> None:
        """End the connections on which nothing was asked."""
        with self._guard:
            for request in self._waiting:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RD)

    def cut_unread(self) -> None:
        """End the connections whose answer is not taken: a moment ago it was ready."""
        with self._guard:
            for request in self._open:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SOCKET_TIMEOUT_S
    server_version, sys_version = "tickcast", ""

    def do_GET(self) -> None:
        if not self._from_here():
            return
        path = self.path.partition("?")[0]
        if path not in PAGES:
            self._refuse(404, "has no such page", _KNOWN)
            return
        self.server.asked(self.request)
        try:
            answer = self._page(path)
        except Exception as exc:  # noqa: BLE001  a monitor must hear that it failed, not a closed connection
            self._refuse(500, f"could not say ({type(exc).__name__}: {exc})", "see what the process printed")
        else:
            self._send(*answer)

    def _page(self, path: str) -> tuple[int, bytes, str]:
        owner = self.server.owner
        if path == "/metrics":
            return 200, owner.metrics().encode(), METRICS_TYPE
        said = owner.health() if path == "/health" else owner.ready()
        well = path == "/health" or bool(said.get("ready"))
        return 200 if well else 503, msgspec.json.encode(said, enc_hook=str), JSON_TYPE

    def do_POST(self) -> None:
        if not self._from_here():
            return
        if self.path != "/sql":
            self._refuse(404, "has no such page", _KNOWN)
        elif not secrets.compare_digest(
            self.headers.get("Authorization", "").encode(), f"Bearer {self.server.owner.token}".encode()
        ):
            self._refuse(401, "was asked without the right token", f"send the token of {RUN_FILE}")
        else:
            question = self._question()
            if question is not None:
                self.server.asked(self.request)
                self._answer(question)

    def _from_here(self) -> bool:
        """A browser that was led here by another name must not reach us."""
        host = self.headers.get("Host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if is_loopback(name.strip("[]")):
            return True
        self._refuse(403, "answers loopback names only", "ask 127.0.0.1 or localhost")
        return False

    def _question(self) -> Question | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._refuse(411, "was asked without a Content-Length", "send the length of the body")
            return None
        if int(length) > MAX_BODY_BYTES:
            self._refuse(413, f"was asked with more than {MAX_BODY_BYTES} bytes", "shorten the query")
            return None
        try:
            question = msgspec.json.decode(self.rfile.read(int(length)), type=Question)
        except (msgspec.DecodeError, OSError) as exc:
            self._refuse(400, f"can not read the question ({exc})", 'send {"sql": "SELECT ..."}')
            return None
        if not 0 < question.limit <= MAX_ROWS or not 0 < question.timeout_s <= MAX_TIMEOUT_S:
            self._refuse(
                400,
                f"was asked for {question.limit} rows in {question.timeout_s:g} s",
                f"ask for 1 to {MAX_ROWS} rows in at most {MAX_TIMEOUT_S:g} s",
            )
            return None
        return question

    def _answer(self, question: Question) -> None:
        slots = self.server.owner.slots
        if not slots.acquire(blocking=False):
            self._refuse(503, f"runs {MAX_QUERIES} queries already", "ask again in a moment")
            return
        try:
            result = self.server.owner.store.query(question.sql, limit=question.limit, timeout_s=question.timeout_s)
            rows = [tuple(jsonable(value) for value in row) for row in result.rows]
            body = msgspec.json.encode(QueryResult(result.columns, rows, result.truncated))
        except StoreError as exc:
            self._send(422, msgspec.json.encode(Said(exc.where, exc.what, exc.remedy)))
            return
        finally:
            slots.release()
        if len(body) > MAX_ANSWER_BYTES:
            self._refuse(422, f"would answer with {len(body) >> 20} MiB", "ask for fewer rows or columns")
            return
        self._send(200, body)

    def _refuse(self, status: int, what: str, remedy: str) -> None:
        self._send(status, msgspec.json.encode(Said("query server", what, remedy)))

    def _send(self, status: int, body: bytes, kind: str = JSON_TYPE) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Answers are not logged: a query may say what its user keeps to himself."""
