"""Where the exchange will be found: its port is taken, and its certificate read, before its market's history is made.

That history may take minutes; who named a port that is not free is told so at once.
"""

from __future__ import annotations

import socket
import ssl
from types import TracebackType

from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.settings import ExchangeSettings


class Door:
    """The sockets that the exchange will listen on; nobody is heard at them yet.

    >>> with Door(ExchangeSettings(live_from_ms=0)) as door:
    ...     door.port > 0
    True
    """

    def __init__(self, settings: ExchangeSettings) -> None:
        self._where = f"{settings.host}:{settings.port}"
        self.context = _tls(settings.tls_cert, settings.tls_key)
        """What a TLS connection is made with; None: without TLS."""
        self.sockets: list[socket.socket] = []
        try:
            for family, *_, address in socket.getaddrinfo(settings.host, None, type=socket.SOCK_STREAM):
                port = self.port if self.sockets else settings.port
                self._bind(family, (address[0], port, *address[2:]))
        except (OSError, OverflowError) as error:
            self.close()
            raise self.refusal(error) from error

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port, also where any free one was asked for."""
        return int(self.sockets[0].getsockname()[1])

    def refusal(self, error: Exception) -> ConfigError:
        """Why it can not be listened on; another may have begun to between our taking the port and our listening."""
        said = getattr(error, "strerror", None) or error
        return ConfigError(self._where, f"can not be listened on ({said})", "name a free port, or 0")

    def close(self) -> None:
        """Let go of the port."""
        for one in self.sockets:
            one.close()

    def _bind(self, family: int, address: tuple[object, ...]) -> None:
        bound = socket.socket(family, socket.SOCK_STREAM)
        self.sockets.append(bound)
        bound.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # what an earlier one left half closed is no hindrance
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)


def _tls(cert: str, key: str) -> ssl.SSLContext | None:
    """TLS with that certificate."""
    if not cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("tls", f"{cert} and {key} can not be used ({error})", "name a PEM file of each") from error
    return context
