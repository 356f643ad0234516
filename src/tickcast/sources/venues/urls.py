"""URLs of venues: checked and turned, never opened."""

from __future__ import annotations


def socket_url(base: str) -> str:
    """The same address for a WebSocket.

    >>> socket_url("https://example.org/x"), socket_url("http://127.0.0.1:9000/binance")
    ('wss://example.org/x', 'ws://127.0.0.1:9000/binance')
    """
    return "ws" + base.removeprefix("http")
