"""The feed against an exchange over real sockets: nothing lost or doubled where pages prove it, marked where not."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.sources.ccxt.venue import SmallVenue
from tickcast.clock import SystemClock
from tickcast.config import FlowSettings
from tickcast.errors import ConfigError
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.blocks import encode_line
from tickcast.sources.ccxt import pauses, work
from tickcast.sources.ccxt.feed import CcxtFeed
from tickcast.sources.ccxt.mapper import made_id
from tickcast.sources.contract import Block, Message
from tickcast.sources.live.contract import KnownTrades

PAIRS = ("BTC/USDT", "ETH/USDT")
EXCHANGE = "binanceus"
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds where the product waits for minutes."""
    for name, value in {"SETTLE_S": 0.2, "ASK_S": 0.3, "HOUSE_S": 0.1, "LAG_MS": 0, "CLOCK_S": 5.0}.items():
        monkeypatch.setattr(work, name, value)
    monkeypatch.setattr(pauses, "FIRST_S", 0.1)
    monkeypatch.setattr(pauses, "LONGEST_S", 0.5)


@pytest.fixture
def venue() -> Iterator[SmallVenue]:
    with SmallVenue() as running:
        yield running


class Listening:
    """A feed, and all that it gave."""

    def __init__(self, venue: SmallVenue, pairs: tuple[str, ...] = PAIRS, **more: Any) -> None:
        self.venue, self.loop = venue, asyncio.new_event_loop()
        options = venue.options(**more.pop("options", {}))
        self.feed = CcxtFeed(
            EXCHANGE, pairs, clock=SystemClock(), loop=self.loop, chance=random.Random(1), options=options, **more
        )
        self.messages: list[Message] = []
        self._said: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.close()
        self.loop.close()

    def until(self, what: Callable[[], bool]) -> None:
        """Poll until it is so."""
        ends_s = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < ends_s, f"never came: {self.said()[-5:]} {self.notes[-5:]}"
            self.messages += self.feed.poll(0.05)
            self.notes += self.feed.notes()

    def until_later(self, span_ms: int) -> None:
        """Poll for so long: candles of a second take seconds."""
        began_s = time.monotonic()
        self.until(lambda: time.monotonic() > began_s + span_ms / 1000)

    def open(self) -> Listening:
        """Poll until all pairs are listened to and have been heard once."""
        names = [pair.pair.replace("/", "") for pair in self.feed.status().pairs]
        self.until(lambda: all(self.venue.subscribed(name) for name in names))
        for name in names:
            self.venue.trade(name)
        self.until(lambda: all(self.ids(name) for name in names))
        return self

    def said(self) -> list[dict[str, Any]]:
        self._said += [json.loads(message.raw) for message in self.messages[len(self._said) :]]
        return self._said

    def ids(self, symbol: str) -> list[int]:
        """The exchange's ids of a symbol's trades, as they came, each when it came first."""
        pair = f"{symbol[:3]}/{symbol[3:]}"
        told = [int(said["id"]) for said in self.said() if said.get("ccxt") == "trade" and said["symbol"] == pair]
        return list(dict.fromkeys(told))

    def marks(self, kind: str) -> list[dict[str, Any]]:
        return [said for said in self.said() if said.get("tickcast") == kind]

    def candles(self) -> list[tuple[str, int, int, int]]:
        """(pair, window, trades, quality) of what the journal of it all gives, the last word of each."""
        intake = Intake(Pipeline(FlowSettings(candle_seconds=(1,))))
        lines = b"".join(encode_line(*message) for message in self.messages)
        frames = [one for one in intake.take(Block(EXCHANGE, lines)).frames if one.kind == "candles"]
        assert {} == intake.quarantined()
        found = {
            (frame.pair, start): (count, quality)
            for frame in frames
            for start, count, quality in zip(
                *(frame.columns[name].tolist() for name in ("window_start_ms", "trade_count", "quality")), strict=True
            )
        }
        return [(*key, *value) for key, value in sorted(found.items())]


