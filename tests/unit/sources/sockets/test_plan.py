"""Pairs are dealt evenly, over as few connections as may be, and always the same way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.sources.sockets.plan import split

PAIRS = st.lists(st.text("ABCDE/", min_size=1, max_size=6), max_size=60)


@settings(max_examples=200, deadline=None)
@given(pairs=PAIRS, per_connection=st.integers(1, 12), seed=st.integers(0, 999))
def test_every_pair_has_one_place_evenly_and_whatever_the_order(
    pairs: list[str], per_connection: int, seed: int
) -> None:
    hands = split(pairs, per_connection)
    shuffled = random.Random(seed).sample(pairs, len(pairs))

    assert sorted(set(pairs)) == sorted(pair for hand in hands for pair in hand)
    assert -(-len(set(pairs)) // per_connection) == len(hands)
    assert all(1 <= len(hand) <= per_connection for hand in hands)
    assert max((len(hand) for hand in hands), default=0) - min((len(hand) for hand in hands), default=0) <= 1
    assert hands == split(shuffled, per_connection)


def test_a_connection_that_carries_nothing_is_a_fault() -> None:
    with pytest.raises(ValueError, match="carry nothing"):
        split(["A"], 0)
