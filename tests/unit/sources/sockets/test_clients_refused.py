"""What a dial that fails says of it, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.sources.sockets.playing import LIMIT, sends
from tests.unit.sources.sockets.servers import (
    PATIENCE_S,
    TEXT,
    Ears,
    Handler,
    Peer,
    certificate,
    frame,
    serving,
)
from tickcast.sources.sockets.contract import Client, SocketError


def refusal(client: Client, handler: Handler | None, timeout_s: float = 10.0, url: str = "") -> SocketError:
    """What a dial that must fail says; nothing is heard, and no end either."""

    async def run() -> SocketError:
        ears = Ears()

        async def dial(to: str) -> SocketError:
            with pytest.raises(SocketError) as caught:
                await client.connect(to, ears, message_bytes_max=LIMIT, timeout_s=timeout_s)
            return caught.value

        async with asyncio.timeout(PATIENCE_S):
            if handler is None:
                error = await dial(url)
            else:
                async with serving(handler) as served:
                    error = await dial(url or served)
        await asyncio.sleep(0)
        assert ([], []) == (ears.messages, ears.ends)
        return error

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "headers", "wanted", "retry_after_s"),
    [
        ("429 Too Many Requests", "Retry-After: 7\r\n", 429, 7.0),
        ("418 I'm a teapot", "retry-after: 120\r\n", 418, 120.0),
        ("451 Unavailable For Legal Reasons", "", 451, 0.0),
        ("403 Forbidden", "", 403, 0.0),
        (
            "503 Service Unavailable",
            "Date: Fri, 09 Aug 2024 00:00:00 GMT\r\nRetry-After: Fri, 09 Aug 2024 00:01:30 GMT\r\n",
            503,
            90.0,
        ),
        ("530 A status that Python has no name for", "Retry-After: 3\r\n", 530, 3.0),
        ("302 Found", "Location: ws://127.0.0.1:9/elsewhere\r\n", 302, 0.0),
        ("200 OK", "", 200, 0.0),
    ],
)
def test_a_refusal_carries_its_status_and_when_to_come_back(
    client: Client, status: str, headers: str, wanted: int, retry_after_s: float
) -> None:
    error = refusal(client, lambda peer: peer.answer(status, headers))

    assert (wanted, retry_after_s) == (error.status, error.retry_after_s)
    assert f"answered {wanted}" in error.what


def test_a_host_that_is_not_there_a_name_that_is_none_and_a_wrong_address_are_told_apart(client: Client) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

    assert "nothing listens there" == refusal(client, None, url=f"ws://127.0.0.1:{port}/").what
    assert "name that can not be resolved" in refusal(client, None, url="ws://no.such.host.invalid/").what
    assert "is no WebSocket" in refusal(client, None, url="nonsense").what


def test_somebody_who_accepts_and_says_nothing_times_out(client: Client) -> None:
    error = refusal(client, Peer.gone, timeout_s=0.2)

    assert "gave no answer within 0.2 s" == error.what


def test_garbage_instead_of_a_handshake_is_no_websocket(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await peer.gone()

    assert "is no WebSocket" in refusal(client, handler).what


def test_a_handshake_with_a_wrong_key_is_no_websocket(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: bm90IGl0\r\n\r\n"
        )
        await peer.gone()

    assert "is no WebSocket" in refusal(client, handler).what


def test_a_line_that_is_cut_during_the_handshake_is_told_as_that(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()

    assert "cut the line before the handshake was done" == refusal(client, handler).what


def test_tls_garbage_and_an_untrusted_certificate_say_which(client: Client, tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)

    async def untrusted() -> SocketError:
        async with asyncio.timeout(PATIENCE_S), serving(Peer.gone, context) as url:
            with pytest.raises(SocketError) as caught:
                await client.connect(url, Ears(), message_bytes_max=LIMIT, timeout_s=10.0)
        return caught.value

    async def garbage() -> SocketError:
        async with asyncio.timeout(PATIENCE_S), serving(lambda peer: peer.send(b"no TLS here\r\n" * 9)) as url:
            with pytest.raises(SocketError) as caught:
                await client.connect(url.replace("ws://", "wss://"), Ears(), message_bytes_max=LIMIT, timeout_s=10.0)
        return caught.value

    assert "certificate that is not trusted" in asyncio.run(untrusted()).what
    assert "speaks no TLS that we understand" in asyncio.run(garbage()).what


def test_a_certificate_of_another_host_is_refused(client: Client, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "DNS:elsewhere.example")

    async def run() -> SocketError:
        async with asyncio.timeout(PATIENCE_S), serving(Peer.gone, context) as url:
            with pytest.raises(SocketError) as caught:
                await client.connect(url, Ears(), message_bytes_max=LIMIT, timeout_s=10.0, ca_file=trusted)
        return caught.value

    assert "certificate that is not trusted" in asyncio.run(run()).what


def test_a_trusted_certificate_carries_messages(client: Client, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path)

    async def run() -> Ears:
        ears = Ears()
        async with asyncio.timeout(PATIENCE_S), serving(sends(frame(TEXT, b"secret" * 9000)), context) as url:
            link = await client.connect(url, ears, message_bytes_max=LIMIT, timeout_s=10.0, ca_file=trusted)
            await ears.until(lambda: ears.messages)
            link.close()
            await ears.end()
        return ears

    ears = asyncio.run(run())

    assert [b"secret" * 9000] == ears.messages
    assert ["closed by us"] == ears.ends


def test_a_dial_that_is_given_up_leaves_no_line_behind(client: Client) -> None:
    left = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        left.set()

    asked = asyncio.Event()

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), serving(handler) as url:
            dial = asyncio.create_task(client.connect(url, Ears(), message_bytes_max=LIMIT, timeout_s=2.0))
            await asked.wait()
            dial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dial
            await left.wait()

    asyncio.run(run())


def test_a_name_server_that_is_dead_does_not_hold_up_the_end_of_the_process(client: Client) -> None:
    """A lookup blocks for half a minute; the dial gives up after its time and Python ends at once."""
    program = f"""
import asyncio, socket, time
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.sockets.contract import SocketError
socket.getaddrinfo = lambda *_, **__: time.sleep(300)
async def main():
    try:
        await client_for({client.name!r}).connect(
            "ws://a.example/", None, message_bytes_max=9, timeout_s=0.2)
    except SocketError as error:
        print(error.what)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert "gave no answer within 0.2 s\n" == done.stdout