def test_trades_and_best_prices_come_in_order_each_once(venue: SmallVenue) -> None:
    with Listening(venue).open() as heard:
        for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT"):
            venue.trade(symbol, 200)
        heard.until(lambda: (401, 201) == (len(heard.ids("BTCUSDT")), len(heard.ids("ETHUSDT"))))

        quotes = [said for said in heard.said() if said.get("ccxt") == "quote"]

    assert list(range(1, 402)) == heard.ids("BTCUSDT")
    assert list(range(1, 202)) == heard.ids("ETHUSDT")
    assert {"BTC/USDT", "ETH/USDT"} == {said["symbol"] for said in quotes}
    assert [] == heard.marks("blind")
    assert {EXCHANGE} == {message.exchange for message in heard.messages}


def test_what_happened_while_a_connection_was_down_is_fetched_and_joined(venue: SmallVenue) -> None:
    with Listening(venue).open() as heard:
        venue.trade("BTCUSDT", 50)
        heard.until(lambda: len(heard.ids("BTCUSDT")) == 51)
        venue.refuses_sockets = True
        venue.cut()
        missed = venue.trade("BTCUSDT", 1200)
        venue.refuses_sockets = False
        heard.until(lambda: venue.subscribed("BTCUSDT") and venue.subscribed("ETHUSDT"))
        venue.trade("BTCUSDT", 5)
        heard.until(lambda: len(heard.ids("BTCUSDT")) == 51 + len(missed) + 5)
        status = heard.feed.status()

    assert list(range(1, 1257)) == heard.ids("BTCUSDT")
    assert [] == heard.marks("blind")
    assert status.connections[0].reconnects >= 1
    assert (0, 0) == (status.pairs[0].gaps_lost, status.pairs[0].held)
    assert status.pairs[0].trades_repaired >= len(missed)


def test_a_pair_that_missed_nothing_is_live_again_without_a_word(venue: SmallVenue) -> None:
    with Listening(venue).open() as heard:
        venue.cut()
        heard.until(lambda: all(pair.state == "down" for pair in heard.feed.status().pairs))
        heard.until(lambda: all(pair.state == "live" for pair in heard.feed.status().pairs))

    assert [1] == heard.ids("ETHUSDT")
    assert [] == heard.marks("blind")


def test_what_no_page_can_prove_is_marked_and_only_that(venue: SmallVenue) -> None:
    """
    seconds   0   1   2   3   4   5
    stream    |---|               |---        pages answer nothing
    candles   ok  partial ........ ok         as soon as the next second's trades show
    """
    with Listening(venue, ("BTC/USDT",), hold_ms=500).open() as heard:
        venue.trade("BTCUSDT", 3)
        heard.until(lambda: len(heard.ids("BTCUSDT")) == 4)
        venue.refuses_pages = True
        venue.cut()
        lost = venue.trade("BTCUSDT", 4)
        heard.until(lambda: venue.subscribed("BTCUSDT"))
        heard.until_later(1500)
        first = venue.trade("BTCUSDT", 2)
        heard.until(lambda: heard.ids("BTCUSDT")[-2:] == first)
        began_ms = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 < began_ms + 3500:
            venue.trade("BTCUSDT", 10)
            heard.until(lambda: heard.ids("BTCUSDT")[-1] == len(venue.trades["BTCUSDT"]))
            heard.until_later(100)
        status = heard.feed.status().pairs[0]
        candles = heard.candles()

    (mark,) = heard.marks("blind")
    blind_to_ms = venue.trades["BTCUSDT"][first[0] - 1]["T"]
    assert not set(lost) & set(heard.ids("BTCUSDT"))
    assert (1, "live", 0) == (status.gaps_lost, status.state, status.held)
    doubted = {start for _, start, _, _ in candles if start <= blind_to_ms and start + 1000 > mark["from_ms"]}
    assert doubted
    assert doubted | {candles[0][1]} == {start for _, start, _, quality in candles if quality == 1}
    assert candles[-1][1] not in doubted


