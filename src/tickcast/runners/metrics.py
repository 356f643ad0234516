"""What Prometheus is told: one table of names, written out as its text format by hand.

    curl -s http://127.0.0.1:8000/metrics

Label values are bounded: exchanges, pairs and connections are those of the configuration, states and qualities are our
own words, and of reasons for quarantine the first twenty kinds get a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from tickcast import __version__
from tickcast.runners.status import FetchSeen, Shown, data_age_ms, offset_of, pairs_read, requests_of
from tickcast.sources.history.budget import HostUse
from tickcast.sources.live.contract import ConnectionStatus, PairStatus

COUNTER, GAUGE = "counter", "gauge"
REASONS_MAX = 20
REASON_CHARS_MAX = 80
REQUESTS_MAX = 100
PAIR_STATES = ("live", "joining", "suspect", "down")
OTHER = "other"

Sample = tuple[tuple[str, ...], float]
T = TypeVar("T")


class Asked(NamedTuple):
    """What a scrape reads from."""

    shown: Shown
    age_s: float
    """How old the look is."""
    ready: bool


class Metric(NamedTuple):
    """One name; `read` gives a sample for each set of label values."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    read: Callable[[Asked], Iterable[Sample]]


def _one(read: Callable[[Asked], float]) -> Callable[[Asked], Iterable[Sample]]:
    return lambda asked: [((), read(asked))]


def _connections(asked: Asked) -> Iterable[tuple[tuple[str, str], ConnectionStatus]]:
    """While one takes over from another of the same number, the open one is told."""
    every = asked.shown.live.connections if asked.shown.live else []
    return (((one.exchange, str(one.number)), one) for one in sorted(every, key=lambda one: one.state != "open"))


def _pairs(asked: Asked) -> Iterable[tuple[tuple[str, str], PairStatus]]:
    return (((one.exchange, one.pair), one) for one in (asked.shown.live.pairs if asked.shown.live else ()))


def _fetching(asked: Asked) -> Iterable[tuple[tuple[str, str], FetchSeen]]:
    return (((one.exchange, one.pair), one) for one in asked.shown.fetching)


def _hosts(asked: Asked) -> Iterable[tuple[tuple[str], HostUse]]:
    return (((one.host,), one) for one in asked.shown.hosts)


def _each(
    labels: tuple[str, ...],
    things: Callable[[Asked], Iterable[tuple[tuple[str, ...], T]]],
    *rows: tuple[str, str, str, Callable[[T, float], float | None]],
) -> Iterator[Metric]:
    """Several names that are read from the same things; `None` is no sample."""

    def reader(read: Callable[[T, float], float | None]) -> Callable[[Asked], Iterator[Sample]]:
        def samples(asked: Asked) -> Iterator[Sample]:
            for values, one in things(asked):
                value = read(one, asked.age_s)
                if value is not None:
                    yield values, value

        return samples

    return (Metric(f"tickcast_{name}", kind, labels, help_, reader(read)) for name, kind, help_, read in rows)


def _pair_states(asked: Asked) -> Iterator[Sample]:
    for one in asked.shown.live.pairs if asked.shown.live else ():
        for state in PAIR_STATES:
            yield (one.exchange, one.pair, state), float(one.state == state)


def _data_ages(asked: Asked) -> Iterator[Sample]:
    for exchange, pair in pairs_read(asked.shown):
        behind_ms = data_age_ms(asked.shown, exchange, pair, asked.age_s)
        if behind_ms is not None:
            yield (exchange, pair), behind_ms / 1000


def _offsets(asked: Asked, part: int) -> Iterator[Sample]:
    live = asked.shown.live
    for exchange in sorted({one.exchange for one in live.connections}) if live else ():
        measured = offset_of(live, exchange) if live else None
        if measured is not None and measured[part] != float("inf"):
            yield (exchange,), measured[part] / 1000


def _reasons(asked: Asked) -> Iterator[Sample]:
    for exchange, reasons in asked.shown.quarantined.items():
        for reason, count in bounded(reasons).items():
            yield (exchange, reason), count


def bounded(reasons: dict[str, int]) -> dict[str, int]:
    """Reasons as label values: places in a message are one kind, and beyond so many kinds they are "other".

    The order of first sight decides who gets a name, so no series changes its meaning while the process runs.

    >>> bounded({"Expected `str` - at `$.events[3].price`": 1, "Expected `str` - at `$.events[14].price`": 2})
    {'Expected str - at $.events[].price': 3}
    """
    kinds: dict[str, int] = {}
    for reason, count in reasons.items():
        kind = " ".join(re.sub(r"\d+", "", reason.replace("`", "")).split())[:REASON_CHARS_MAX] or OTHER
        if kind not in kinds and len(kinds) >= REASONS_MAX:
            kind = OTHER
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds


