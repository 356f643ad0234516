"""History over real HTTP on this machine: in trouble a walk resumes after its last good part, or says why not."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from tests.unit.sources.history.desk import QUICK, Desk, Fault, HurriedClock, refuse, say
from tests.unit.sources.history.memory import (
    BinanceVenue,
    CoinbaseVenue,
    KrakenVenue,
    Row,
    Venue,
    check,
    ids,
    market,
)
from tickcast.clock import SystemClock
from tickcast.sources.history import binance, coinbase, http, kraken
from tickcast.sources.history.budget import Budgets
from tickcast.sources.history.contract import After, HistoryError, Part
from tickcast.sources.history.rest import RestHistory

VENUES: dict[str, type[Venue]] = {"binance": BinanceVenue, "coinbase": CoinbaseVenue, "kraken": KrakenVenue}
each_venue = pytest.mark.parametrize("exchange", list(VENUES))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (binance, coinbase, kraken):
        monkeypatch.setattr(module, "LIMIT", 20)


def trades_of(exchange: str, count: int = 150) -> list[Row]:
    rows = market(7, count, grouped=exchange == "binance", bulge=1)
    return [row._replace(us=row.us + at * 200_000) for at, row in enumerate(rows)]


def with_desk(exchange: str, work: Callable[[Desk], Awaitable[None]], rows: list[Row] | None = None) -> None:
    """Do something with a venue that is all there; nothing may take longer than a few seconds."""

    async def run() -> None:
        found = trades_of(exchange) if rows is None else rows
        async with asyncio.timeout(30.0), Desk(exchange, VENUES[exchange](found, found[-1].ms + 1)) as desk:
            await work(desk)

    asyncio.run(run())


async def fetch(history: RestHistory, rows: list[Row]) -> list[Part]:
    """All after the sixth trade."""
    return [part async for part in history.trades("XBT", After(rows[5].ms, rows[5].last))]


@each_venue
def test_all_trades_after_the_known_one_come_over_http(exchange: str) -> None:
    async def work(desk: Desk) -> None:
        rows = desk.venue.rows
        history = desk.history()

        parts = await fetch(history, rows)

        check(exchange, parts, rows, rows[5].ms)
        assert [row.last for row in rows[6:]] == ids(parts)
        assert parts[-1].reached_end
        assert all(part.fetched_ms > rows[-1].ms for part in parts)  # our clock, not the venue's
        assert parts[-1].to_ms <= desk.now_ms
        assert {f"127.0.0.1:{desk.url.rpartition(':')[2]} ok"} == set(history.requests)

    with_desk(exchange, work)


def faults_of(desk: Desk) -> list[Fault]:
    found = [refuse(500), refuse(503), refuse(429, Retry_After="1"), desk.torn, desk.reset, desk.dripping]
    if desk.exchange == "kraken":
        found += [say(b'{"error":["EAPI:Rate limit exceeded"]}'), say(b'{"error":["EService:Unavailable"]}')]
    return found


@each_venue
def test_after_every_kind_of_trouble_the_walk_goes_on_where_it_was(exchange: str) -> None:
    async def work(desk: Desk) -> None:
        rows, history = desk.venue.rows, desk.history()
        desk.faults = list(itertools.chain.from_iterable((None, fault) for fault in faults_of(desk)))

        parts = await fetch(history, rows)

        assert [row.last for row in rows[6:]] == ids(parts)
        outcomes = {key.partition(" ")[2] for key in history.requests}
        assert outcomes >= {"ok", "busy", "rate", "unreadable", "failed"}
        assert not desk.faults

    with_desk(exchange, work, trades_of(exchange, 260))


@pytest.mark.parametrize("seed", range(4))
@each_venue
def test_in_a_storm_nothing_is_lost_and_nothing_comes_twice(exchange: str, seed: int) -> None:
    async def work(desk: Desk) -> None:
        rows, chance = desk.venue.rows, random.Random(seed)
        known = faults_of(desk)
        desk.faults = [chance.choice(known) if chance.random() < 0.3 else None for _ in range(200)]
        torn = {number for number in range(0, 200, 4) if chance.random() < 0.5}
        desk.venue.spoil = lambda number, page: page[: chance.randrange(20)] if number in torn else page
        history = desk.history(QUICK._replace(attempts=12, wait_max_s=100.0, timeout_s=0.2))

        parts = await fetch(history, rows)

        assert [row.last for row in rows[6:]] == ids(parts), f"seed {seed}"
        check(exchange, parts, rows, rows[5].ms)

    with_desk(exchange, work)


@each_venue
def test_what_was_good_before_the_trouble_is_not_asked_for_again(exchange: str) -> None:
    async def work(desk: Desk) -> None:
        rows, history = desk.venue.rows, desk.history()
        quiet = await fetch(history, rows)
        asked = desk.pages
        desk.faults = [None, None, None, desk.reset]

        assert ids(quiet) == ids(await fetch(history, rows))
        assert asked + 1 == desk.pages - asked

    with_desk(exchange, work)


@each_venue
def test_trouble_without_end_is_given_up_with_the_last_reason(exchange: str) -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [refuse(503)] * 50
        with pytest.raises(HistoryError, match=r"gave no answer for XBT in 4 attempts \(HTTP 503\)"):
            await fetch(desk.history(), desk.venue.rows)
        assert QUICK.attempts == desk.pages

    with_desk(exchange, work)


@each_venue
def test_pages_that_stay_unreadable_are_given_up(exchange: str) -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [say(b"<html>maintenance</html>")] * 50
        with pytest.raises(HistoryError, match="is no page"):
            await fetch(desk.history(), desk.venue.rows)
        assert QUICK.attempts == desk.pages

    with_desk(exchange, work)


def test_a_429_is_not_followed_by_a_request_before_its_time() -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [refuse(429, Retry_After="7")]
        history = desk.history()
        other = desk.history()

        await asyncio.gather(fetch(history, desk.venue.rows), fetch(other, desk.venue.rows))

        times_s = sorted(desk.at_s)
        refused = next(at for at, time_s in enumerate(times_s) if time_s - times_s[0] > 6.0)
        assert times_s[refused] - times_s[0] >= 6.9
        assert refused <= 2  # the other one may have been under way
        assert "asked us to wait 7.0 s" in (history.notes() + other.notes())[0]

    with_desk("binance", work)


def test_a_ban_longer_than_our_patience_is_an_error_at_once_and_no_request(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.budgets = Budgets(HurriedClock(), tmp_path / "bans.json")
        desk.faults = [refuse(418, Retry_After="3600")]
        with pytest.raises(HistoryError, match=r"may not be asked for another 3[56]\d\d s"):
            await fetch(desk.history(), desk.venue.rows)
        assert 1 == desk.pages

        desk.budgets = Budgets(HurriedClock(), tmp_path / "bans.json")  # a restart
        with pytest.raises(HistoryError, match="may not be asked"):
            await desk.history().venue_time()
        assert 1 == desk.pages

    with_desk("binance", work)


def test_a_refused_country_is_told_the_way_round_at_once() -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [refuse(451)]
        with pytest.raises(HistoryError, match=r"HTTP 451.*data-api\.binance\.vision"):
            await fetch(desk.history(), desk.venue.rows)
        assert 1 == desk.pages

    with_desk("binance", work)


def test_what_no_patience_mends_is_asked_for_once() -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [refuse(400, b'{"code":-1121,"msg":"Invalid symbol."}')]
        with pytest.raises(HistoryError, match="Invalid symbol"):
            await fetch(desk.history(), desk.venue.rows)
        assert 1 == desk.pages

    with_desk("binance", work)


def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    async def work(desk: Desk) -> None:
        history = desk.history()
        rows = desk.venue.rows
        last = After(rows[-1].ms, rows[-1].last)
        query = f"symbol=XBT&startTime={rows[-1].ms}&endTime={rows[-1].ms + 59_999}&limit=20"
        desk.faults = [refuse(307, Location=f"/elsewhere/aggTrades?{query}")]
        assert [part async for part in history.trades("XBT", last)][-1].reached_end

        desk.faults = [refuse(302, Location="http://127.0.0.2:9/api/v3/aggTrades")]
        with pytest.raises(HistoryError, match="HTTP 302"):
            await fetch(history, rows)

    with_desk("binance", work)


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_MAX", 1 << 20)

    async def work(desk: Desk) -> None:
        desk.faults = [say(b" " * (2 << 20))] * 9
        with pytest.raises(HistoryError, match="the answer is larger than 1 MiB"):
            await fetch(desk.history(), desk.venue.rows)

    with_desk("binance", work)


def test_nobody_there_is_said_in_one_sentence() -> None:
    async def work(desk: Desk) -> None:
        history = desk.history()
        await desk._runner.cleanup()
        with pytest.raises(HistoryError, match=r"gave no answer for the time in 4 attempts \(nothing listens there\)"):
            await fetch(history, desk.venue.rows)

    with_desk("binance", work)


def test_the_venues_clock_is_never_taken_for_later_than_it_is() -> None:
    async def work(desk: Desk) -> None:
        history = desk.history()
        sample = await history.venue_time()
        assert 0 <= desk.now_ms - sample.venue_ms < 2000
        assert sample.sent_ns <= sample.recv_ns

        parts = await fetch(history, desk.venue.rows)

        assert parts[-1].to_ms <= desk.now_ms  # ours is years ahead

    with_desk("binance", work)


def test_the_weight_that_the_venue_counts_slows_us_down() -> None:
    async def work(desk: Desk) -> None:
        desk.faults = [refuse(500, X_MBX_USED_WEIGHT_1M="6000")]
        await fetch(desk.history(QUICK._replace(wait_max_s=100.0)), desk.venue.rows)

        assert desk.at_s[1] - desk.at_s[0] >= 60.0

    with_desk("binance", work)


def test_listings_come_with_the_limit_that_they_name() -> None:
    async def work(desk: Desk) -> None:
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1234}]
        symbols = [{"symbol": "ETHBTC", "status": "BREAK", "baseAsset": "ETH", "quoteAsset": "BTC"}]
        desk.faults = [say(msgspec.json.encode({"rateLimits": limits, "symbols": symbols}))]
        history = desk.history()

        (listing,) = await history.listings()

        assert ("ETHBTC", False) == (listing.pair, listing.trading)
        assert 1234.0 == history.budget_of(binance.TIME).limit.weight

    with_desk("binance", work)


def test_a_walk_that_nobody_waits_for_any_more_lets_go_of_its_turn() -> None:
    async def work(desk: Desk) -> None:
        history = desk.history()
        await history.venue_time()
        history.budget_of(binance.TIME).block(15.0)
        waiting = asyncio.create_task(fetch(history, desk.venue.rows))
        while not history.budget_of(binance.TIME)._patient:
            await asyncio.sleep(0)

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert not history.budget_of(binance.TIME)._patient

    with_desk("binance", work)


class SetClock(SystemClock):
    """A clock that somebody sets."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_of_ours_that_is_set_between_two_pages_moves_no_claim_of_what_is_whole(hours: int) -> None:
    """The venue's time was learned before; an hour that nobody lived through must not be told as quiet."""

    async def work(desk: Desk) -> None:
        clock, rows = SetClock(), desk.venue.rows
        desk.budgets = Budgets(clock)

        async def set_meanwhile(request: web.Request) -> web.StreamResponse:
            clock.ahead_ns = hours * 3_600_000_000_000
            return web.Response(body=desk.answer(request), content_type="application/json")

        desk.faults = [None, set_meanwhile]

        parts = await fetch(desk.history(), rows)

        assert [row.last for row in rows[6:]] == ids(parts)
        assert rows[-1].ms <= parts[-1].to_ms <= desk.now_ms

    with_desk("binance", work)
