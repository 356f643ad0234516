"""The live picture: what it shows is what the system says of itself, in any terminal from 80 columns on."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.unit.runners.kit import PAIRS, market, settings_for
from tests.unit.runners.looks import candle, connection, live, pair, shown
from tickcast.cli.fitting import Column, fitted
from tickcast.cli.view import COLUMNS, UNWELL_SHOWN, picture, sparkline, watching
from tickcast.clock import ManualClock
from tickcast.runners.embedded import Embedded
from tickcast.runners.health import Watch
from tickcast.runners.status import FetchSeen, Shown
from tickcast.sources.history.budget import HostUse
from tickcast.sources.live.contract import LiveStatus

WIDTHS = (80, 100, 140)


def drawn(look: Shown, width: int = 200, height: int = 50) -> str:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(picture(look))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def storm() -> Shown:
    """Three exchanges, of which one is down, one is joining and one is suspect."""
    connections = [
        connection(rate=812.0, reconnects=1),
        connection("coinbase", 1, age_s=0.05, rate=38.2, offset_ms=-1234.4),
        connection(
            "kraken", 1, "waiting", age_s=9.3, next_dial_s=4.2, why="the server closed it [1006]", reconnects=17
        ),
    ]
    pairs = [
        pair(gaps_found=2, gaps_repaired=2),
        pair(name="ETHUSDT", state="joining", held=1200, gaps_found=1, gaps_open=1),
        pair("coinbase", "BTC-USD", "suspect", age_s=8.2),
        pair("kraken", "BTC/USD", "down", age_s=9.3, gaps_found=3, gaps_repaired=1, gaps_open=1, gaps_lost=1),
    ]
    candles = [candle(one.exchange, one.pair, 61_837.63) for one in pairs]
    closes = {(one.exchange, one.pair): tuple(map(float, range(60))) for one in pairs}
    return shown(live=live(connections, pairs), candles=tuple(candles), closes=closes, notes=("told [once]",))


def test_each_phase_of_a_system_can_be_drawn_and_shows_what_there_is(tmp_path: Path) -> None:
    said = market(3)
    clock = ManualClock(said[-1].recv_ns)
    seen: dict[str, str] = {}
    with Embedded(settings_for(tmp_path), clock) as embedded:
        watch = Watch(embedded, clock, simulated=True, speed=10.0)
        for phase in ("compiling kernels (half a minute)", "recovering", "history", "live"):
            watch.enter(phase)
            if phase == "history":
                watch.history_share = 0.42
                watch.messages += embedded.accept(said)
                watch.notes.append("told [once]")
            seen[phase.partition(" ")[0]] = drawn(watch.look())

    assert "catching up with history" in seen["history"]
    assert "42%" in seen["history"]
    live_text = " ".join(seen["live"].split())
    assert all(name in live_text for name in (*COLUMNS, *PAIRS, "told [once]", "speed x10"))
    assert f"messages {len(said):,}" in live_text
    assert all("SIMULATED MARKET" in text for text in seen.values())


def test_only_a_simulated_market_bears_the_banner() -> None:
    assert "SIMULATED MARKET" in drawn(shown(simulated=True))
    assert "SIMULATED" not in drawn(shown(simulated=False))
    assert "SIMULATED" not in drawn(shown(simulated=False, live=None))


def test_a_connection_shows_its_state_and_the_holes_of_its_pairs() -> None:
    lines = [line.strip("│ ") for line in drawn(storm()).splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith("connection "))

    assert [
        "connection pairs state msg/s age gaps repaired open lost reconnects quarantined clock",
        "binance/1 BTCUSDT ETHUSDT open 812 0.2 s 3 2 1 0 1 3 +12 ms",
        "coinbase/1 BTC-USD open 38 0.1 s 0 0 0 0 0 0 -1,234 ms",
        "kraken/1 BTC/USD waiting 40 9.3 s 3 1 1 1 17 0 +12 ms",
    ] == [" ".join(line.split()) for line in lines[start : start + 4]]


def test_what_is_not_live_is_said_with_why() -> None:
    lines = [line.strip("│ ") for line in drawn(storm()).splitlines()]

    for told in (
        "kraken/1 is waiting, dials again in 4 s: the server closed it [1006]",
        "binance ETHUSDT is joining, last message 0.3 s ago, 1,200 held, 1 hole open",
        "coinbase BTC-USD is suspect, last message 8.2 s ago",
        "kraken BTC/USD is down, last message 9.3 s ago, 1 hole open",
    ):
        assert told in lines


def test_a_replaced_connection_is_not_shown_and_many_unwell_pairs_are_counted() -> None:
    pairs = [pair(name=f"P{n}", state="down") for n in range(UNWELL_SHOWN + 5)]
    text = drawn(shown(live=LiveStatus([connection(state="closed"), connection(number=2)], pairs)))

    assert "binance/1" not in text
    assert (UNWELL_SHOWN, 1) == (text.count(" is down"), text.count("and 5 pairs more that are not live"))


def test_nothing_measured_yet_is_a_dash_not_a_number() -> None:
    fresh = connection(state="connecting", age_s=-1.0, offset_ms=None, rate=0.0)
    text = drawn(shown(live=live([fresh], [pair(state="down", last_message_ms=0)]), candles=(), lows={}))

    [line] = [line for line in text.splitlines() if line.strip("│ ").startswith("binance/1  ")]
    assert ["connecting", "0", "-", "0", "0", "0", "0", "0", "3", "-"] == line.strip("│ ").split()[3:]
    assert "binance BTCUSDT is down, no message yet" in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("look", [storm(), shown(live=None, simulated=True, speed=60.0)])
def test_nothing_is_wider_than_the_terminal_and_what_matters_is_there(look: Shown, width: int) -> None:
    text = drawn(look, width, 40)

    assert {width} == {cell_len(line) for line in text.splitlines()}
    names = ["pair", "candle", "close", "change", "quality", "messages/s", "61,837.63", "complete"]
    if look.live is not None:
        names += ["state", "msg/s", "age", "repaired", "open", "reconnects", "clock", "-1,234 ms", "told [once]"]
    assert [] == [name for name in names if name not in text]
    assert "…" not in text


@pytest.mark.parametrize("height", [24, 30, 50])
def test_more_pairs_than_there_is_room_for_are_counted(height: int) -> None:
    many = tuple(candle("binance", f"P{n:03}USDT", 100.0) for n in range(200))
    text = drawn(shown(candles=many), 100, height)

    told = sum(f"P{n:03}USDT" in text for n in range(200))
    assert height == len(text.splitlines())
    assert f"and {200 - told} more: tickcast sql" in text


@pytest.mark.parametrize(
    "look",
    [
        Shown("starting", 0.0, 0),
        Shown("live", 0.0, 0, live=LiveStatus()),
        msgspec.structs.replace(shown(), phase="history"),
        shown(candles=(), closes={}, volatility={}, rows={}, quarantined={}, lows={}),
    ],
)
def test_nothing_yet_can_be_drawn(look: Shown) -> None:
    for width in WIDTHS:
        assert look.phase in drawn(look, width)


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 5)), min_size=1, max_size=8), st.integers(5, 150))
@settings(max_examples=60, deadline=None)
def test_columns_give_way_in_their_order_and_no_earlier_than_they_must(
    given_columns: list[tuple[str, int]], width: int
) -> None:
    columns = [Column(f"c{at}", ["x" * len(cell)], drop) for at, (cell, drop) in enumerate(given_columns)]
    kept = [str(column.header) for column in fitted(columns, width).columns]

    gone = [column for column in columns if column.name not in kept]
    stayed = [column for column in columns if column.name in kept]
    assert all(column.drop for column in gone)
    assert all(one.drop <= min(column.drop for column in gone) for one in stayed) if gone else True
    taken = sum(max(len(column.name), len(str(column.cells[0]))) + 2 for column in stayed) - 2
    assert taken <= width or not any(column.drop for column in stayed)


def test_pictures_come_a_few_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    import tickcast.cli.view as view

    drawings, draw = 0, view.picture

    def count(look: Shown) -> object:
        nonlocal drawings
        drawings += 1
        return draw(look)

    class Still:
        clock = ManualClock()
        shown = Shown("starting", 0.0, 0)

    monkeypatch.setattr(view, "picture", count)
    with watching(Console(file=io.StringIO(), force_terminal=True, width=100)) as show:
        for _ in range(100):
            show(Still())
            Still.clock.sleep(0.01)

    assert 5 <= drawings <= 6


def test_a_flat_line_and_no_line_are_drawn() -> None:
    assert ("", "▄▄") == (sparkline([]), sparkline([5.0, 5.0]))
    assert 30 == len(sparkline(list(range(100))))


def test_whose_history_is_missing_and_what_its_host_allows_is_drawn() -> None:
    fetching = tuple(FetchSeen("kraken", f"P{n}/USD", "asking", 0.42, 12_345) for n in range(6))
    look = shown(fetching=fetching, hosts=(HostUse("kraken api.kraken.com", 3.0, 3.0, 3.3, 12.0, 5),))
    text = drawn(look)

    assert "history of kraken P0/USD: 42% fetched, 12,345 rows, not live before" in text
    assert "and 2 pairs more" in text
    assert "kraken api.kraken.com: 3 of 3 used in 3.3 s, 5 requests wait, to be left alone for 12 s" in text
