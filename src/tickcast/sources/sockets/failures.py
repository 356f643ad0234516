"""Why a connection could not be opened, in words, whichever library tried it."""

from __future__ import annotations

import errno
import socket
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from tickcast.sources.sockets.contract import SocketError

RETRY_AFTER_MAX_S = 3 * 86_400.0
"""The longest ban that a venue names (Binance: three days); a longer wish is a mistake of somebody's."""
_REMEDIES = {
    HTTPStatus.UNAUTHORIZED: "this address wants a key, which market data needs nowhere: check `endpoints`",
    HTTPStatus.FORBIDDEN: "the venue refuses this country or address: use another of its hosts",
    HTTPStatus.NOT_FOUND: "check the path in `endpoints`",
    HTTPStatus.IM_A_TEAPOT: "this address is banned for a while: it is tried again when the ban is over",
    HTTPStatus.TOO_MANY_REQUESTS: "too many connections were opened from here: it is tried again when it may be",
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "the venue refuses this country: use another of its hosts",
}
_AGAIN = "it is tried again"
_CUT = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


def shown(url: str) -> str:
    """A URL as messages show it: no query, no fragment, no password.

    >>> shown("wss://me:word@ws.example.com/v2?token=1")
    'wss://ws.example.com/v2'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def refused(url: str, status: int, retry_after: str = "", date: str = "") -> SocketError:
    """The other side answered, and its answer was no.

    >>> str(refused("wss://a.example/ws", 503, "30"))
    'wss://a.example/ws: answered 503 (Service Unavailable); it is tried again.'
    """
    try:
        words = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        words = ""
    if 300 <= status < 400:
        remedy = "a WebSocket is not followed elsewhere: put its new address into `endpoints`"
    else:
        remedy = next((text for known, text in _REMEDIES.items() if known == status), _AGAIN)
    return SocketError(
        shown(url),
        f"answered {status}{words}",
        remedy,
        status=status,
        retry_after_s=retry_after_s(retry_after, date),
    )


def retry_after_s(value: str, date: str = "") -> float:
    """A Retry-After in seconds; a date is measured against the answer's own `Date`, so that no clock of ours matters.

    >>> retry_after_s("120")
    120.0
    >>> retry_after_s("Fri, 09 Aug 2024 00:01:00 GMT", "Fri, 09 Aug 2024 00:00:30 GMT")
    30.0
    >>> retry_after_s("soon"), retry_after_s("-5")
    (0.0, 0.0)
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), RETRY_AFTER_MAX_S)
    try:
        wish_s = (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
    return min(max(wish_s, 0.0), RETRY_AFTER_MAX_S)


def failed(url: str, exc: BaseException, timeout_s: float) -> SocketError:
    """No answer at all, or none that is a WebSocket's.

    >>> str(failed("ws://a.example", ConnectionRefusedError(), 10.0))
    'ws://a.example: nothing listens there; check `endpoints` and the network: it is tried again.'
    """
    network = f"check `endpoints` and the network: {_AGAIN}"
    what, remedy = f"could not be opened ({exc!r})", network
    if isinstance(exc, ssl.SSLCertVerificationError):
        what = f"showed a certificate that is not trusted ({exc.verify_message or exc.reason})"
        remedy = "check the machine's clock and its list of authorities, and who answers in the venue's name"
    elif isinstance(exc, ssl.CertificateError):
        what, remedy = f"showed a certificate of another host ({exc})", "check who answers in the venue's name"
    elif isinstance(exc, ssl.SSLError):
        what = f"speaks no TLS that we understand ({exc.reason or exc})"
        remedy = f"check the address in `endpoints` and what lies between: {_AGAIN}"
    elif isinstance(exc, TimeoutError):
        what = f"gave no answer within {timeout_s:g} s"
    elif isinstance(exc, socket.gaierror):
        what = f"has a name that can not be resolved ({exc.strerror or exc})"
    elif isinstance(exc, ConnectionRefusedError):
        what = "nothing listens there"
    elif isinstance(exc, (ConnectionError, EOFError)) or getattr(exc, "errno", 0) in _CUT:
        what = "cut the line before the handshake was done"
    elif isinstance(exc, OSError):
        what = f"could not be reached ({exc.strerror or exc})"
    return SocketError(shown(url), what, remedy)


def no_websocket(url: str, why: str) -> SocketError:
    """Something answered that does not speak WebSocket."""
    return SocketError(shown(url), f"is no WebSocket ({why})", f"check `endpoints` and what lies between: {_AGAIN}")


def goodbye_words(code: int, reason: str) -> str:
    """What a close frame says.

    >>> goodbye_words(1001, "going away"), goodbye_words(0, "")
    ('closed by the venue (1001, going away)', 'closed by the venue')
    """
    said = ", ".join(part for part in (str(code) if code not in (0, 1005) else "", reason) if part)
    return f"closed by the venue ({said})" if said else "closed by the venue"
