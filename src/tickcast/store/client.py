"""Asks the process that holds a data directory."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import msgspec

from tickcast.errors import StoreError
from tickcast.store.contract import QueryResult
from tickcast.store.wire import SOCKET_TIMEOUT_S, Question, Said, read_run


class QueryClient:
    """Asks the process that holds a data directory."""

    def __init__(self, data_dir: Path, *, timeout_s: float = 30.0) -> None:
        self._data_dir, self._timeout_s = data_dir, timeout_s

    def query(self, sql: str, *, limit: int = 10_000, timeout_s: float | None = None) -> QueryResult:
        """The answer, times and the like as text, or the StoreError that the process itself would raise."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        body = msgspec.json.encode(Question(sql, limit, timeout_s))
        return msgspec.json.decode(self._ask("POST", "/sql", body, timeout_s), type=QueryResult)

    def health(self) -> dict[str, Any]:
        """What the process says of itself."""
        return msgspec.json.decode(self._ask("GET", "/health", None, self._timeout_s), type=dict[str, Any])

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> bytes:
        run = read_run(self._data_dir)
        connection = http.client.HTTPConnection(run.host, run.port, timeout=timeout_s + SOCKET_TIMEOUT_S)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {run.token}"})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise StoreError(
                str(self._data_dir),
                f"is said to be held by process {run.pid}, which does not answer ({exc})",
                "see whether it still runs; `tickcast sql` reads the store itself when nothing holds it",
            ) from exc
        finally:
            connection.close()
        if response.status == 200:
            return data
        try:
            said = msgspec.json.decode(data, type=Said)
        except msgspec.DecodeError as exc:
            raise StoreError(
                str(self._data_dir), f"got answer {response.status} from port {run.port}", "restart what holds it"
            ) from exc
        raise StoreError(said.where, said.what, said.remedy)
