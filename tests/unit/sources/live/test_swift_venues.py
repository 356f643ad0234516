"""The swift road of Coinbase and Kraken: several trades a message, several pairs in one, numbers of the connection."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import COINBASE_ADVANCED, COINBASE_TICKER, KRAKEN_V2, raws
from tests.unit.sources.live.worlds import ANSWERS, PAIRS_OF, START_MS, Step, play
from tests.unit.sources.venues import spoken
from tests.unit.sources.venues.spoken import wounded
from tickcast.sources.live.swift import Swift
from tickcast.sources.venues.contract import QUOTE, TRADES
from tickcast.sources.venues.registry import VENUES
from tickcast.sources.venues.told import NO_TRADE
from tickcast.sources.venues.usual import FIRST, LAST, NUMBER, SENT, SEQUENCE, TIME, Usual

Row = tuple[str, int, int]
"""A trade: pair, id, ms after the start."""
QUIET: list[Step] = [("pause", 0.25)] * 6
"""Long enough for history to be asked: all pairs are live."""
OTHERS = ("coinbase", "kraken")


def stamp(ms: int) -> str:
    return f"2024-08-09T{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}Z"


assert START_MS == VENUES["kraken"].hear(b'{"method":"pong","time_out":"%b"}' % stamp(0).encode()).venue_ms


def coinbase(rows: Sequence[Row], number: int, kind: str = "update") -> bytes:
    """Trades as the venue sends them."""
    told = ",".join(
        f'{{"product_id":"{pair}","trade_id":"{trade_id}","price":"6.5","size":"1","time":"{stamp(ms)}","side":"BUY"}}'
        for pair, trade_id, ms in rows
    )
    head = f'{{"channel":"market_trades","timestamp":"{stamp(rows[0][2] + 9)}","sequence_num":{number}'
    return f'{head},"events":[{{"type":"{kind}","trades":[{told}]}}]}}'.encode()


def coinbase_quote(pair: str, ms: int, number: int) -> bytes:
    """Best prices as the venue sends them."""
    raw = spoken.TICKER.replace(b"BTC-USD", pair.encode()).replace(b'"sequence_num":16', b'"sequence_num":%d' % number)
    return raw.replace(b"2026-06-14T05:35:45.435813533Z", stamp(ms).encode())


def kraken(rows: Sequence[Row], number: int, kind: str = "update") -> bytes:
    """Trades as the venue sends them."""
    told = ",".join(
        f'{{"symbol":"{pair}","side":"sell","price":6.5,"qty":1,"ord_type":"limit","trade_id":{trade_id},'
        f'"timestamp":"{stamp(ms)}"}}'
        for pair, trade_id, ms in rows
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{told}]}}'.encode()


def kraken_quote(pair: str, ms: int, number: int) -> bytes:
    """Best prices as the venue sends them."""
    raw = spoken.KRAKEN_TICKER.replace(b"ALGO/USD", pair.encode())
    return raw.replace(b"2026-07-07T23:00:04.585581Z", stamp(ms).encode())


SAYS: dict[str, tuple[Callable[..., bytes], Callable[[str, int, int], bytes]]] = {
    "coinbase": (coinbase, coinbase_quote),
    "kraken": (kraken, kraken_quote),
}
NOISE: dict[str, Callable[[int], bytes]] = {
    "coinbase": lambda number: spoken.HEARTBEATS.replace(b":112", b":%d" % number),
    "kraken": lambda number: b'{"channel":"heartbeat"}',
}
FIRST_NUMBER = len(ANSWERS["coinbase"])


def usual(venue: str, count: int, first: int = 11, number: int = FIRST_NUMBER) -> list[bytes]:
    """Batches of three trades that follow each other, newest first, each with best prices after it."""
    trades, quote = SAYS[venue]
    pair, told = PAIRS_OF[venue][0], []
    for nth in range(count):
        last = first + 3 * nth + 2
        told.append(trades([(pair, last - back, last) for back in range(3)], number + 2 * nth))
        told.append(quote(pair, last, number + 2 * nth + 1))
    return told


@pytest.mark.parametrize("venue", OTHERS)
def test_a_read_of_usual_messages_goes_the_swift_road(monkeypatch: pytest.MonkeyPatch, venue: str) -> None:
    carried: list[int] = []
    follow = Swift.follow

    def counting(self: Swift, recv_ns: int, said: Sequence[bytes], at: int, reached: int) -> tuple[int, int, int]:
        found = follow(self, recv_ns, said, at, reached)
        carried.append(found[0] - at)
        return found

    monkeypatch.setattr(Swift, "follow", counting)
    told = usual(venue, 52)
    out = play([("read", told[:4]), *QUIET, ("read", told[4:])], venue)
    assert [100] == carried[-1:]
    assert told == [message.raw for message in out if not message.raw.startswith(b'{"tickcast"')][-104:]


@pytest.mark.parametrize("venue", OTHERS)
@pytest.mark.parametrize("gap", [-3, -1, 1, 5])
def test_a_number_that_does_not_follow_is_told_by_itself(venue: str, gap: int) -> None:
    told = usual(venue, 12)
    after = usual(venue, 12, first=11 + 36, number=FIRST_NUMBER + 24 + gap)

    play([("read", told[:4]), *QUIET, ("read", told[4:] + after), *QUIET], venue)


@pytest.mark.parametrize("venue", OTHERS)
def test_what_is_unusual_among_the_usual_is_told_by_itself(venue: str) -> None:
    trades, quote = SAYS[venue]
    one, two, unknown = PAIRS_OF[venue][0], PAIRS_OF[venue][1], PAIRS_OF[venue][0].replace("BTC", "SOL")
    at = FIRST_NUMBER + 10
    odd = [
        trades([(one, 26, 30), (one, 27, 30)], at),
        trades([(one, 27, 30), (one, 26, 31)], at),
        trades([(one, 26, 30), (one, 28, 30)], at),
        trades([(one, 26, 30), (one, 26, 30)], at),
        trades([(one, 26, 30), (one, 27, 30), (one, 26, 30)], at),
        trades([(one, 26, 30), (two, 11, 30)], at),
        trades([(one, 26, 30), (two, 27, 30)], at),
        trades([(unknown, 26, 30)], at),
        trades([(one, 26, 30)], at, "snapshot"),
        trades([(one, 12, 30)], at),
        quote(two, 30, at),
        quote(unknown, 30, at),
        NOISE[venue](at),
        b"",
        b"\n",
        quote(one, 30, at) + b"\n" + quote(one, 30, at + 1),
        quote(one, 30, at)[:-1],
        quote(one, 30, at) + b" ",
    ]
    before = usual(venue, 5)
    for raw in odd:
        play([("read", before[:4]), *QUIET, ("read", [*before[4:], raw, *usual(venue, 5, 26, at + 1)]), *QUIET], venue)


# --- what is found in one message


def judged(venue: str, raw: bytes, pairs: Sequence[str]) -> bool:
    """Whether it is usual; and then `hear` must say the same."""
    looking = Usual(venue, pairs)
    met = looking.look([raw])
    if not met:
        return False
    heard, found = VENUES[venue].hear(raw), looking._found[0].tolist()
    assert heard.kind == (QUOTE if found[FIRST] == NO_TRADE else TRADES), raw
    assert (heard.venue_ms, heard.sequence, heard.snapshot) == (found[SENT], found[SEQUENCE], False), raw
    if heard.kind == TRADES:
        (span,) = heard.spans
        ids = (span.pair, span.first_id, span.last_id, span.last_ms)
        assert ids == (pairs[found[NUMBER]], found[FIRST], found[LAST], found[TIME]), raw
    else:
        assert (heard.pair, heard.spans) == (pairs[found[NUMBER]], ()), raw
    return True


SAID = {"binance": spoken.BINANCE, "coinbase": spoken.COINBASE, "kraken": spoken.KRAKEN}
PAIRS_SAID = {
    "binance": ("BTCUSDT", "FTMUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD"),
    "kraken": ("BTC/USD", "ETH/USD", "ALGO/USD", "ADA/USD"),
}


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_a_wounded_message_is_usual_only_where_hear_says_the_same(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        venue = chance.choice(tuple(SAID))
        raw = chance.choice(SAID[venue])
        for _ in range(chance.randrange(1, 3)):
            raw = wounded(chance, raw) or b"{"
        judged(venue, raw, PAIRS_SAID[venue])


@pytest.mark.parametrize(
    ("venue", "name", "word"),
    [
        ("coinbase", COINBASE_ADVANCED, b"market_trades"),
        ("coinbase", COINBASE_TICKER, b'"ticker",'),
        ("kraken", KRAKEN_V2, b'"trade","type"'),
    ],
)
def test_captured_trades_and_prices_are_usual(shared_data: Path, venue: str, name: str, word: bytes) -> None:
    said = raws(shared_data / name)
    found = [raw for raw in said if judged(venue, raw, PAIRS_SAID[venue])]

    assert found
    assert [raw for raw in said if word in raw[:40]] == found


# --- told by chance


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[Step]]:
    """Reads of messages with gaps, doubles, wrong order, garbage; pauses, cuts, doubts."""
    chance = draw(st.randoms(use_true_random=False))
    venue = chance.choice(OTHERS)
    nexts, numbers = dict.fromkeys(PAIRS_OF[venue], 11), [FIRST_NUMBER]
    steps = [*QUIET] if chance.random() < 0.8 else []
    for _ in range(draw(st.integers(1, 10))):
        kind = chance.choice(("read", "read", "read", "read", "pause", "pause", "suspect", "cut", "back"))
        if kind == "read":
            wild = chance.choice((0.0, 0.0, 0.02, 0.2))
            count = chance.choice((1, 7, 8, 9, 20, 60))
            steps.append(("read", list(_batch(chance, venue, nexts, numbers, count, wild))))
        elif kind == "pause":
            steps.append(("pause", chance.choice((0.05, 0.2, 1.0, 4.0))))
        else:
            steps.append((kind, chance.choice(PAIRS_OF[venue])))
    return venue, steps


def _batch(
    chance: random.Random, venue: str, nexts: dict[str, int], numbers: list[int], count: int, wild: float
) -> Iterator[bytes]:
    trades, quote = SAYS[venue]
    batch: list[bytes] = []
    for _ in range(count):
        pair = chance.choice(PAIRS_OF[venue] if wild else PAIRS_OF[venue][:3])
        number, odd = numbers[0], chance.random() < wild
        numbers[0] += 1 if not odd else chance.choice((0, 1, 1, 1, 2, -1))
        if chance.random() < 0.4:
            batch.append(quote(pair, nexts[pair], number))
            continue
        ids = list(range(nexts[pair], nexts[pair] + chance.choice((1, 1, 2, 5))))
        nexts[pair] = ids[-1] + 1
        rows = [(pair, one, one + chance.choice((0, 0, 3))) for one in ids[:: chance.choice((1, -1))]]
        if odd:
            kind = chance.choice(("lost", "double", "late", "wounded", "several", "hole", "noise"))
            if kind == "several":
                other = chance.choice(PAIRS_OF[venue])
                rows.append((other, nexts[other], nexts[other]))
                nexts[other] += 1
            elif kind == "hole" and len(rows) > 2:
                del rows[1]
            if kind != "lost":
                batch.append(trades(rows, number))
            if kind == "double":
                batch.append(batch[-1])
            elif kind == "late" and len(batch) > 1:
                batch[-1], batch[-2] = batch[-2], batch[-1]
            elif kind == "wounded":
                batch[-1] = wounded(chance, batch[-1]) or b"{"
            elif kind == "noise":
                batch.append(NOISE[venue](numbers[0]))
                numbers[0] += 1
        else:
            batch.append(trades(rows, number))
    return iter(batch)


@settings(max_examples=60, deadline=None)
@given(stories())
def test_read_at_once_or_one_by_one_the_same_goes_out_and_the_same_is_known(told: tuple[str, list[Step]]) -> None:
    venue, steps = told
    play(steps, venue)