def _requests(asked: Asked) -> Iterator[Sample]:
    beyond = 0
    for place, (name, count) in enumerate(requests_of(asked.shown).items()):
        host, _, outcome = name.rpartition(" ")
        if place >= REQUESTS_MAX:
            beyond += count
        else:
            yield (host or outcome, outcome if host else ""), count
    if beyond:
        yield (OTHER, OTHER), beyond


def _lags(asked: Asked) -> Iterator[Sample]:
    lag = asked.shown.lag
    for rank, value_ms in (("p50", lag.p50), ("p99", lag.p99), ("worst", lag.worst)):
        yield (rank,), value_ms / 1000


_CONNECTION, _PAIR = ("exchange", "connection"), ("exchange", "pair")

METRICS = (
    Metric("tickcast_info", GAUGE, ("version",), "Always 1; which version runs.", lambda _: [((__version__,), 1)]),
    Metric("tickcast_ready", GAUGE, (), "1 while /ready says yes.", _one(lambda asked: asked.ready)),
    Metric(
        "tickcast_simulated", GAUGE, (), "1 where the market is made up.", _one(lambda asked: asked.shown.simulated),
    ),
    Metric(
        "tickcast_uptime_seconds", GAUGE, (), "Since the process began.",
        _one(lambda asked: asked.shown.uptime_s + asked.age_s),
    ),
    Metric(
        "tickcast_look_age_seconds", GAUGE, (), "Since the process last looked at itself; all else here is of then.",
        _one(lambda asked: asked.age_s),
    ),
    Metric(
        "tickcast_messages_total", COUNTER, ("exchange",),
        "Messages that went through all stages, those read again from the journal at the start included.",
        lambda asked: [((exchange,), count) for exchange, count in asked.shown.received.items()],
    ),
    Metric(
        "tickcast_rows_total", COUNTER, ("kind",), "Rows that the stages gave.",
        lambda asked: [((kind,), count) for kind, count in asked.shown.rows.items()],
    ),
    Metric(
        "tickcast_candles_total", COUNTER, ("exchange", "quality"),
        "Candles by quality (complete, partial, repaired), counted each time that one is issued.",
        lambda asked: list(asked.shown.qualities.items()),
    ),
    Metric(
        "tickcast_quarantined_total", COUNTER, ("exchange", "reason"),
        "Messages that could not be read and were set aside, by kind of reason.", _reasons,
    ),
    Metric(
        "tickcast_stage_rows", GAUGE, ("stage", "what"),
        "What the stages counted on the way (late, duplicates, missing_ids, ...), over restarts.",
        lambda asked: [((at, what), n) for at, found in asked.shown.stages.items() for what, n in found.items()],
    ),
    *_each(
        _CONNECTION, _connections,
        ("connection_up", GAUGE, "1 while the connection is open.", lambda one, _: one.state == "open"),
        ("connection_age_seconds", GAUGE, "Since the last byte; absent before the first.",
         lambda one, age_s: one.age_s + age_s if one.age_s >= 0 else None),
        ("connection_pairs", GAUGE, "Pairs that the connection carries.", lambda one, _: len(one.pairs)),
        ("connection_messages_total", COUNTER, "Messages that came over the connection.", lambda one, _: one.messages),
        ("reconnects_total", COUNTER, "How often the connection broke and was made anew.",
         lambda one, _: one.reconnects),
        ("rotations_total", COUNTER, "Planned replacements, without a gap.", lambda one, _: one.rotations),
    ),
    Metric("tickcast_pair_state", GAUGE, (*_PAIR, "state"), "1 for the state that the pair is in.", _pair_states),
    Metric(
        "tickcast_data_age_seconds", GAUGE, _PAIR, "How far the pair's computed time stands behind its venue's clock.",
        _data_ages,
    ),
    *_each(
        _PAIR, _pairs,
        ("pair_age_seconds", GAUGE, "Since the pair's last message; absent before the first.",
         lambda one, age_s: one.age_s + age_s if one.last_message_ms else None),
        ("held_messages", GAUGE, "Messages that wait until the hole before them is fetched.", lambda one, _: one.held),
        ("gaps_found_total", COUNTER, "Holes found in the pair's trades.", lambda one, _: one.gaps_found),
        ("gaps_repaired_total", COUNTER, "Holes filled from history.", lambda one, _: one.gaps_repaired),
        ("gaps_lost_total", COUNTER, "Holes that history could not fill; their candles stay partial.",
         lambda one, _: one.gaps_lost),
        ("gaps_open", GAUGE, "Holes not filled yet.", lambda one, _: one.gaps_open),
        ("trades_repaired_total", COUNTER, "Trades that came from history to fill holes.",
         lambda one, _: one.trades_repaired),
        ("stalls_total", COUNTER, "How often the pair fell silent inside a living connection.",
         lambda one, _: one.stalls),
    ),
    *_each(
        _PAIR, _fetching,
        ("history_share", GAUGE, "How much of the pair's history is there; absent once all of it is.",
         lambda one, _: one.share),
    ),
    *_each(
        ("host",), _hosts,
        ("host_weight_used", GAUGE, "Of the host's budget for requests, what was spent in its span of time.",
         lambda one, _: one.used),
        ("host_weight_allowed", GAUGE, "That budget.", lambda one, _: one.allowed),
        ("host_blocked_seconds", GAUGE, "The host wants to be left alone for so long (Retry-After, or a ban).",
         lambda one, age_s: max(0.0, one.blocked_s - age_s)),
        ("host_requests_waiting", GAUGE, "Requests that wait for their turn.", lambda one, _: one.waiting),
    ),
    Metric(
        "tickcast_clock_offset_seconds", GAUGE, ("exchange",), "The venue's clock less this machine's.",
        lambda asked: _offsets(asked, 0),
    ),
    Metric(
        "tickcast_clock_offset_error_seconds", GAUGE, ("exchange",), "How far that may be wrong.",
        lambda asked: _offsets(asked, 1),
    ),
    Metric(
        "tickcast_lag_seconds", GAUGE, (), "How long the oldest message that came has waited to be handed on.",
        _one(lambda asked: asked.shown.live.lag_ms / 1000 if asked.shown.live else 0.0),
    ),
    Metric(
        "tickcast_batch_seconds", GAUGE, ("rank",),
        "How long a batch of messages took through all stages, lately: p50, p99, worst.", _lags,
    ),
    Metric("tickcast_requests_total", COUNTER, ("host", "outcome"), "HTTP requests for history.", _requests),
    Metric(
        "tickcast_disk_free_bytes", GAUGE, (), "Room left where the data directory is.",
        _one(lambda asked: asked.shown.disk.free_bytes),
    ),
    Metric(
        "tickcast_journal_unsynced_seconds", GAUGE, (), "How long the oldest line not yet on the disk has waited.",
        _one(lambda asked: asked.shown.disk.unsynced_s + asked.age_s * (asked.shown.disk.unsynced_s > 0)),
    ),
    Metric(
        "tickcast_checkpoint_age_seconds", GAUGE, (), "Since outputs, states and position were last committed.",
        _one(lambda asked: asked.shown.disk.committed_age_s + asked.age_s),
    ),
)  # fmt: skip
"""Every name, in the order in which they are written; `docs/metrics.md` shows the same."""


