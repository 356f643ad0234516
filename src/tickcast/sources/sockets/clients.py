"""Which WebSocket library is used: picows where it can be imported, else aiohttp; a name forces one."""

from __future__ import annotations

import difflib

from tickcast.clock import Clock, SystemClock
from tickcast.errors import ConfigError
from tickcast.sources.sockets.contract import Client

CLIENTS = ("picows", "aiohttp")


def client_for(name: str = "", clock: Clock | None = None) -> Client:
    """A client; messages carry the time of `clock` (the machine's, if none is given).

    >>> client_for("aiohttp").name
    'aiohttp'
    """
    if name and name not in CLIENTS:
        near = difflib.get_close_matches(name, CLIENTS, n=1)
        meant = f"did you mean {near[0]}?" if near else f"choose {' or '.join(CLIENTS)}"
        raise ConfigError("client", f"was {name!r}", f"{meant} Leave it out for the fastest that is installed")
    stamps = clock if clock is not None else SystemClock()
    if name != "aiohttp":
        try:
            from tickcast.sources.sockets.picows_client import PicowsClient
        except ImportError as exc:
            if name:
                raise ConfigError(
                    "client", f"is picows, which can not be imported ({exc})", "leave it out, or give aiohttp"
                ) from exc
        else:
            return PicowsClient(stamps)
    from tickcast.sources.sockets.aiohttp_client import AiohttpClient

    return AiohttpClient(stamps)
