"""SQL for other processes: on loopback, with a token, within limits."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.store.kit import candle
from tickcast.errors import StoreError
from tickcast.store.contract import QueryResult
from tickcast.store.duckdb import DuckStore
from tickcast.store.service import QueryClient, QueryServer
from tickcast.store.wire import MAX_QUERIES


@pytest.fixture
def server(tmp_path: Path) -> Iterator[QueryServer]:
    with DuckStore(tmp_path / "store.duckdb") as store:
        store.commit([candle(0, 100.0), candle(1, float("nan"))], None)
        with QueryServer(store, tmp_path, health=lambda: {"status": "ok", "rows": 2}) as server:
            yield server


def ask(server: QueryServer, body: object = None, **headers: str) -> tuple[int, str]:
    """One raw question with the right token and length unless the headers say otherwise."""
    data = body if isinstance(body, bytes) else json.dumps({"sql": "SELECT 1"} if body is None else body).encode()
    sent = {"Authorization": f"Bearer {server.token}", "Content-Length": str(len(data))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("POST", sent.pop("path", "/sql"), skip_host="Host" in sent)
    for name, value in sent.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(data)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_another_process_gets_the_answer(server: QueryServer, tmp_path: Path) -> None:
    result = QueryClient(tmp_path).query("SELECT close, to_timestamp(60) AS at FROM candles ORDER BY window_start_ms")

    at = "1970-01-01T00:01:00+00:00"
    assert result == QueryResult(["close", "at"], [(100.0, at), (None, at)])


def test_limits_are_handed_on(server: QueryServer, tmp_path: Path) -> None:
    assert QueryClient(tmp_path).query("FROM range(5)", limit=2) == QueryResult(["range"], [(0,), (1,)], True)


def test_errors_are_the_stores_own_sentences(server: QueryServer, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as here:
        server.store.query("SELECT pair FROM candels")
    with pytest.raises(StoreError) as there:
        QueryClient(tmp_path).query("SELECT pair FROM candels")

    assert str(here.value) == str(there.value)


def test_health_needs_no_token(server: QueryServer, tmp_path: Path) -> None:
    assert QueryClient(tmp_path).health() == {"status": "ok", "rows": 2}


def get(server: QueryServer, path: str, host: str = "127.0.0.1") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    answer = response.status, response.headers["Content-Type"], response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(("well", "status"), [(True, 200), (False, 503)])
def test_ready_answers_503_until_all_is_well(tmp_path: Path, well: bool, status: int) -> None:
    said = {"ready": well, "checks": [{"name": "store", "ok": well, "detail": "", "age_s": 0.5}]}
    with QueryServer(Held(), tmp_path, ready=lambda: said) as server:
        answer = get(server, "/ready")

        assert (status, "application/json") == answer[:2]
        assert said == json.loads(answer[2])
        assert 200 == get(server, "/health")[0]


def test_metrics_are_text_for_prometheus(tmp_path: Path) -> None:
    with QueryServer(Held(), tmp_path, metrics=lambda: 'tickcast_info{version="ü"} 1\n') as server:
        assert (200, "text/plain; version=0.0.4; charset=utf-8", 'tickcast_info{version="ü"} 1\n') == get(
            server, "/metrics?x=1"
        )


def test_status_pages_answer_while_all_queries_are_taken_and_to_loopback_names_only(tmp_path: Path) -> None:
    held = Held()
    with QueryServer(held, tmp_path) as server:
        client = QueryClient(tmp_path)
        askers = [threading.Thread(target=client.query, args=(str(n),)) for n in range(4)]
        for asker in askers:
            asker.start()
        for _ in askers:
            assert held.running.acquire(timeout=20)

        assert [200, 200, 200] == [get(server, page)[0] for page in ("/health", "/ready", "/metrics")]
        assert [403, 403, 403] == [get(server, page, "evil.example")[0] for page in ("/health", "/ready", "/metrics")]
        assert 404 == get(server, "/other")[0]
        held.go.set()
        for asker in askers:
            asker.join(20)


def test_a_status_that_can_not_be_told_is_a_500_with_the_reason(tmp_path: Path) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no such thing")

    with QueryServer(Held(), tmp_path, health=broken, ready=broken) as server:
        for page in ("/health", "/ready"):
            status, _, body = get(server, page)

            assert 500 == status
            assert "could not say (RuntimeError: no such thing)" == json.loads(body)["what"]


def test_only_the_owner_can_read_the_token(server: QueryServer, tmp_path: Path) -> None:
    run = tmp_path / "run.json"

    assert stat.S_IMODE(run.stat().st_mode) == 0o600
    assert json.loads(run.read_text())["token"] == server.token
    assert server.token not in repr(server)


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Basic x", "Bearer ÿ"])
def test_without_the_token_nothing_is_answered(server: QueryServer, token: str) -> None:
    assert ask(server, Authorization=token)[0] == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0:1"])
def test_other_names_than_loopbacks_are_refused(server: QueryServer, host: str) -> None:
    """A page that a browser loaded from elsewhere and that now means 127.0.0.1 by its own name."""
    assert ask(server, Host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_loopback_names_are_answered(server: QueryServer, host: str) -> None:
    assert ask(server, Host=host)[0] == 200


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (404, None, {"path": "/other"}),
        (411, None, {"Content_Length": ""}),
        (411, None, {"Content_Length": "-5"}),
        (413, None, {"Content_Length": "65537"}),
        (413, None, {"Content_Length": "9" * 30}),
        (400, b"not json", {}),
        (400, {"sql": 5}, {}),
        (400, {"sql": "SELECT 1", "other": 1}, {}),
        (400, {"sql": "SELECT 1", "limit": 0}, {}),
        (400, {"sql": "SELECT 1", "limit": 10_000_000}, {}),
        (400, {"sql": "SELECT 1", "timeout_s": 1e9}, {}),
        (422, {"sql": "DROP TABLE candles"}, {}),
        (422, {"sql": "SELECT repeat('x', 1000000) FROM range(100)"}, {}),
    ],
)
def test_what_is_malformed_or_too_much_is_refused(
    server: QueryServer, status: int, body: object, headers: dict[str, str]
) -> None:
    assert ask(server, body, **headers)[0] == status


class Held:
    """A store whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running = threading.Semaphore(0)

    def query(self, sql: str, *, limit: int = 0, timeout_s: float = 0.0) -> QueryResult:
        self.running.release()
        assert self.go.wait(20)
        return QueryResult(["sql"], [(sql,)])

    def interrupt(self) -> None:
        """It can not be."""


