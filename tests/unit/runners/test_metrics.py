"""What Prometheus is told, held to its text format line by line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict

import pytest

from tests.unit.runners.looks import NOW_MS, TAKEN_S, connection, live, pair, shown
from tickcast.runners.metrics import METRICS, OTHER, REASONS_MAX, REQUESTS_MAX, bounded, metrics
from tickcast.runners.status import FetchSeen, Shown
from tickcast.sources.history.budget import HostUse
from tickcast.sources.live.contract import LiveStatus

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = frozenset[tuple[str, str]]
STRANGE = 'a "b" \\ {c},d="e"\nf'


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """A strict reader of text format 0.0.4: HELP, then TYPE, then that family's samples, each series once."""
    families: dict[str, dict[Labels, float]] = {}
    helped = family = ""
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped, _, said = line.removeprefix("# HELP ").partition(" ")
            assert said
            assert re.fullmatch(r"(?:[^\\]|\\\\|\\n)*", said)
        elif line.startswith("# TYPE "):
            family, kind = line.removeprefix("# TYPE ").split(" ")
            assert helped == family
            assert family not in families
            assert NAME.fullmatch(family)
            assert kind in ("counter", "gauge")
            families[family] = {}
        else:
            name, labels, value = sample(line)
            assert name == family
            assert labels not in families[family]
            families[family][labels] = value
    return families


def sample(line: str) -> tuple[str, Labels, float]:
    found = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", line)
    assert found, line
    labels, rest = [], found[2] or ""
    while rest:
        part = LABEL.match(rest)
        assert part, line
        labels.append((part[1], re.sub(r'\\[\\"n]', lambda hit: ESCAPES[hit[0]], part[2])))
        rest = rest[part.end() :]
    assert len(labels) == len({name for name, _ in labels})
    assert re.fullmatch(r"[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf)|NaN", found[3]), line
    return found[1], frozenset(labels), float(found[3].replace("Inf", "inf"))


def told(look: Shown, *, now_s: float = TAKEN_S, ready: bool = True) -> dict[str, dict[Labels, float]]:
    return parse(metrics(look, now_s, ready=ready))


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


@pytest.mark.parametrize("look", [shown(), shown(live=None), Shown("starting", 0.0, 0)])
def test_every_metric_is_written_whatever_there_is_to_tell(look: Shown) -> None:
    assert [metric.name for metric in METRICS] == list(told(look))


