"""The HTTP client: one GET at a time, with bounds on time and size. This file alone knows the library."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Mapping
from typing import IO, NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tickcast.sources.sockets.failures import failed
from tickcast.sources.sockets.resolving import Resolver

BODY_MAX = 32 << 20
CONNECTIONS_MAX = 8
_REDIRECTS_MAX = 3
_CHUNK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)


class Unreached(Exception):
    """No whole answer came: refused, timed out, torn, too large; the text says which."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Of a download that came: its sha256 in hex."""


class Http:
    """GETs. Connections are opened when they are needed and kept; nothing here waits longer than it was told."""

    def __init__(self, ca_file: str = "") -> None:
        self.ca_file = ca_file
        self._names = _Names(Resolver())
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, url: str, params: tuple[tuple[str, str], ...] = (), *, timeout_s: float, body_max: int = 0
    ) -> Answer:
        """Ask for a page; 0 allows it the usual size."""
        body_max = body_max or BODY_MAX
        try:
            async with asyncio.timeout(timeout_s):
                async with await self._open(url, params) as answer:
                    body = bytearray()
                    async for chunk in answer.content.iter_chunked(_CHUNK):
                        body += chunk
                        if len(body) > body_max:
                            raise Unreached(f"the answer is larger than {body_max >> 20} MiB")
                    headers = {name.lower(): value for name, value in answer.headers.items()}
                    return Answer(answer.status, headers, bytes(body))
        except TimeoutError:
            raise Unreached(f"no whole answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreached(_plain(url, exc)) from exc

    async def download(self, url: str, file: IO[bytes], *, idle_s: float, size_max: int) -> Answer:
        """Fetch a file; it may take long, but must not stand still."""
        digest, size = hashlib.sha256(), 0
        try:
            async with asyncio.timeout(idle_s) as limit, await self._open(url, ()) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                if answer.status != 200:
                    return Answer(answer.status, headers, b"")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    limit.reschedule(asyncio.get_running_loop().time() + idle_s)
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
                    if size > size_max:
                        raise Unreached(f"the file is larger than {size_max >> 20} MiB")
                return Answer(200, headers, digest.hexdigest().encode())
        except TimeoutError:
            raise Unreached(f"nothing came for {idle_s:g} s") from None
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreached(_plain(url, exc)) from exc

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self, url: str, params: tuple[tuple[str, str], ...]) -> aiohttp.ClientResponse:
        """Redirects are followed on the same host only: another one may be anybody's."""
        if self._session is None:
            context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=context, resolver=self._names)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=10.0),
                headers={"User-Agent": "tickcast", "Accept": "application/json"},
            )
        answer = await self._session.get(url, params=params, allow_redirects=False)
        for _ in range(_REDIRECTS_MAX):
            to = urljoin(str(answer.url), answer.headers.get("Location", ""))
            if answer.status not in _REDIRECTS or urlsplit(to)[:2] != urlsplit(url)[:2]:
                break
            answer.release()
            answer = await self._session.get(to, allow_redirects=False)
        return answer


class _Names(AbstractResolver):
    """Our way of looking names up, which never holds up the end of the process, as the library wants one."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=where[0], port=where[1], family=kind, proto=proto, flags=flags)
            for kind, _, proto, _, where in await self._resolver.addresses(host, port)
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _plain(url: str, exc: Exception) -> str:
    """Why there is no answer: in the words that sockets have for it, where it was never connected."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return failed(url, exc.certificate_error, 0.0).what
    if isinstance(exc, aiohttp.ClientConnectorError):
        return failed(url, exc.os_error, 0.0).what
    text = str(exc)
    return f"{type(exc).__name__}{': ' if text else ''}{text}"[:200]