def test_the_fifth_query_at_once_is_told_to_come_again_and_a_stop_lets_the_four_end(tmp_path: Path) -> None:
    held = Held()
    answers: list[QueryResult] = []
    server = QueryServer(held, tmp_path)
    server.start()
    client = QueryClient(tmp_path)
    askers = [threading.Thread(target=lambda n=n: answers.append(client.query(str(n)))) for n in range(4)]
    for asker in askers:
        asker.start()
    for _ in askers:
        assert held.running.acquire(timeout=20)

    with pytest.raises(StoreError, match="query server: runs 4 queries already; ask again in a moment"):
        client.query("5")

    stopper = threading.Thread(target=server.stop)
    stopper.start()
    held.go.set()
    for thread in (*askers, stopper):
        thread.join(20)

    assert sorted(result.rows[0][0] for result in answers) == ["0", "1", "2", "3"]
    assert not (tmp_path / "run.json").exists()


def test_a_connection_that_asks_nothing_does_not_hold_up_a_stop(server: QueryServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"POST /sql HTTP/1.0\r\n")
        assert ask(server)[0] == 200  # by now the idle one was accepted
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        stopper.join(5)

        assert not stopper.is_alive()


def test_more_connections_than_there_is_room_for_are_closed(server: QueryServer) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(40)]

    assert any(one.recv(1) == b"" for one in idle[16:])
    for one in idle:
        one.close()


def test_without_a_running_process_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not held by any process"):
        QueryClient(tmp_path).query("SELECT 1")


def test_a_process_that_died_is_named(server: QueryServer, tmp_path: Path) -> None:
    left_over = (tmp_path / "run.json").read_bytes()
    server.stop()
    (tmp_path / "run.json").write_bytes(left_over)

    with pytest.raises(StoreError, match=r"is said to be held by process \d+, which does not answer"):
        QueryClient(tmp_path).query("SELECT 1")


def test_a_stop_leaves_the_file_of_a_later_process_alone(server: QueryServer, tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    later = run.read_text().replace(server.token, "another")
    run.write_text(later)

    server.stop()
    server.stop()

    assert run.read_text() == later


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.com", ""])
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(StoreError, match="is not a loopback address, so nothing was started"):
        QueryServer(Held(), tmp_path, host=host)


def test_a_port_that_is_taken_is_named(server: QueryServer, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=rf"query server on 127.0.0.1:{server.port}: can not listen"):
        QueryServer(Held(), tmp_path, port=server.port)


SLOW = "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b"


def test_an_answer_that_would_take_long_does_not_hold_up_a_stop(server: QueryServer, tmp_path: Path) -> None:
    """It is stopped, and told why; its own time would be over in a minute."""
    said: list[str] = []

    def ask_slowly() -> None:
        with pytest.raises(StoreError) as told:
            QueryClient(tmp_path).query(SLOW, timeout_s=60.0)
        said.append(str(told.value))

    asker = threading.Thread(target=ask_slowly)
    asker.start()
    while server.slots._value == MAX_QUERIES:  # until it is being answered
        assert asker.is_alive()
    server.stop()
    asker.join(20)

    assert ["query: was stopped, as the process ends; ask again when it runs."] == said


def test_who_does_not_take_his_answer_does_not_hold_up_a_stop(server: QueryServer) -> None:
    body = json.dumps({"sql": "SELECT repeat('x', 1000) FROM range(9000)", "limit": 10_000}).encode()
    head = (
        f"POST /sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket() as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asker.connect(("127.0.0.1", server.port))
        asker.sendall(head.encode() + body)
        assert b"H" == asker.recv(1)  # the answer comes, and nobody takes it
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        stopper.join(20)

        assert not stopper.is_alive()
