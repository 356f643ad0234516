"""What Prometheus is told: one table of names, written out as its text format by hand.

    curl -s http://127.0.0.1:8000/metrics

Label values are bounded: exchanges, pairs and connections are those of the configuration, states and qualities are our
own words, and of reasons for quarantine the first twenty kinds get a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tickcast import __version__
from tickcast.runners.status import Shown, data_age_ms, offset_of, pairs_read
from tickcast.sources.live.contract import ConnectionStatus, PairStatus

COUNTER, GAUGE = "counter", "gauge"
REASONS_MAX = 20
REASON_CHARS_MAX = 80
REQUESTS_MAX = 100
PAIR_STATES = ("live", "joining", "suspect", "down")
OTHER = "other"

Sample = tuple[tuple[str, ...], float]


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


def _connections(read: Callable[[ConnectionStatus, float], float | None]) -> Callable[[Asked], Iterator[Sample]]:
    """While one takes over from another of the same number, the open one is told."""

    def samples(asked: Asked) -> Iterator[Sample]:
        every = asked.shown.live.connections if asked.shown.live else []
        for one in sorted(every, key=lambda one: one.state != "open"):
            value = read(one, asked.age_s)
            if value is not None:
                yield (one.exchange, str(one.number)), value

    return samples


def _pairs(read: Callable[[PairStatus], float]) -> Callable[[Asked], Iterator[Sample]]:
    return lambda asked: (
        ((one.exchange, one.pair), read(one)) for one in (asked.shown.live.pairs if asked.shown.live else ())
    )


def _pair_states(asked: Asked) -> Iterator[Sample]:
    for one in asked.shown.live.pairs if asked.shown.live else ():
        for state in PAIR_STATES:
            yield (one.exchange, one.pair, state), float(one.state == state)


def _pair_ages(asked: Asked) -> Iterator[Sample]:
    for one in asked.shown.live.pairs if asked.shown.live else ():
        if one.last_message_ms:
            yield (one.exchange, one.pair), one.age_s + asked.age_s


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
    live = asked.shown.live
    beyond = 0
    for place, (name, count) in enumerate(live.requests.items() if live else ()):
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
    Metric(
        "tickcast_connection_up", GAUGE, _CONNECTION, "1 while the connection is open.",
        _connections(lambda one, _: one.state == "open"),
    ),
    Metric(
        "tickcast_connection_age_seconds", GAUGE, _CONNECTION, "Since the last byte; absent before the first.",
        _connections(lambda one, age_s: one.age_s + age_s if one.age_s >= 0 else None),
    ),
    Metric(
        "tickcast_connection_pairs", GAUGE, _CONNECTION, "Pairs that the connection carries.",
        _connections(lambda one, _: len(one.pairs)),
    ),
    Metric(
        "tickcast_connection_messages_total", COUNTER, _CONNECTION, "Messages that came over the connection.",
        _connections(lambda one, _: one.messages),
    ),
    Metric(
        "tickcast_reconnects_total", COUNTER, _CONNECTION, "How often the connection broke and was made anew.",
        _connections(lambda one, _: one.reconnects),
    ),
    Metric(
        "tickcast_rotations_total", COUNTER, _CONNECTION, "Planned replacements, without a gap.",
        _connections(lambda one, _: one.rotations),
    ),
    Metric("tickcast_pair_state", GAUGE, (*_PAIR, "state"), "1 for the state that the pair is in.", _pair_states),
    Metric(
        "tickcast_pair_age_seconds", GAUGE, _PAIR, "Since the pair's last message; absent before the first.",
        _pair_ages,
    ),
    Metric(
        "tickcast_data_age_seconds", GAUGE, _PAIR, "How far the pair's computed time stands behind its venue's clock.",
        _data_ages,
    ),
    Metric(
        "tickcast_held_messages", GAUGE, _PAIR, "Messages that wait until the hole before them is fetched.",
        _pairs(lambda one: one.held),
    ),
    Metric(
        "tickcast_gaps_found_total", COUNTER, _PAIR, "Holes found in the pair's trades.",
        _pairs(lambda one: one.gaps_found),
    ),
    Metric(
        "tickcast_gaps_repaired_total", COUNTER, _PAIR, "Holes filled from history.",
        _pairs(lambda one: one.gaps_repaired),
    ),
    Metric(
        "tickcast_gaps_lost_total", COUNTER, _PAIR, "Holes that history could not fill; their candles stay partial.",
        _pairs(lambda one: one.gaps_lost),
    ),
    Metric("tickcast_gaps_open", GAUGE, _PAIR, "Holes not filled yet.", _pairs(lambda one: one.gaps_open)),
    Metric(
        "tickcast_trades_repaired_total", COUNTER, _PAIR, "Trades that came from history to fill holes.",
        _pairs(lambda one: one.trades_repaired),
    ),
    Metric(
        "tickcast_stalls_total", COUNTER, _PAIR, "How often the pair fell silent inside a living connection.",
        _pairs(lambda one: one.stalls),
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
