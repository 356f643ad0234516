"""Answers of history joined until they hold whole windows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.live.storms import Trade, part_of
from tickcast.sources.history.contract import Part
from tickcast.sources.history.parts import Gatherer, merged

MINUTE_MS = 60_000


def part(from_ms: int, to_ms: int, *, end: bool = False) -> Part:
    rows = [Trade(ms, ms, ms) for ms in range(from_ms, to_ms, 10_000)]
    return part_of(rows, (from_ms, to_ms), end=end)._replace(pages=(b"%d" % from_ms,))


def test_parts_that_follow_each_other_are_one() -> None:
    one = merged([part(0, 30_000), part(30_000, 90_000, end=True)])

    assert (0, 90_000, True, (b"0", b"30000")) == (one.from_ms, one.to_ms, one.reached_end, one.pages)
    assert list(range(0, 90_000, 10_000)) == one.rows["trade_id"].tolist()


def test_little_is_given_all_at_the_end() -> None:
    gatherer = Gatherer(MINUTE_MS)
    given = [gatherer.add(part(at, at + 30_000)) for at in range(0, 240_000, 30_000)]
    rest = gatherer.rest()
    assert rest is not None

    assert [None] * 8 == given
    assert (0, 240_000) == (rest.from_ms, rest.to_ms)
    assert gatherer.rest() is None


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.integers(1, 12), min_size=1, max_size=40), wanted=st.integers(1, 40), offset=st.integers(0, 5))
def test_every_window_is_whole_in_one_of_the_answers_and_every_answer_says_something_new(
    steps: list[int], wanted: int, offset: int
) -> None:
    gatherer = Gatherer(MINUTE_MS, wanted)
    begin_ms = at_ms = offset * 10_000
    answers: list[Part] = []
    for step in steps:
        whole = gatherer.add(part(at_ms, at_ms + step * 10_000))
        answers += [whole] if whole else []
        at_ms += step * 10_000
    rest = gatherer.rest()
    answers += [rest] if rest else []

    windows = range(-(-begin_ms // MINUTE_MS) * MINUTE_MS, at_ms - at_ms % MINUTE_MS, MINUTE_MS)
    assert all(any(one.from_ms <= start and start + MINUTE_MS <= one.to_ms for one in answers) for start in windows)
    assert [one.to_ms for one in answers] == sorted({one.to_ms for one in answers})
    assert {ms for one in answers for ms in one.rows["trade_id"].tolist()} == set(range(begin_ms, at_ms, 10_000))
    told = [page for one in answers for page in one.pages]
    assert len(set(told)) + len(answers) - 1 >= len(told)  # only a page that lies in two answers' windows comes twice
