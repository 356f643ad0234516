"""Messages that are read at once end as they would one by one: the same goes out, and the same is known afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import BTC, raws
from tests.unit.sources.live.worlds import ANSWERS, PAIRS_OF, START_MS, Step, play
from tickcast.sources.live.swift import Swift

ANSWER, PAIRS = ANSWERS["binance"][0], PAIRS_OF["binance"]


def trade(pair: str, first: int, last: int, ms: int = 0, **changed: object) -> bytes:
    """An aggregate as the venue sends it; `changed` are values of its fields."""
    ms = ms or START_MS + last
    fields: dict[str, object] = {"E": ms + 1, "s": f'"{pair}"', "a": last, "p": '"6.50"', "q": '"0.10"'}
    fields |= {"f": first, "l": last, "T": ms, "m": "true", "M": "true"} | changed
    told = ",".join(f'"{name}":{value}' for name, value in fields.items())
    return f'{{"stream":"{pair.lower()}@aggTrade","data":{{"e":"aggTrade",{told}}}}}'.encode()


def quote(pair: str, number: int = 5, stream: str = "") -> bytes:
    """Best prices as the venue sends them."""
    data = f'{{"u":{number},"s":"{pair}","b":"6.50","B":"1.00","a":"6.60","A":"2.00"}}'
    return f'{{"stream":"{stream or pair.lower()}@bookTicker","data":{data}}}'.encode()


# --- told by hand


QUIET: list[Step] = [("pause", 0.25)] * 6
"""Long enough for history to be asked: all pairs are live."""


def usual(count: int, pair: str = "BTCUSDT", first: int = 11) -> list[bytes]:
    """Trades that follow each other, each with best prices after it."""
    told = []
    for number in range(first, first + count):
        told += [trade(pair, number, number), quote(pair, number)]
    return told


def test_a_read_of_usual_messages_goes_the_swift_road(monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[int] = []
    follow = Swift.follow

    def counting(self: Swift, recv_ns: int, said: Sequence[bytes], at: int, reached: int) -> tuple[int, int, int]:
        found = follow(self, recv_ns, said, at, reached)
        carried.append(found[0] - at)
        return found

    monkeypatch.setattr(Swift, "follow", counting)
    out = play([*BEGIN, ("read", usual(50, first=13))])
    assert [100] == carried[-1:]
    assert [ANSWER, *usual(52)] == [message.raw for message in out if not message.raw.startswith(b'{"tickcast"')]


BEGIN: list[Step] = [("read", usual(2)), *QUIET]


@pytest.mark.parametrize(
    "odd",
    [
        trade("BTCUSDT", 45, 45),
        trade("BTCUSDT", 12, 12),
        trade("BTCUSDT", 12, 40),
        trade("BTCUSDT", 13, 13, T=START_MS * 1000),
        trade("BTCUSDT", 13, 13, E=5),
        trade("BTCUSDT", 13, 13, E=2**62),
        trade("BTCUSDT", 13, 13, p='"0.00"'),
        trade("BTCUSDT", 13, 13, s='"ETHUSDT"'),
        trade("BTCUSDT", -1, -1),
        trade("BTCUSDT", 13, 2**60),
        trade("SOLUSDT", 13, 13),
        quote("BTCUSDT", stream="ethusdt"),
        quote("SOLUSDT"),
        ANSWER,
        b'{"stream":"x","data":{"e":"serverShutdown","E":1723161600000}}',
        b'{"error":{"code":2,"msg":"Invalid request"},"id":3}',
        b'{"tickcast":"alive","venue_ms":1723161600000}',
        b"",
        b"\n",
        b'{"stream":"btcusdt@bookTicker","data":{"u":',
        quote("BTCUSDT") + b"\n" + quote("BTCUSDT"),
        quote("BTCUSDT") + b" ",
    ],
)
def test_what_is_unusual_among_the_usual_is_told_by_itself(odd: bytes) -> None:
    play([*BEGIN, ("read", [*usual(6, first=13)[:6], odd, *usual(6, first=16)]), *QUIET, *QUIET])


def test_captured_trades_go_the_same_road_however_they_are_cut(shared_data: Path) -> None:
    """The captures have raw trades: as aggregates of one trade each they take the live road."""
    from msgspec.json import decode

    told = []
    for raw in raws(shared_data / BTC):
        said = decode(raw)
        said = said.get("data", said)
        if said.get("e") == "trade":
            told.append(
                trade(said["s"], said["t"], said["t"], said["T"], p=f'"{said["p"]}"', q=f'"{said["q"]}"', E=said["E"])
            )
    assert len(told) > 1000
    steps: list[Step] = []
    chance, at = random.Random(3), 0
    while at < 3000:
        count = chance.choice((1, 7, 8, 30, 400))
        steps += [("read", told[at : at + count]), ("pause", 0.1)]
        at += count
    play(steps)


# --- told by chance


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """Reads of usual messages with gaps, doubles, wrong order, garbage; pauses, cuts, doubts."""
    chance = draw(st.randoms(use_true_random=False))
    nexts = dict.fromkeys(PAIRS, 11)
    steps = [*QUIET] if chance.random() < 0.8 else []
    for _ in range(draw(st.integers(1, 12))):
        kind = chance.choice(("read", "read", "read", "read", "pause", "pause", "suspect", "cut", "back"))
        if kind == "read":
            wild = chance.choice((0.0, 0.0, 0.02, 0.2))
            steps.append(("read", list(_batch(chance, nexts, chance.choice((1, 7, 8, 9, 20, 60)), wild))))
        elif kind == "pause":
            steps.append(("pause", chance.choice((0.05, 0.2, 1.0, 4.0))))
        else:
            steps.append((kind, chance.choice(PAIRS)))
    return steps


def _batch(chance: random.Random, nexts: dict[str, int], count: int, wild: float) -> Iterator[bytes]:
    batch = []
    for _ in range(count):
        pair = chance.choice(PAIRS if wild else PAIRS[:3])
        if chance.random() < 0.5:
            batch.append(quote(pair, chance.randrange(99)))
            continue
        first = nexts[pair]
        last = first + chance.choice((0, 0, 0, 1, 5))
        nexts[pair] = last + 1
        if chance.random() < wild:
            kind = chance.choice(("lost", "double", "late", "wounded", "answer"))
            if kind != "lost":
                batch.append(trade(pair, first, last))
            if kind == "double":
                batch.append(batch[-1])
            elif kind == "late" and len(batch) > 1:
                batch[-1], batch[-2] = batch[-2], batch[-1]
            elif kind == "wounded":
                at = chance.randrange(len(batch[-1]))
                batch[-1] = batch[-1][:at] + bytes([chance.randrange(256)]) + batch[-1][at + chance.randrange(3) :]
            elif kind == "answer":
                batch.append(ANSWER)
        else:
            batch.append(trade(pair, first, last))
    return iter(batch)


@settings(max_examples=60, deadline=None)
@given(stories())
def test_read_at_once_or_one_by_one_the_same_goes_out_and_the_same_is_known(steps: list[Step]) -> None:
    play(steps)
