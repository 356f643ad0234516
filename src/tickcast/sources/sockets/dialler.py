"""What every client dials with, whatever library it speaks through."""

from __future__ import annotations

import ssl

from tickcast.clock import Clock
from tickcast.sources.sockets.resolving import Resolver


class Dialler:
    """A clock, a resolver and what TLS connections are made with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resolver = Resolver()
        self._contexts: dict[str, ssl.SSLContext] = {}

    def _context(self, ca_file: str) -> ssl.SSLContext:
        """Reading a list of authorities takes tens of milliseconds: once for all dials."""
        if ca_file not in self._contexts:
            self._contexts[ca_file] = ssl.create_default_context(cafile=ca_file or None)
        return self._contexts[ca_file]
