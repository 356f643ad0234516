"""The live feed and pairs that say nothing: only quiet, stalled, or gone."""

from __future__ import annotations

import pytest

from tests.unit.sources.live.fakes import a_story, knows, quote, trades
from tickcast.sources.live import pace, watching


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paces and patience of a tenth of a second."""
    monkeypatch.setattr(pace, "LEAST_S", 0.3)
    monkeypatch.setattr(pace, "UNKNOWN_S", 0.3)
    monkeypatch.setattr(watching, "LOOK_S", 0.05)
    monkeypatch.setattr(watching, "LOOKS_EACH_S", 0.1)
    monkeypatch.setattr(watching, "VERDICT_S", 0.2)
    monkeypatch.setattr(watching, "SETTLE_S", 0.1)


@pytest.mark.usefixtures("quick")
def test_a_pair_that_is_only_quiet_is_asked_about_and_stays() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        asked = len(story.history.asked)
        story.until(lambda: len(story.history.asked) > asked)
        story.open()

        assert (0, 1) == (story.of().stalls, len(story.client.sockets))
        assert "history A live" == story.told()[-1]


@pytest.mark.usefixtures("quick")
def test_a_pair_that_stays_quiet_is_asked_about_ever_less_often() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        lane = story.feed._exchanges[0].lanes["A"]
        story.until(lambda: lane.looks == 3)
        assert not lane.pace.silent(story.feed._time.now_s, 2.0**lane.looks)
        story.say(trades(("A", 5)))
        story.until(lambda: lane.looks == 0)

        assert "live" == story.state()


@pytest.mark.usefixtures("quick")
def test_a_stalled_pair_is_filled_from_history_and_subscribed_anew() -> None:
    with a_story("A", "B", known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6)
        story.until(lambda: story.of("A").stalls)
        story.open()

        wanted = [b'{"subscribe":"A"}', b'{"subscribe":"B"}', b'{"unsubscribe":"A"}', b'{"subscribe":"A"}']
        assert wanted == story.socket.sent
        assert any("history A" in text for text in story.told())
        story.say(trades(("A", 7)))
        assert ("A7", "live") == (story.told()[-1], story.state("A"))


@pytest.mark.usefixtures("quick")
def test_a_stream_that_is_only_slow_is_no_stall() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6)
        story.until(lambda: story.feed._exchanges[0].lanes["A"].verdict is not None)
        assert "suspect" == story.state()
        story.say(trades(("A", 5)), trades(("A", 6)))
        story.open()

        assert (0, ["A5", "A6"]) == (story.of().stalls, [text for text in story.told() if text[0] == "A"])


@pytest.mark.usefixtures("quick")
def test_after_several_stalls_the_connection_is_dialled_anew() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()

        def goes_on() -> bool:
            """The venue trades, and its stream says nothing of it."""
            newest = story.history.happened.get("A", [])
            story.history.add("A", newest[-1].last + 1 if newest else 5)
            return len(story.client.sockets) == 2

        story.until(goes_on)
        assert watching.STALLS_MAX == story.of().stalls
        assert any("dialled anew" in note for note in story.notes)


@pytest.mark.usefixtures("quick")
def test_a_pair_that_the_venue_refuses_is_down_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "ASK_AGAIN_S", 0.2)
    with a_story("A", "B") as story:
        story.client.refuses = {"B"}
        story.until(lambda: story.state("A") == "live")
        assert "down" == story.state("B")
        story.client.refuses = set()
        story.until(lambda: story.state("B") == "live")

        assert any("B: the venue refuses it (no such pair)" in note for note in story.notes)


@pytest.mark.usefixtures("quick")
def test_best_prices_that_alone_stall_are_subscribed_anew() -> None:
    """Trades go on, so the pair is not silent; history knows no best prices, so only their own pace can tell."""
    with a_story(known={"A": knows(4)}) as story:
        socket = story.open()
        story.history.add("A", 4)
        story.say(quote("A"))
        numbers = iter(range(5, 10_000))

        def goes_on() -> bool:
            number = next(numbers)
            story.history.add("A", number)
            story.say(trades(("A", number)))
            return b'{"unsubscribe":"A"}' in socket.sent

        story.until(goes_on)
        story.until(lambda: story.state() == "live")

        assert any("its best prices have stalled while trades go on" in note for note in story.notes)
        assert (1, 1) == (story.of().stalls, len(story.client.sockets))


@pytest.mark.usefixtures("quick")
def test_a_pair_that_never_had_best_prices_lacks_none() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        end_s = story.loop.time() + 1.0
        for number in range(5, 10_000):
            story.history.add("A", number)
            story.say(trades(("A", number)))
            if story.loop.time() > end_s:
                break

        assert 0 == story.of().stalls
