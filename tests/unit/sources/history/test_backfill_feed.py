"""The feed behind `tickcast backfill`: all that is missing, oldest first, and nothing twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest
from aiohttp import web

from tests.unit.sources.history.desk import Desk, HurriedClock, refuse, say
from tests.unit.sources.history.files import DAY_2025_MS, Files, day_of, lines, zipped
from tests.unit.sources.history.memory import BinanceVenue, Row
from tests.unit.sources.history.test_candle_walks import ASKED_MS, ohlc
from tickcast.clock import DAY_MS
from tickcast.sources import own
from tickcast.sources.contract import Fetched, Message
from tickcast.sources.history import binance
from tickcast.sources.history import bulk as bulk_module
from tickcast.sources.history import feed as feed_module
from tickcast.sources.history.feed import BackfillFeed, Progress, Segment, Wanted, segments
from tickcast.sources.history.steps import NotKept

HOUR_MS = 3_600_000
LOW_MS, HIGH_MS = DAY_2025_MS - 3 * HOUR_MS, DAY_2025_MS + DAY_MS + 2 * HOUR_MS


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "LIMIT", 100)


@pytest.fixture
def files(loop: asyncio.AbstractEventLoop) -> Iterator[Files]:
    """Three days of trades over REST, the middle one as a file too."""
    days = [day_of(DAY_2025_MS + at * DAY_MS, 400) for at in (-1, 0, 1)]
    flat = [row for day in days for row in day]
    rows = [row._replace(aggregate=9000 + at, first=2 * at + 1, last=2 * at + 2) for at, row in enumerate(flat)]
    made = Files(rows, DAY_2025_MS + 5 * DAY_MS)
    made.add("2025-01-07", zipped(lines(rows[400:800], 1)))
    loop.run_until_complete(made.__aenter__())
    yield made
    loop.run_until_complete(made.__aexit__())


def feed_of(desk: Desk, loop: asyncio.AbstractEventLoop, wanted: Wanted, *, bulk: bool = True) -> BackfillFeed:
    async def make() -> BackfillFeed:
        return BackfillFeed(desk.history(), wanted, clock=HurriedClock(), loop=loop, bulk=bulk)

    return loop.run_until_complete(make())


def trades(pairs: tuple[str, ...] = ("XBT",), fetched: Sequence[tuple[int, int]] = ()) -> Wanted:
    return Wanted(pairs, "trades", 0, LOW_MS, HIGH_MS, {"XBT": fetched})


def drain(feed: BackfillFeed, until: int = 1_000_000) -> list[Message]:
    found: list[Message] = []
    started_s = time.monotonic()
    while not feed.ended and len(found) < until:
        found += feed.poll(0.5)
        assert time.monotonic() - started_s < 30.0
    return found


def read(messages: list[Message]) -> list[Fetched]:
    return [own.read_history(message.exchange, message.raw) for message in messages]


def told(messages: list[Message], pair: str = "XBT") -> list[int]:
    return [
        ident
        for fetched in read(messages)
        if fetched.frame.pair == pair
        for ident in fetched.frame.columns["trade_id"].tolist()
    ]


def inside(rows: list[Row], low_ms: int = LOW_MS, high_ms: int = HIGH_MS) -> list[int]:
    return [row.last for row in rows if low_ms <= row.ms < high_ms]


def test_whole_days_come_from_files_and_the_rest_over_rest(files: Files, loop: asyncio.AbstractEventLoop) -> None:
    feed = feed_of(files, loop, trades())

    messages = drain(feed)
    feed.close()

    assert set(inside(files.venue.rows)) <= set(told(messages))
    found = read(messages)
    assert LOW_MS == found[0].frame.whole_from_ms
    assert HIGH_MS == found[-1].frame.low_ms
    starts, ends = [one.frame.whole_from_ms for one in found], [one.frame.low_ms for one in found]
    assert ends[:-1] == starts[1:]
    assert not any(one.live for one in found)
    assert 2 == len(files.asked)  # a checksum and a file
    assert [Progress("XBT", 1.0, len(inside(files.venue.rows)))] == feed.progress()
    assert feed.ended
    assert [] == feed.poll(0.1)
    assert [] == feed.errors


def test_what_was_fetched_earlier_is_not_asked_for_again(files: Files, loop: asyncio.AbstractEventLoop) -> None:
    whole = feed_of(files, loop, trades())
    before = read(drain(whole))
    whole.close()
    spans = [(one.frame.whole_from_ms, one.frame.low_ms) for one in before]
    pages, asked = files.pages, len(files.asked)

    again = feed_of(files, loop, trades(fetched=spans))
    assert [] == drain(again)
    assert [Progress("XBT", 1.0, 0)] == again.progress()
    again.close()
    assert (pages, asked) == (files.pages, len(files.asked))

    rest = feed_of(files, loop, trades(fetched=spans[:2]))
    assert set(inside(files.venue.rows, spans[1][1])) <= set(told(drain(rest)))
    rest.close()


def test_a_day_without_a_file_comes_over_rest(files: Files, loop: asyncio.AbstractEventLoop) -> None:
    files.files.clear()
    feed = feed_of(files, loop, trades())

    messages = drain(feed)

    assert set(inside(files.venue.rows)) <= set(told(messages))
    assert any("no file of 20250107" in note for note in feed.notes())
    assert [] == feed.errors
    feed.close()


def test_without_bulk_all_comes_over_rest(files: Files, loop: asyncio.AbstractEventLoop) -> None:
    feed = feed_of(files, loop, trades(), bulk=False)

    assert set(inside(files.venue.rows)) <= set(told(drain(feed)))
    assert [] == files.asked
    feed.close()


def test_one_pair_in_trouble_does_not_stop_the_others(
    files: Files, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = files._serve

    async def refuse_one(request: web.Request) -> web.StreamResponse:
        return await (refuse(400)(request) if request.query.get("symbol") == "BAD" else usual(request))

    monkeypatch.setattr(files, "_serve", refuse_one)
    loop.run_until_complete(files.__aexit__())
    loop.run_until_complete(files.__aenter__())
    feed = feed_of(files, loop, trades(("BAD", "XBT")))

    messages = drain(feed)

    assert set(inside(files.venue.rows)) <= set(told(messages))
    assert ["refused a request for BAD (HTTP 400)"] == [error.what for error in feed.errors]
    assert [0.0, 1.0] == [one.done_share for one in feed.progress()]
    feed.close()


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("align_ms", [60_000, 3_600_000])
def test_every_window_is_whole_in_one_message(
    files: Files, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, bulk: bool, align_ms: int
) -> None:
    monkeypatch.setattr(feed_module, "BYTES_WANTED", 1)
    monkeypatch.setattr(bulk_module, "LINES_MAX", 50)
    feed = feed_of(files, loop, trades()._replace(align_ms=align_ms), bulk=bulk)

    found = read(drain(feed))
    feed.close()

    assert len(found) > 5
    for start_ms in range(LOW_MS, HIGH_MS, align_ms):
        wanted = set(inside(files.venue.rows, start_ms, start_ms + align_ms))
        holding = [
            one for one in found if one.frame.whole_from_ms <= start_ms and start_ms + align_ms <= one.frame.low_ms
        ]
        assert holding
        assert all(wanted <= set(one.frame.columns["trade_id"].tolist()) for one in holding)


def test_a_window_that_is_known_in_part_is_fetched_as_a_whole() -> None:
    wanted = Wanted(("XBT",), "trades", 0, LOW_MS, HIGH_MS)
    known = [(LOW_MS, LOW_MS + 90_000), (LOW_MS + 200_000, HIGH_MS)]

    assert [Segment(LOW_MS + 60_000, LOW_MS + 240_000, False)] == segments(wanted, known, HIGH_MS, bulk=True)


def test_candles_of_a_length_that_the_venue_does_not_have_are_an_error_and_no_crash(
    files: Files, loop: asyncio.AbstractEventLoop
) -> None:
    feed = feed_of(files, loop, Wanted(("XBT",), "candles", 10, LOW_MS, HIGH_MS))

    assert [] == drain(feed)
    feed.close()

    assert ["has no candles of 10 seconds"] == [error.what for error in feed.errors]


def test_progress_grows_within_a_long_span(
    files: Files, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "BYTES_WANTED", 1)
    feed = feed_of(files, loop, trades(), bulk=False)
    shares = []
    while not feed.ended:
        feed.poll(0.5)
        shares.append(feed.progress()[0].done_share)
    feed.close()

    assert sorted(shares) == shares
    assert len(set(shares)) > 3
    assert 1.0 == shares[-1]


def test_closing_in_the_middle_lets_go_at_once(files: Files, loop: asyncio.AbstractEventLoop) -> None:
    files.faults = [None, files.dripping]
    feed = feed_of(files, loop, trades())
    drain(feed, until=1)
    started_s = time.monotonic()

    feed.close()
    feed.close()

    assert time.monotonic() - started_s < 2.0
    assert feed.ended
    assert [] == feed.poll(1.0)


def test_kraken_says_what_it_does_not_keep_and_gives_the_rest(loop: asyncio.AbstractEventLoop) -> None:
    desk = Desk("kraken", BinanceVenue([], ASKED_MS))
    loop.run_until_complete(desk.__aenter__())
    desk.faults = [say(ohlc())]
    feed = feed_of(desk, loop, Wanted(("BTC/USD",), "candles", 60, ASKED_MS - DAY_MS, ASKED_MS))

    (message,) = drain(feed)

    assert 719 == len(read([message])[0].frame)
    assert [NotKept] == [type(error) for error in feed.errors]
    feed.close()
    loop.run_until_complete(desk.__aexit__())


def test_yesterday_is_asked_over_rest_since_its_file_may_not_be_there() -> None:
    now_ms = DAY_2025_MS + 10 * HOUR_MS
    wanted = Wanted(("XBT",), "trades", 0, DAY_2025_MS - 3 * DAY_MS, now_ms)

    found = segments(wanted, (), now_ms, bulk=True)

    assert [
        Segment(DAY_2025_MS - 3 * DAY_MS, DAY_2025_MS - 2 * DAY_MS, True),
        Segment(DAY_2025_MS - 2 * DAY_MS, DAY_2025_MS - DAY_MS, True),
        Segment(DAY_2025_MS - DAY_MS, now_ms, False),
    ] == found
    assert [Segment(DAY_2025_MS - 3 * DAY_MS, now_ms, False)] == segments(wanted, (), now_ms, bulk=False)
