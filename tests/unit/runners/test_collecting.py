"""The garbage collector beside a stream: less often, and afterwards as it was."""

from __future__ import annotations

import gc
import weakref

from tickcast.runners.collecting import NEW_OBJECTS, collected_rarely


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_a_stream_is_collected_rarely_and_all_is_as_before_when_it_ends() -> None:
    before = gc.get_threshold()
    with collected_rarely():
        assert gc.get_threshold()[0] == NEW_OBJECTS
        assert gc.get_freeze_count() > 0
    assert before == gc.get_threshold()
    assert gc.get_freeze_count() == 0


def test_what_is_dropped_while_a_stream_runs_is_still_collected() -> None:
    with collected_rarely():
        gone = weakref.ref(Knot())
        kept = []
        for _ in range(NEW_OBJECTS + 10):
            kept.append([None])
        assert gone() is None