def metrics(shown: Shown, now_s: float, *, ready: bool) -> str:
    """All of it in Prometheus's text format, version 0.0.4."""
    asked = Asked(shown, now_s - shown.taken_s, ready)
    return "".join(line for metric in METRICS for line in _lines(metric, asked))


def _lines(metric: Metric, asked: Asked) -> Iterator[str]:
    """A family with no sample is written too, so that its name is known; a series is written once."""
    yield f"# HELP {metric.name} {_escape(metric.help)}\n"
    yield f"# TYPE {metric.name} {metric.kind}\n"
    told: set[tuple[str, ...]] = set()
    for values, value in metric.read(asked):
        if values in told:
            continue
        told.add(values)
        pairs = ",".join(f'{label}="{_quoted(text)}"' for label, text in zip(metric.labels, values, strict=True))
        yield f"{metric.name}{{{pairs}}} {_number(value)}\n" if pairs else f"{metric.name} {_number(value)}\n"


def _escape(text: str) -> str:
    """For a HELP line.

    >>> _escape("a\\\\b\\nc")
    'a\\\\\\\\b\\\\nc'
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    """For a label's value."""
    return _escape(text).replace('"', '\\"')


def _number(value: float) -> str:
    """A number as Prometheus reads it.

    >>> _number(True), _number(3), _number(0.5), _number(float("inf")), _number(float("nan"))
    ('1', '3', '0.5', '+Inf', 'NaN')
    """
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
