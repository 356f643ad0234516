"""What the host does for one message, without Kafka: the store is a dict, the stage counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tickcast.errors import ConfigError, WireError
from tickcast.events import CANDLES, TRADES, Frame
from tickcast.flow import Hop
from tickcast.runners import quix
from tickcast.runners.wire import decode_frame, encode_frame

HOP = Hop("counter", "nowhere:Counter", ("trades",), "candles")


class Counter:
    """Says how many rows its key has seen; trade 13 breaks it after it has counted."""

    name = "counter"
    version = 1

    def __init__(self) -> None:
        self.restored = 0

    def new(self) -> list[int]:
        return [0]

    def step(self, state: list[int], frame: Frame) -> list[Frame]:
        state[0] += len(frame)
        if 13 in frame.columns["trade_id"]:
            raise ArithmeticError("unlucky")
        return [frame.with_columns("candles", CANDLES.rows([{"trade_count": state[0]}]))]

    def snapshot(self, state: list[int]) -> bytes:
        return str(state[0]).encode()

    def restore(self, data: bytes) -> list[int]:
        self.restored += 1
        return [int(data)]

    def counts(self, state: list[int]) -> dict[str, int]:
        return {}


class Store(dict[str, bytes]):
    """Quix's state of one key, as far as the host uses it."""

    get_bytes = dict.get
    set_bytes = dict.__setitem__


Ask = Callable[..., int]


@pytest.fixture
def stage() -> Counter:
    return Counter()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def ask(stage: Counter, store: Store) -> Ask:
    """Hand the host one trade; gives the count that it answers."""
    host = quix.call(HOP, stage, "trades")

    def ask(trade_id: int, pair: str = "A", state: Any = store) -> int:
        frame = Frame("trades", "x", pair, 0, TRADES.rows([{"trade_id": trade_id}]))
        (answer,) = host(encode_frame(frame), frame.key, 0, None, state)
        return int(decode_frame(answer).columns["trade_count"][0])

    return ask


def test_state_goes_on_from_message_to_message(ask: Ask) -> None:
    assert [ask(1), ask(2), ask(3)] == [1, 2, 3]


def test_each_key_has_its_own_state(ask: Ask) -> None:
    b = Store()

    assert [ask(1), ask(1, "B", b), ask(2)] == [1, 1, 2]


def test_a_state_is_restored_only_when_the_store_has_another(ask: Ask, stage: Counter, store: Store) -> None:
    """1 -- 2 -- 3 -- the store goes back to 1 -- 2"""
    found = [ask(1)]
    after_one = dict(store)
    found += [ask(2), ask(3)]
    assert stage.restored == 0
    store.update(after_one)

    assert [*found, ask(4)] == [1, 2, 3, 2]
    assert stage.restored == 1


def test_a_failed_step_leaves_nothing_behind(ask: Ask) -> None:
    ask(1)
    with pytest.raises(ArithmeticError):
        ask(13)

    assert ask(2) == 2


def test_a_lost_store_begins_anew(ask: Ask, store: Store) -> None:
    ask(1)
    store.clear()

    assert ask(2) == 1


def test_states_beside_the_store_are_bounded(ask: Ask, stage: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quix, "KEYS_MAX", 2)
    stores = {pair: Store() for pair in "ABC"}
    for pair in "ABC":
        ask(1, pair, stores[pair])

    assert [ask(2, pair, stores[pair]) for pair in "CBA"] == [2, 2, 2]
    assert stage.restored == 1


@pytest.mark.parametrize(
    ("kind", "key", "said"),
    [
        ("trades", "x:B", "has trades of x:A under the key x:B, where counter reads trades"),
        ("trades", None, "under the key None"),
        ("candles", "x:A", "has candles of x:A"),
    ],
)
def test_a_message_that_is_not_for_the_stage_is_refused(
    stage: Counter, store: Store, kind: str, key: str | None, said: str
) -> None:
    table = {"trades": TRADES, "candles": CANDLES}[kind]
    message = encode_frame(Frame(kind, "x", "A", 0, table.empty()))

    with pytest.raises(WireError, match=f"topic trades: .*{said}"):
        quix.call(HOP, stage, "trades")(message, key, 0, None, cast(Any, store))
    assert store == {}


def test_a_deletion_is_no_frame(stage: Counter, store: Store) -> None:
    with pytest.raises(WireError, match="truncated"):
        quix.call(HOP, stage, "trades")(cast(Any, None), "x:A", 0, None, cast(Any, store))


def test_without_quixstreams_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "quixstreams", None)

    with pytest.raises(ConfigError, match=r"runner quix: needs QuixStreams.*run `pip install 'tickcast\[kafka\]'`"):
        quix.application("127.0.0.1:1", "group", tmp_path)


def test_the_runner_is_imported_without_quixstreams() -> None:
    code = "import sys, tickcast.runners.quix; sys.exit('quixstreams' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
