"""`tickcast doctor`'s look at the network: whether each exchange can be reached from here, and what stands in the way.

    names ─┬→ REST: one answer, and a second one that tells the venue's clock
           └→ WebSocket: the handshake

All exchanges at once, each step within seconds: without a network it says so and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tickcast.cli.finding import FAIL, OK, WARN, Finding
from tickcast.clock import NS_PER_MS, Clock
from tickcast.errors import TickcastError
from tickcast.sources.history.dialects import dialect_of
from tickcast.sources.history.faults import BAN, BUSY, GEO, RATE, Fault, judge
from tickcast.sources.history.http import Http, Unreached
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.sockets.contract import Client, SocketError
from tickcast.sources.sockets.resolving import Resolver
from tickcast.sources.venues.registry import VENUES, endpoints_for, known_exchange, venue_of

if TYPE_CHECKING:
    from tickcast.config import Settings
    from tickcast.sources.venues.contract import Endpoints, Venue

NAMES_S, STEP_S, WHOLE_S, GOODBYE_S = 4.0, 5.0, 20.0, 1.0
OFFSET_WARN_MS = 1000.0
REFUSED = (403, 451)
"""How a venue refuses a country, or an address."""
THE_WAY_ROUND = "the way round"
"""Stands for a remedy that is looked for once for both REST and socket."""
BETWEEN = "see what lies between: the network, a proxy, a firewall"
UNTRUSTED = "see this machine's clock and its list of authorities, and who answers in the venue's name"


class Look(NamedTuple):
    """One venue, and how it is looked at."""

    venue: Venue
    endpoints: Endpoints
    client: Client
    clock: Clock


def examine_network(settings: Settings, clock: Clock, exchanges: Sequence[str], *, asked: bool) -> list[Finding]:
    """All findings, exchange by exchange; where nobody asked for these exchanges, what fails is but a warning."""
    found: list[Finding] = []
    looks: list[Look] = []
    try:
        client = client_for(settings.ws_client, clock)
    except TickcastError as error:
        return [Finding("network", FAIL, f"{error.where}: {error.what}", error.remedy)]
    for name in exchanges:
        try:
            known_exchange(name)
            if name in VENUES:
                venue = venue_of(name)
                looks.append(Look(venue, endpoints_for(venue, settings.endpoints), client, clock))
            else:
                found.append(Finding(name, OK, "is read through ccxt, and not looked at here"))
        except TickcastError as error:
            what = error.what.removesuffix(", so nothing was started")
            found.append(Finding(name, FAIL, f"{error.where}: {what}", error.remedy))
    results = asyncio.run(_all(looks)) if looks else []
    nameless = [one for result in results for one in result if one.check.endswith(" names")]
    if len(nameless) == len(looks) > 1:
        what = f"no exchange's name can be resolved ({', '.join(look.venue.name for look in looks)})"
        remedy = "connect this machine, or see its DNS; demo, replay, import, sql and export need no network"
        results = [[Finding("network", FAIL, what, remedy)]]
    told = [one if asked or one.state != FAIL else one._replace(state=WARN) for result in results for one in result]
    return found + told


async def _all(looks: Iterable[Look]) -> list[list[Finding]]:
    return await asyncio.gather(*(_bounded(look) for look in looks))


async def _bounded(look: Look) -> list[Finding]:
    """Each step has its own limit; this one is for what no step thought of."""
    name = look.venue.name
    try:
        async with asyncio.timeout(WHOLE_S):
            return await _venue(look)
    except TimeoutError:
        return [Finding(name, FAIL, f"could not be looked at within {WHOLE_S:g} s", BETWEEN)]
    except Exception as exc:  # noqa: BLE001  the doctor must come to the end of the list
        return [Finding(name, FAIL, f"could not be checked ({type(exc).__name__}: {exc})", "report this")]


async def _venue(look: Look) -> list[Finding]:
    name, endpoints = look.venue.name, look.endpoints
    hosts = dict.fromkeys(_host(url) for url in (endpoints.rest, endpoints.ws))
    failed = await _unresolved(hosts)
    if len(failed) == len(hosts):
        why = next(iter(failed.values()))
        what = f"{' and '.join(host for host, _ in failed)} can not be resolved ({why})"
        return [Finding(f"{name} names", FAIL, what, "see the network and its DNS, or `endpoints`")]
    http = Http()
    try:
        rest, socket = await asyncio.gather(_rest(look, http), _socket(look))
        found = [*rest, socket]
        way = await _way_round(look, http) if any(one.remedy == THE_WAY_ROUND for one in found) else ""
    finally:
        await http.close()
    return [one._replace(remedy=way) if one.remedy == THE_WAY_ROUND else one for one in found]


def _host(url: str) -> tuple[str, int]:
    """Where a URL leads.

    >>> _host("wss://stream.binance.com:9443/stream"), _host("https://api.kraken.com")
    (('stream.binance.com', 9443), ('api.kraken.com', 443))
    """
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)


async def _unresolved(hosts: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Why names can not be resolved, for those that can not."""
    resolver, every = Resolver(), list(hosts)

    async def why(host: str, port: int) -> str:
        try:
            async with asyncio.timeout(NAMES_S):
                await resolver.addresses(host, port)
        except TimeoutError:
            return f"no answer within {NAMES_S:g} s"
        except (OSError, UnicodeError) as exc:
            return getattr(exc, "strerror", None) or str(exc)
        return ""

    answers = await asyncio.gather(*(why(*one) for one in every))
    return {one: answer for one, answer in zip(every, answers, strict=True) if answer}


