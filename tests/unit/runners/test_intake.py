"""Whatever bytes come, the flow goes on; and rows that a user imported keep their place among the messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runners.kit import DAY_MS, FLOW, START_MS, market
from tickcast.events import CANDLES, TRADES, Columns, Frame
from tickcast.runners.intake import REASONS_MAX, Intake, runs_of
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Block
from tickcast.sources.own import alive, frame_message
from tickcast.store.results import Results

EXCHANGES = ("binance", "coinbase", "kraken")


def imported(start_ms: int, *, price: float = 1.0, rows: int = 1) -> bytes:
    """A message with trades of a user's file, a second apart."""
    listed = [
        {"trade_id": k, "first_id": k, "price": price, "quantity": 1.0, "timestamp_ms": start_ms + k * 1000}
        for k in range(1, 1 + rows)
    ]
    return frame_message(Frame("trades", "binance", "BTCUSDT", start_ms, TRADES.rows(listed)))


def lines_of(exchange: str, *raws: bytes) -> Block:
    return Block(exchange, b"".join(encode_line(0, exchange, raw) for raw in raws))


def test_a_line_of_imported_rows_stands_alone_and_everything_else_together() -> None:
    """message, alive, IMPORT, message, IMPORT, IMPORT: four cuts, nothing reordered, nothing lost"""
    message, proof = b'{"result":null,"id":1}', alive(START_MS)
    block = lines_of("binance", message, proof, imported(0), message, imported(1), imported(2))

    runs = runs_of(block)

    assert [2, 1, 1, 1, 1] == [run.lines.count(b"\n") for run in runs]
    assert block.lines == b"".join(run.lines for run in runs)


def test_a_block_without_imported_rows_is_left_whole() -> None:
    block = lines_of("binance", b'{"result":null,"id":1}', alive(START_MS))

    assert [block] == runs_of(block)


@pytest.mark.parametrize("spaced", [False, True])
def test_imported_rows_do_not_overtake_the_messages_before_them(spaced: bool) -> None:
    """
    trade at 0:01 -- imported trades 0:02, 0:03 -- trade at 1:01: one block gives what four blocks give
    """
    said = market(3)
    first, last = said[:40], said[40:]
    own = imported(START_MS, price=2.0, rows=3)
    if spaced:  # not as we write it, but as a hand might
        own = own.replace(b'{"tickcast":"frame"', b'{"tickcast": "frame"')
    lines = [
        *(encode_line(*one) for one in first),
        encode_line(0, "binance", own),
        *(encode_line(*one) for one in last),
    ]
    digests = []
    for parts in ([b"".join(lines)], lines):
        intake, digest = Intake(Pipeline(FLOW)), Results()
        for part in parts:
            for frame in intake.take(Block("binance", part)).frames:
                digest.write(frame)
        digests.append(digest.hexdigest())

    assert digests[0] == digests[1]


def test_imported_rows_of_an_exchange_without_a_mapper_are_read_and_its_messages_set_aside() -> None:
    intake = Intake(Pipeline(FLOW))
    intake.take(lines_of("bitstamp", b'{"what":"ever"}', imported(START_MS)))

    assert 2 == intake.messages["bitstamp"]
    assert [1] == list(intake.quarantined()["bitstamp"].values())


def test_reasons_are_counted_by_name_up_to_a_bound() -> None:
    intake = Intake(Pipeline(FLOW))
    raws = [b'{"tickcast":"frame","kind":"%d"}' % k for k in range(3 * REASONS_MAX)]
    intake.take(lines_of("binance", *raws))
    reasons = intake.quarantined()["binance"]

    assert 3 * REASONS_MAX == sum(reasons.values())
    assert len(reasons) <= REASONS_MAX + 1


def test_a_row_that_still_waits_at_the_end_is_set_aside_and_counted() -> None:
    """trade at 0:00 -- trade two days on, which nobody confirms -- end"""
    said = market(1)
    far = next(one.raw for one in said if b'"BTCUSDT"' in one.raw and b'"T":' in one.raw)
    at = far.index(b'"T":') + 4
    leap = far[:at] + b"%d" % (START_MS + 2 * DAY_MS) + far[at + 13 :]
    intake = Intake(Pipeline(FLOW))
    intake.take(lines_of("binance", *(one.raw for one in said), leap))
    assert {} == intake.quarantined()

    assert 1 == len(intake.finish().rejects)
    [(reason, count)] = intake.quarantined()["binance"].items()
    assert ("implausible time", 1) == (reason.partition(":")[0], count)
    assert 1 == intake.pipeline.counts()["frames"]["implausible"]
    assert [] == intake.finish().rejects


