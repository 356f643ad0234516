"""What can go wrong: one plain, printable description of each fault, as it is injected, listed and written down."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.names import VENUES

CHANNELS = ("", "trades", "quotes")
SECONDS_MAX = 86_400.0
BYTES_MAX = 256 << 20


class Kind(NamedTuple):
    """What a kind of fault is."""

    line: str
    once: bool = False
    """It happens at one moment; the others are in force for a while."""
    hows: tuple[str, ...] = ("",)
    code: int = 0
    size: int = 0
    ms: int = 0


KINDS: dict[str, Kind] = {
    "cut": Kind("close connections: `how` close (with `code`) or reset", True, ("close", "reset"), code=1001),
    "half_open": Kind("leave connections open and never answer again; a reset follows after `ms`, if given", True),
    "shutdown": Kind("say serverShutdown (Binance), close after `ms`", True, ms=2000),
    "age": Kind("close every connection that is `ms` old: the 24-hour cut made short", ms=5000),
    "maintenance": Kind("say so, close, and refuse dials and requests"),
    "refuse": Kind("refuse dials: `how` reset, or an HTTP status `code`", hows=("reset", "status"), code=503),
    "geo": Kind("451 for dials and requests: not in your country"),
    "tls": Kind("break every TLS handshake (with --tls)"),
    "deaf": Kind("hear nothing that clients send: subscriptions stay without an answer"),
    "stall": Kind(
        "send nothing of a pair: `how` gentle ends when it is subscribed anew, stubborn lasts",
        hows=("gentle", "stubborn"),
    ),
    "skip": Kind("lose messages"),
    "double": Kind("send messages twice"),
    "reorder": Kind("send messages up to `size` messages late", size=3),
    "malformed": Kind("break messages: `how` json, utf8, frame, or any of them", hows=("", "json", "utf8", "frame")),
    "oversized": Kind("blow messages up to `size` bytes", size=20 << 20),
    "drip": Kind("let bytes trickle, `size` a second", size=200),
    "clock": Kind(
        "the venue's clock is `ms` off: `how` messages, time (its REST), or both", hows=("both", "messages", "time"),
        ms=5000,
    ),
    "status": Kind("answer requests with `code`, Retry-After of `ms`", code=503, ms=1000),
    "truncated": Kind("end answers early: `how` json (cut short) or body (less than promised)", hows=("json", "body")),
    "fewer": Kind("give at most half of the rows asked for"),
    "lag": Kind("requests do not see the newest `ms` of trades", ms=2000),
    "slow": Kind("answer requests `ms` late", ms=3000),
    "checksum": Kind("damage files of whole days"),
    "anew": Kind("delist pairs at all venues, list them anew after `ms` of the market: ids from 1 on", True, ms=30_000),
}  # fmt: skip


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One fault. Fields that a kind does not use mean nothing to it; 0 and "" stand for what is usual.

    >>> Fault(kind="skip", venue="kraken", pair="BTC/USD", chance=0.1, seconds=5).kind
    'skip'
    """

    kind: str
    venue: str = ""
    """Empty: all of them."""
    pair: str = ""
    """In any venue's spelling; empty: all of them."""
    channel: str = ""
    """`trades`, `quotes`, or both."""
    after_s: float = 0.0
    """Real seconds until it begins."""
    seconds: float = 0.0
    """Real seconds that it lasts; 0: until it is taken away, or its count is used up."""
    count: int = 0
    """How many messages, requests or connections it meets; 0: all."""
    chance: float = 1.0
    """The share of messages or requests that it meets."""
    how: str = ""
    code: int = 0
    size: int = 0
    ms: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, n=1)
            hint = f"did you mean {near[0]}" if near else f"choose one of {', '.join(KINDS)}"
            raise ConfigError("fault", f"there is no kind {self.kind!r}", hint)
        about = KINDS[self.kind]
        if self.venue and self.venue not in VENUES:
            raise ConfigError("fault", f"there is no venue {self.venue!r}", f"choose one of {', '.join(VENUES)}")
        if self.how and self.how not in about.hows:
            raise ConfigError("fault", f"{self.kind} knows no way {self.how!r}", f"choose from {', '.join(about.hows)}")
        checks = {
            "channel": self.channel in CHANNELS,
            "after_s": 0.0 <= self.after_s <= SECONDS_MAX,
            "seconds": 0.0 <= self.seconds <= SECONDS_MAX,
            "count": self.count >= 0,
            "chance": 0.0 < self.chance <= 1.0,
            "code": 0 <= self.code < 5000,
            "size": 0 <= self.size <= BYTES_MAX,
            "ms": abs(self.ms) <= SECONDS_MAX * 1000,
        }
        for name, fine in checks.items():
            if not fine:
                raise ConfigError("fault", f"{name} was {getattr(self, name)!r}", "see tickcast exchange --help")

    def usual(self, name: str) -> Any:
        """A field, or what is usual for the kind where it was not given."""
        given = getattr(self, name)
        if name == "how":
            return given or KINDS[self.kind].hows[0]
        return given or getattr(KINDS[self.kind], name)


_decode = msgspec.json.Decoder(Fault | list[Fault])


def read_faults(raw: bytes) -> list[Fault]:
    """One fault or several, as JSON; ConfigError says what is wrong.

    >>> read_faults(b'{"kind":"lag","ms":500}')[0].ms
    500
    """
    try:
        found = _decode.decode(raw)
    except msgspec.DecodeError as error:
        raise ConfigError("fault", str(error), 'write it like {"kind":"skip","venue":"kraken","chance":0.1}') from error
    return found if isinstance(found, list) else [found]


def read_fault_flag(text: str) -> Fault:
    """A fault as a flag: JSON, or `kind,name=value,...`.

    >>> read_fault_flag("stall,venue=binance,pair=BTCUSDT,seconds=30").seconds
    30.0
    """
    if text.startswith("{"):
        return read_faults(text.encode())[0]
    kind, *rest = text.split(",")
    values: dict[str, str] = {"kind": kind}
    for part in rest:
        name, mark, value = part.partition("=")
        if not mark:
            raise ConfigError("fault", f"{part!r} is no name=value", "write it like skip,venue=kraken,chance=0.1")
        values[name] = value
    try:
        return msgspec.convert(values, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError("fault", str(error), "write it like skip,venue=kraken,chance=0.1") from error


def lines_of(faults: Iterable[Fault]) -> bytes:
    """A line of JSON each: to print, to keep, and to play again."""
    return b"".join(msgspec.json.encode(fault) + b"\n" for fault in faults)


def read_lines(raw: bytes) -> Sequence[Fault]:
    """What `lines_of` wrote.

    >>> read_lines(lines_of([Fault(kind="cut", after_s=2)]))[0].after_s
    2.0
    """
    return [fault for line in raw.splitlines() if line.strip() for fault in read_faults(line)]