def test_a_quiet_pair_moves_on_with_its_exchange_and_stops_when_the_connection_is_dead(venue: SmallVenue) -> None:
    with Listening(venue).open() as heard:
        heard.until(lambda: bool(heard.marks("alive")))
        venue.trade("BTCUSDT")
        reached_ms = venue.trades["BTCUSDT"][-1]["T"]
        heard.until(lambda: heard.marks("alive")[-1]["venue_ms"] > reached_ms + 2000)
        assert set(PAIRS) == set(heard.marks("alive")[-1]["pairs"])
        candles = heard.candles()
        venue.refuses_sockets = True
        venue.cut()
        heard.until(lambda: all(pair.state == "down" for pair in heard.feed.status().pairs))
        proven = len(heard.marks("alive"))
        dials = venue.dials
        heard.until(lambda: venue.dials > dials + 3)

    assert (0, 0) in [(count, quality) for pair, _, count, quality in candles if pair == "ETH/USDT"]
    assert proven == len(heard.marks("alive"))
    assert heard.marks("alive")[-1]["venue_ms"] <= time.time_ns() // 1_000_000


def test_a_pair_in_doubt_has_no_proof_of_time_though_its_connection_lives(venue: SmallVenue) -> None:
    """After a cut, with no pages to be had: the pair with trades goes on, marked; the quiet one waits for proof."""
    with Listening(venue, hold_ms=300).open() as heard:
        heard.until(lambda: bool(heard.marks("alive")) and set(PAIRS) == set(heard.marks("alive")[-1]["pairs"]))
        venue.refuses_pages = True
        venue.cut()
        heard.until(lambda: all(pair.state == "down" for pair in heard.feed.status().pairs))
        before = len(heard.marks("alive"))
        heard.until(lambda: venue.subscribed("BTCUSDT") and venue.subscribed("ETHUSDT"))
        venue.trade("BTCUSDT")
        heard.until(lambda: len(heard.marks("alive")) > before + 3)
        proven = {pair for mark in heard.marks("alive")[before:] for pair in mark["pairs"]}
        venue.refuses_pages = False
        heard.until(lambda: set(PAIRS) == set(heard.marks("alive")[-1]["pairs"]))

    assert {"BTC/USDT"} == proven
    assert ["BTC/USDT"] == [mark["pair"] for mark in heard.marks("blind")]