async def _rest(look: Look, http: Http) -> list[Finding]:
    """Reachable or not, and if so, what the venue's clock says."""
    name, check = look.venue.name, f"{look.venue.name} rest"
    began_s = look.clock.monotonic_s()
    try:
        fault = await _ask(look, http, look.endpoints)
        if fault is not None:
            return [_fault(check, look.endpoints.rest, fault)]
        took_ms = (look.clock.monotonic_s() - began_s) * 1000
        offset_ms, error_ms = await _offset(look, http)
    except Unreached as exc:
        remedy = UNTRUSTED if "ertificate" in str(exc) else BETWEEN
        return [Finding(check, FAIL, f"{look.endpoints.rest} can not be reached ({exc})", remedy)]
    except TickcastError as error:
        return [Finding(check, FAIL, f"{error.where} {error.what}", error.remedy)]
    reached = Finding(check, OK, f"{look.endpoints.rest} answered in {took_ms:,.0f} ms")
    return [reached, _clock(f"{name} clock", offset_ms, error_ms)]


async def _ask(look: Look, http: Http, endpoints: Endpoints) -> Fault | None:
    request = dialect_of(look.venue.name).TIME
    answer = await http.get(endpoints.rest + request.path, request.params, timeout_s=STEP_S)
    return judge(look.venue.name, answer.status, endpoints.rest, answer.headers, answer.body)


async def _offset(look: Look, http: Http) -> tuple[float, float]:
    """The venue's clock less ours, and how far that may be wrong; asked for once the connection stands.

    Half of the way there and back is in doubt, and where a venue tells whole seconds, half a second more.
    """
    dialect, clock = dialect_of(look.venue.name), look.clock
    request = dialect.TIME
    sent_ns = clock.now_ns()
    answer = await http.get(look.endpoints.rest + request.path, request.params, timeout_s=STEP_S)
    recv_ns = clock.now_ns()
    venue_ms = dialect.read_time(answer.body)
    grain_ms = 1 if venue_ms % 1000 else 1000
    middle_ms = (sent_ns + recv_ns) / 2 / NS_PER_MS
    return venue_ms + grain_ms / 2 - middle_ms, (recv_ns - sent_ns) / 2 / NS_PER_MS + grain_ms / 2


def _clock(check: str, offset_ms: float, error_ms: float) -> Finding:
    """A finding on the clock of this machine, by the venue's.

    >>> _clock("kraken clock", -5000.0, 20.0).found
    'this machine is 5.00 s ahead of the venue, give or take 0.02 s'
    """
    where = "behind" if offset_ms >= 0 else "ahead of"
    text = f"this machine is {abs(offset_ms) / 1000:.2f} s {where} the venue, give or take {error_ms / 1000:.2f} s"
    if abs(offset_ms) - error_ms <= OFFSET_WARN_MS:
        return Finding(check, OK, text)
    remedy = "keep the clock with NTP; the data are not affected, candles and features go by the venue's time"
    return Finding(check, WARN, text, remedy)


def _fault(check: str, url: str, fault: Fault) -> Finding:
    """What a refusal means; one to a country gets its remedy later."""
    if fault.kind == GEO:
        return Finding(check, FAIL, f"{fault.detail}: so a country or an address is refused", THE_WAY_ROUND)
    if fault.kind in (RATE, BAN):
        wait = f"wait {fault.wait_s:,.0f} s" if fault.wait_s else "wait a few minutes"
        word = "has locked this address out" if fault.kind == BAN else "is asked too often from this address"
        return Finding(check, WARN, f"{url} {word} ({fault.detail})", f"{wait}, and see what else asks it from here")
    if fault.kind == BUSY:
        return Finding(check, WARN, f"{url} is down or overloaded ({fault.detail})", "nothing: it is tried again")
    return Finding(check, FAIL, f"{url} does not answer as the venue does ({fault.detail})", "see `endpoints`")


class _Listener:
    """Hears nothing, but when it ends."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def message(self, recv_ns: int, raw: bytes) -> None:
        """Of no interest here."""

    def sign_of_life(self, recv_ns: int, pong: bytes | None) -> None:
        """Of no interest here."""

    def closed(self, why: str) -> None:  # noqa: ARG002
        """The end."""
        self.ended.set()


async def _socket(look: Look) -> Finding:
    """The handshake, with the client that would be used."""
    check, listener = f"{look.venue.name} socket", _Listener()
    url = look.venue.ws_url(look.endpoints, ())
    began_s = look.clock.monotonic_s()
    try:
        socket = await look.client.connect(
            url, listener, message_bytes_max=look.venue.rules.message_bytes_max, timeout_s=STEP_S
        )
    except SocketError as error:
        if error.status in REFUSED:
            return Finding(
                check, FAIL, f"{error.where}: {error.what}, so a country or an address is refused", THE_WAY_ROUND
            )
        return Finding(check, FAIL, f"{error.where}: {error.what}", error.remedy)
    took_ms = (look.clock.monotonic_s() - began_s) * 1000
    socket.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await listener.ended.wait()
    return Finding(check, OK, f"{url} opened in {took_ms:,.0f} ms with {look.client.name}")


async def _way_round(look: Look, http: Http) -> str:
    """What to do where a venue refuses this country: its other hosts, if it has any, with the setting to write."""
    name, known = look.venue.name, look.venue.endpoints
    if len(known) < 2 or look.endpoints in known[1:]:
        return "the venue has no other hosts for market data: choose another exchange, or run where it may be reached"
    way = known[1]
    setting = (
        f'write endpoints = ["{name}={way.rest}"] into tickcast.toml (or set TICKCAST_ENDPOINTS={name}={way.rest})'
    )
    if look.endpoints not in known:  # an address of the user's own: nobody asked us to dial the venue's
        return setting
    try:
        fault = await _ask(look, http, way)
    except Unreached as exc:
        return f"{setting}; it could not be tried now ({exc})"
    return f"{setting}; it {'answers' if fault is None else 'does not answer'} from here"