def test_names_follow_the_customs_of_prometheus() -> None:
    for metric in METRICS:
        assert metric.name.startswith("tickcast_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"_(ms|ns|millis|minutes|kb|mb)(_|$)", metric.name)
        assert metric.help.endswith(".")
        assert len(set(metric.labels)) == len(metric.labels)
        assert not {"le", "quantile", "job", "instance"} & set(metric.labels)


def test_what_a_system_says_is_what_is_read() -> None:
    joining = pair(name="ETHUSDT", state="joining", gaps_found=3, gaps_repaired=1, gaps_open=1, gaps_lost=1, held=12)
    down = connection("kraken", 2, "waiting", reconnects=5, age_s=-1.0, offset_ms=None)
    found = told(shown(live=live([connection(), down], [pair(), joining])), now_s=TAKEN_S + 1.0, ready=False)

    eth = of(exchange="binance", pair="ETHUSDT")
    assert [3, 1, 1, 1, 12] == [
        found[f"tickcast_{name}"][eth]
        for name in ("gaps_found_total", "gaps_repaired_total", "gaps_lost_total", "gaps_open", "held_messages")
    ]
    one, two = of(exchange="binance", connection="1"), of(exchange="kraken", connection="2")
    assert {one: 1, two: 0} == found["tickcast_connection_up"]
    assert {one: pytest.approx(1.2)} == found["tickcast_connection_age_seconds"]
    assert {one: 0, two: 5} == found["tickcast_reconnects_total"]
    assert {of(exchange="binance"): 0.012} == found["tickcast_clock_offset_seconds"]
    assert {of(exchange="binance"): 123_456} == found["tickcast_messages_total"]
    assert {"live": 0, "joining": 1, "suspect": 0, "down": 0} == {
        dict(labels)["state"]: value for labels, value in found["tickcast_pair_state"].items() if eth < labels
    }
    assert 41.012 == pytest.approx(found["tickcast_data_age_seconds"][eth])
    assert {of(exchange="binance", quality="complete"): 418, of(exchange="binance", quality="partial"): 2} == found[
        "tickcast_candles_total"
    ]
    assert {of(host="api.binance.com", outcome="200"): 7, of(host="api.binance.com", outcome="429"): 1} == found[
        "tickcast_requests_total"
    ]
    assert [{frozenset(): 0}, {frozenset(): 91}, {frozenset(): 0.002}] == [
        found[f"tickcast_{name}"] for name in ("ready", "uptime_seconds", "lag_seconds")
    ]


def test_what_is_missing_of_history_and_what_hosts_allow_is_told() -> None:
    fetching = (FetchSeen("kraken", "BTC/USD", "asking", 0.42, 12_345),)
    look = shown(fetching=fetching, hosts=(HostUse("kraken api.kraken.com", 2.0, 3.0, 3.3, 12.0, 5),))
    found = told(look, now_s=TAKEN_S + 2.0)

    assert {of(exchange="kraken", pair="BTC/USD"): 0.42} == found["tickcast_history_share"]
    host = of(host="kraken api.kraken.com")
    names = ("weight_used", "weight_allowed", "blocked_seconds", "requests_waiting")
    assert [2.0, 3.0, 10.0, 5] == [found[f"tickcast_host_{name}"][host] for name in names]


def test_any_label_value_comes_back_as_it_was() -> None:
    look = shown(quarantined={"binance": {STRANGE: 1}}, live=live([connection(STRANGE)], [pair(STRANGE, STRANGE)]))
    found = told(look)

    assert of(exchange=STRANGE, connection="1") in found["tickcast_connection_up"]
    assert of(exchange=STRANGE, pair=STRANGE) in found["tickcast_gaps_open"]


def test_two_connections_of_one_number_are_one_series_and_the_open_one_is_told() -> None:
    """During a planned replacement; two samples of one series would void the scrape."""
    for both in ([connection(), connection(state="closed")], [connection(state="closed"), connection()]):
        assert {of(exchange="binance", connection="1"): 1} == told(shown(live=live(both)))["tickcast_connection_up"]


def test_reasons_are_bounded_whatever_venues_send() -> None:
    reasons = {f"Expected `str` - at `$.events[{n}].p`": 1 for n in range(50)}
    reasons |= {"field " + "x" * n: 1 for n in range(1, 40)}
    kinds = bounded(reasons)

    assert 50 == kinds["Expected str - at $.events[].p"]
    assert REASONS_MAX + 1 == len(kinds)
    assert (20, 89) == (kinds[OTHER], sum(kinds.values()))


def test_a_reason_keeps_its_name_when_others_join() -> None:
    """A counter that moved from one name to another would count backwards."""
    reasons: dict[str, int] = {}
    last: dict[str, int] = defaultdict(int)
    for n in range(60):
        reasons["why " + "x" * n] = 1
        kinds = bounded(reasons)
        assert all(kinds[name] >= count for name, count in last.items())
        last.update(kinds)


def test_a_pair_that_is_not_read_any_more_ages_in_no_metric() -> None:
    look = shown(lows={"binance:BTCUSDT": NOW_MS - 900, "binance:OLDUSDT": NOW_MS - 86_400_000})

    assert {of(exchange="binance", pair="BTCUSDT"): pytest.approx(0.912)} == told(look)["tickcast_data_age_seconds"]


def test_requests_are_bounded_too() -> None:
    look = shown(live=LiveStatus(requests={f"host{n} 200": 1 for n in range(REQUESTS_MAX + 7)}))

    requests = told(look)["tickcast_requests_total"]
    assert (REQUESTS_MAX + 1, 7) == (len(requests), requests[of(host=OTHER, outcome=OTHER)])


def test_numbers_are_written_as_prometheus_reads_them() -> None:
    found = told(shown(rows={"a": 2**53 - 1, "b": 0, "c": 10**17}, lows={}))

    assert [2**53 - 1, 0, 10**17] == list(found["tickcast_rows_total"].values())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    text = metrics(shown(quarantined={"binance": {STRANGE: 1}}), TAKEN_S, ready=True)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_the_official_parser_reads_the_same() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    text = metrics(shown(quarantined={"binance": {STRANGE: 1}}), TAKEN_S, ready=True)
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}

    ours = {
        (name, labels, value)
        for name, samples in parse(text).items()
        for labels, value in samples.items()
    }  # fmt: skip
    theirs = {
        (one.name, frozenset(one.labels.items()), one.value) for family in families.values() for one in family.samples
    }
    assert ours == theirs