def test_a_symbol_that_stalls_inside_a_living_connection_is_found(
    venue: SmallVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STALL_S", 0.5)
    monkeypatch.setattr(work, "STALL_MS", 200)
    with Listening(venue).open() as heard:
        venue.deaf = {"ETHUSDT"}
        venue.trade("ETHUSDT", 5)
        heard.until(lambda: len(heard.ids("ETHUSDT")) == 6)
        status = {pair.pair: pair for pair in heard.feed.status().pairs}
        venue.deaf = set()

    assert 1 <= status["ETH/USDT"].stalls
    assert 0 == status["BTC/USDT"].stalls
    assert list(range(1, 7)) == heard.ids("ETHUSDT")
    assert any("its stream did not bring" in note for note in heard.notes)


def test_what_is_missing_since_the_journal_ended_comes_before_the_stream(venue: SmallVenue) -> None:
    venue.trade("BTCUSDT", 40)
    last = venue.trades["BTCUSDT"][9]
    span = made_id(last["T"], str(last["a"]))
    known = {"BTC/USDT": KnownTrades(((span, span, last["T"], last["T"]),), last["T"])}
    with Listening(venue, ("BTC/USDT",), known=known) as heard:
        heard.until(lambda: venue.subscribed("BTCUSDT"))
        venue.trade("BTCUSDT", 2)
        heard.until(lambda: heard.ids("BTCUSDT")[-1:] == [42])

    after = [row["a"] for row in venue.trades["BTCUSDT"] if row["T"] >= last["T"]]
    assert after == heard.ids("BTCUSDT")
    assert [] == heard.marks("blind")


def test_where_the_last_trade_is_not_known_the_pause_is_marked(venue: SmallVenue) -> None:
    reached_ms = time.time_ns() // 1_000_000 - 60_000
    with Listening(venue, ("BTC/USDT",), known={"BTC/USDT": KnownTrades((), reached_ms)}).open() as heard:
        venue.trade("BTCUSDT", 3)
        heard.until(lambda: heard.ids("BTCUSDT") == [1, 2, 3, 4])

    marks = [(said.get("tickcast"), said.get("from_ms")) for said in heard.said() if said.get("ccxt") != "quote"]
    assert ("blind", reached_ms) == next(mark for mark in marks if mark[0] != "alive")
    assert 1 == len(heard.marks("blind"))


def test_without_a_stream_pages_are_asked_for(venue: SmallVenue) -> None:
    options = {"has": {"watchTrades": False}}
    with Listening(venue, ("BTC/USDT",), options=options) as heard:
        for count in (5, 7, 600):
            venue.trade("BTCUSDT", count)
            heard.until(lambda: heard.ids("BTCUSDT")[-1:] == [len(venue.trades["BTCUSDT"])])
        heard.until(lambda: bool(heard.marks("alive")))

    assert list(range(1, 613)) == heard.ids("BTCUSDT")
    assert ([], 0) == (heard.marks("blind"), venue.dials)
    assert any("no stream of trades" in note for note in heard.notes)


def test_pages_that_reach_less_far_than_the_last_trade_are_marked(venue: SmallVenue) -> None:
    venue.heeds_since, venue.page_size = False, 10
    options = {"has": {"watchTrades": False}}
    with Listening(venue, ("BTC/USDT",), options=options) as heard:
        venue.trade("BTCUSDT", 5)
        heard.until(lambda: heard.ids("BTCUSDT")[-1:] == [5])
        venue.trade("BTCUSDT", 100)
        heard.until(lambda: heard.ids("BTCUSDT")[-1:] == [105])

    assert [*range(1, 6), *range(96, 106)] == heard.ids("BTCUSDT")
    assert [venue.trades["BTCUSDT"][4]["T"]] == [mark["from_ms"] for mark in heard.marks("blind")]


def test_a_pair_that_is_not_traded_is_refused_with_the_right_spelling(venue: SmallVenue) -> None:
    says = r"binanceus does not trade 'BTCUSDT'.* did you mean BTC/USDT"
    with Listening(venue, ("BTCUSDT",)) as heard, pytest.raises(ConfigError, match=says):
        heard.until(lambda: False)


def test_an_exchange_with_sockets_of_ours_is_not_read_through_ccxt() -> None:
    loop = asyncio.new_event_loop()
    with pytest.raises(ConfigError, match="kraken is read by a socket of ours"):
        CcxtFeed("kraken", ("BTC/USD",), clock=SystemClock(), loop=loop, chance=random.Random(1))
    loop.close()


def test_an_exchange_that_is_not_there_is_tried_again_ever_more_slowly(venue: SmallVenue) -> None:
    port = venue.port
    options = {"urls": {"api": {"public": f"http://127.0.0.1:{port}/nowhere"}}}
    with Listening(venue, options=options) as heard:
        heard.until(lambda: len(heard.notes) > 3)

    assert all("could not list its markets" in note and "trying again in" in note for note in heard.notes)
    assert [] == heard.messages


def test_pauses_grow_to_a_bound_and_are_long_where_it_is_asked() -> None:
    pause = pauses.Pause(random.Random(2))
    waits = [pause.after(OSError()) for _ in range(200)]
    limited = type("RateLimitExceeded", (Exception,), {})()

    assert pauses.FIRST_S / 2 <= waits[0] <= pauses.FIRST_S
    assert all(pauses.LONGEST_S / 2 <= wait <= pauses.LONGEST_S for wait in waits[10:])
    assert len(set(waits)) == 200
    assert pause.after(limited) >= pauses.LIMITED_S / 2


def test_it_closes_in_time_whatever_hangs(venue: SmallVenue) -> None:
    with Listening(venue).open() as heard:
        venue.hangs = True
        venue.cut()
        heard.until(lambda: heard.feed.status().pairs[0].state == "down")
        began_s = time.monotonic()
        heard.feed.close()
        took_s = time.monotonic() - began_s
        venue.hangs = False

    assert took_s < 5.0  # Ctrl-C must end within that: a bound of the product, not of the test's machine
    assert heard.feed.ended
    assert [] == heard.feed.poll(0.0)