# --- any bytes


def samples() -> list[tuple[str, bytes]]:
    found = [(exchange, one.raw) for exchange in EXCHANGES for one in market(1, exchange=exchange)[:60:5]]
    found += [("binance", imported(START_MS, rows=2)), ("binance", alive(START_MS))]
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    candle = {"candle_seconds": 60, "window_start_ms": START_MS, "window_end_ms": START_MS + 60_000, **prices}
    found += [("binance", frame_message(Frame("candles", "binance", "BTCUSDT", START_MS, CANDLES.rows([candle]))))]
    return found


ODD = st.sampled_from(
    [b"", b"-1", b"0", b"1e999", b"NaN", b"null", b"[]", b"{}", b'""', b"9" * 30, b"\xff", b"\\u0000", b'"', b",", b"}",
     b"18446744073709551616", b"-0.0", b"1e-320", b"true", b"\n", b"4102444800001", b"[[[[[[[["]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A real message with a piece cut out, doubled or replaced."""
    exchange, raw = draw(st.sampled_from(samples()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        stop = draw(st.integers(start, min(len(raw), start + 12)))
        raw = raw[:start] + draw(ODD | st.binary(max_size=4)) + raw[stop:]
    return exchange, raw


@settings(max_examples=150, deadline=None)
@given(st.lists(mutated(), min_size=1, max_size=6), st.integers(-1, 1 << 70))
def test_no_bytes_of_a_message_stop_the_flow(said: list[tuple[str, bytes]], recv_ns: int) -> None:
    intake = Intake(Pipeline(FLOW))
    for exchange, raw in said:
        intake.take(Block(exchange, encode_line(recv_ns, exchange, raw)))
        intake.take(Block(exchange, raw.replace(b"\n", b"") + b"\n"))  # a journal line that is none
    for exchange in EXCHANGES:
        for block in [Block(exchange, b"".join(encode_line(*one) for one in market(1, exchange=exchange)[:20]))]:
            intake.take(block)
    intake.finish()
    again = Pipeline(FLOW)
    again.restore(intake.pipeline.snapshots())

    assert intake.pipeline.snapshots() == again.snapshots()


TIMES = [
    0,
    1,
    -1,
    60,
    300,
    86_400,
    START_MS,
    START_MS + 1,
    START_MS + 60_000,
    START_MS + (1 << 40),
    1 << 62,
    -(1 << 62),
]
INTEGERS = st.sampled_from(TIMES) | st.integers(-(1 << 63), (1 << 63) - 1)
TYPED: dict[str, st.SearchStrategy[Any]] = {
    "i8": INTEGERS,
    "f8": st.none() | st.floats(allow_nan=False) | st.sampled_from([0.0, -1.0, 1e300, 1e-300]),
    "b1": st.booleans(),
    "u1": st.integers(0, 255),
}
ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=3))


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Imported rows of which nothing is sure but their names, and mostly their types."""
    table = draw(st.sampled_from([CANDLES, TRADES]))
    rows = draw(st.integers(0, 3))
    columns: dict[str, list[Any]] = {}
    for name, code in table.columns.items():
        usual: Columns = table.rows([{name: START_MS if name.endswith("_ms") else 1}])
        kind = draw(st.integers(0, 20))
        value = TYPED[code] if kind < 10 else ANYTHING if kind == 10 else st.just(usual[name][0].item())
        columns[name] = draw(st.lists(value, min_size=rows, max_size=rows))
    body = {"kind": table.name, "pair": draw(st.text(max_size=4)), "low_ms": draw(INTEGERS), "columns": columns}
    return msgspec.json.encode({"tickcast": "frame", "blind_from_ms": draw(INTEGERS), **body})


@settings(max_examples=300, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=3))
def test_no_imported_rows_stop_the_flow(raws: list[bytes]) -> None:
    intake, digest = Intake(Pipeline(FLOW)), Results()
    for raw in raws:
        for frame in intake.take(lines_of("binance", raw)).frames:
            digest.write(frame)
    for frame in intake.take(lines_of("binance", imported(START_MS, rows=3))).frames:
        digest.write(frame)

    assert digest.hexdigest()
