"""A venue that only talks: a process of its own that sends frames made beforehand, as fast as a socket takes them.

    with blast(message_frames) as url: ...

It shakes hands with every client, ignores what it is told, sends the block of frames again and again, and never ends
by itself: who measures counts what comes, and leaves.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory


def frames_of(messages: Sequence[bytes]) -> bytes:
    """Each message as a text frame of a server."""
    return b"".join(
        (bytes([0x81, len(raw)]) if len(raw) < 126 else b"\x81\x7e" + len(raw).to_bytes(2, "big")) + raw
        for raw in messages
    )


def binance_messages(count: int = 4096) -> list[bytes]:
    """Aggregated trades and best prices as Binance sends them, as many of one as of the other."""
    messages = []
    for number in range(count // 2):
        ms, price = 1_723_161_600_000 + number, 6_000_000 + number % 997
        messages.append(
            b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":%d,"s":"BTCUSDT","a":%d,"p":"%d.%02d000000",'
            b'"q":"0.00%03d000","f":%d,"l":%d,"T":%d,"m":%s,"M":true}}'
            % (ms + 1, 3_000_000_000 + number, price // 100, price % 100, number % 999 + 1, 3_700_000_000 + number,
               3_700_000_000 + number, ms, b"true" if number % 3 else b"false")
        )  # fmt: skip
        messages.append(
            b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"%d.%02d000000","B":"1.25%03d000",'
            b'"a":"%d.%02d000000","A":"0.75%03d000"}}'
            % (50_000_000_000 + number, price // 100, price % 100, number % 999, price // 100 + 1, price % 100,
               number % 997)
        )  # fmt: skip
    return messages


@contextlib.contextmanager
def blast(block: bytes) -> Iterator[str]:
    """Serve these frames; gives the URL."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        path.write_bytes(block)
        command = [sys.executable, "-m", "benchmarks.blast", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
            try:
                assert sender.stdout is not None
                yield f"ws://127.0.0.1:{int(sender.stdout.readline())}/stream"
            finally:
                sender.kill()


def _talk(link: socket.socket, block: bytes) -> None:
    """To one client, until it has left."""
    with contextlib.suppress(OSError, StopIteration), link:
        request = b""
        while b"\r\n\r\n" not in request:
            request += link.recv(65536)
        lines = request.split(b"\r\n")
        key = next(line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"sec-websocket-key"))
        answer = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        link.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n"
        )
        while True:
            link.sendall(block)


def main() -> None:
    """Listen, say where, and talk to whoever comes."""
    block = Path(sys.argv[1]).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            link, _ = server.accept()
            threading.Thread(target=_talk, args=(link, block), daemon=True).start()


if __name__ == "__main__":
    main()
