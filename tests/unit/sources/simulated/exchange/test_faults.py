"""Each fault is seen to happen by a plain client, ends when it should, and changes nothing of what is true."""

from __future__ import annotations

import pytest

from tests.unit.sources.simulated.exchange.faulty import TIMES
from tests.unit.sources.simulated.exchange.local import (
    Local,
    rows_of,
    run,
)
from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.faults.kinds import KINDS, Fault, read_fault_flag, read_faults


def test_faults_wait_for_their_time_end_with_it_and_are_listed() -> None:
    async def test(local: Local) -> None:
        faults = local.exchange.faults
        assert faults.calm()
        faults.inject(Fault(kind="lag", after_s=10, seconds=5, venue="kraken", ms=100))
        assert ("waiting", 15.0) == (faults.list()[0]["state"], faults.list()[0]["left_s"])
        local.passes(10.5)
        assert ("running", 4.5) == (faults.list()[0]["state"], faults.list()[0]["left_s"])
        await local.raw("kraken", "/0/public/Trades", pair="XBTUSD")
        local.passes(4.5)
        assert {"kind": "lag", "venue": "kraken", "after_s": 10.0, "seconds": 5.0, "ms": 100} == faults.list()[0][
            "fault"
        ]
        assert ("ended", 1, None) == tuple(faults.list()[0][name] for name in ("state", "hits", "left_s"))
        assert faults.calm()

    run(test)


def test_faults_are_injected_listed_and_taken_away_over_http() -> None:
    async def test(local: Local) -> None:
        address = local.server.address
        several = [{"kind": "status", "venue": "binance", "code": 500}, {"kind": "lag", "after_s": 60}]
        async with local.http.post(f"{address}/faults", json=several) as answer:
            assert {"numbers": [1, 2]} == await answer.json()
        assert 500 == (await local.answer("binance", TIMES["binance"]))[0]
        async with local.http.get(f"{address}/faults") as answer:
            listed = await answer.json()
        assert [("running", 1), ("waiting", 0)] == [(one["state"], one["hits"]) for one in listed]
        async with local.http.delete(f"{address}/faults/1"):
            pass
        assert 200 == (await local.answer("binance", TIMES["binance"]))[0]
        async with local.http.delete(f"{address}/faults"):
            pass
        assert local.exchange.faults.calm()
        for wrong in (b'{"kind":"stal"}', b'{"kind":"stall","pair":"DOGE-USD"}', b"[", b'{"kind":"cut","speed":1}'):
            async with local.http.post(f"{address}/faults", data=wrong) as answer:
                assert (400, ["error"]) == (answer.status, list(await answer.json()))

    run(test)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind":"stal"}', "did you mean stall"),
        ('{"kind":"stall","how":"gently"}', "knows no way 'gently'"),
        ('{"kind":"stall","venue":"bitstamp"}', "there is no venue 'bitstamp'"),
        ('{"kind":"skip","chance":0}', "chance was 0.0"),
        ('{"kind":"skip","channel":"books"}', "channel was 'books'"),
        ('{"kind":"skip","seconds":-1}', "seconds was -1.0"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_nearest_right_word(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_faults(text.encode())


@pytest.mark.parametrize("text", ["stall,venue", "stall,venue=", "skip,chance=much", "nothing"])
def test_a_flag_that_is_no_fault_is_refused(text: str) -> None:
    if text == "stall,venue=":
        assert Fault(kind="stall") == read_fault_flag(text)
        return
    with pytest.raises(ConfigError):
        read_fault_flag(text)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_fault_changes_what_is_true(kind: str) -> None:
    async def market(local: Local, faults: list[Fault]) -> list[tuple[object, ...]]:
        local.exchange.faults.inject(*faults)
        for _ in range(30):
            local.passes(1.0)
        return rows_of(local.exchange.truth("kraken", "BTC/USD"))

    async def calm(local: Local) -> list[tuple[object, ...]]:
        return await market(local, [])

    async def rough(local: Local) -> list[tuple[object, ...]]:
        async with local.listen("kraken", "trade", "ticker"):
            return await market(local, [Fault(kind=kind, seconds=20, chance=0.5)])

    assert run(calm, hours=0.1) == run(rough, hours=0.1)
