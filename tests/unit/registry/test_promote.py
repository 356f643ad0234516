"""What serves is changed by the gate or by a reason that is recorded, and can be changed back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.unit.registry.making import FLOW, content, forecasts, parts
from tickcast.clock import ManualClock
from tickcast.config import FlowSettings
from tickcast.errors import BundleError
from tickcast.registry import audit, evidence
from tickcast.registry.gate import GateRules
from tickcast.registry.promote import compare, promote, rollback
from tickcast.registry.shelf import Aliases, Shelf
from tickcast.training.contract import Task

HOUR_S = 3600.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path, clock=ManualClock(10**18), who="ann")


def add(shelf: Shelf, skill: float, seed: int = 3, horizon_s: int = 300, **more: Any) -> str:
    told = content(seed=seed)
    told = msgspec.structs.replace(told, task=Task("price", horizon_s))
    return shelf.add(told, parts(evaluation=evidence.write(forecasts(skill, **more)))).version


def later(shelf: Shelf, hours: float = 25.0) -> None:
    shelf.clock.sleep(hours * HOUR_S)


def served(shelf: Shelf) -> str:
    return shelf.aliases("price").champion


def test_the_first_champion_must_beat_the_naive_model(shelf: Shelf) -> None:
    noise, good = add(shelf, -0.5), add(shelf, 1.0)
    refused, passed = promote(shelf, "price", noise), promote(shelf, "price", good)

    assert (False, True) == (refused.promoted, passed.promoted)
    assert good == served(shelf)
    assert "gain over the naive" in refused.verdict.sentence
    assert "3,000 walk-forward forecasts" == passed.evidence
    latency = next(check for check in passed.verdict.checks if check.name.startswith("latency"))
    assert latency.value is not None


def test_a_challenger_that_is_better_takes_the_place_of_the_champion(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0)
    shelf.set_aliases("price", Aliases("", (second,)))
    promote(shelf, "price", first)
    later(shelf)
    found = promote(shelf, "price", second)

    assert (first, second, True) == (found.version_from, found.version_to, found.promoted)
    assert Aliases(second) == shelf.aliases("price")


def test_a_challenger_that_is_no_better_does_not(shelf: Shelf) -> None:
    first, second = add(shelf, 1.0), add(shelf, 0.5)
    promote(shelf, "price", first)
    later(shelf)
    found = promote(shelf, "price", second)

    assert ["gain over champion"] == [check.name for check in found.verdict.checks if not check.passed]
    assert first == served(shelf)
    assert ["promoted", "refused"] == [entry.action for entry in audit.read(shelf.root).entries][-2:]


def test_a_champion_is_left_alone_for_a_day(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0)
    promote(shelf, "price", first)
    later(shelf, 3.0)

    assert "the champion changed 3.0 hours ago" in promote(shelf, "price", second).verdict.sentence
    later(shelf)
    assert promote(shelf, "price", second).promoted


def test_force_needs_a_reason_and_the_reason_is_recorded(shelf: Shelf) -> None:
    version = add(shelf, -0.5)

    assert not promote(shelf, "price", version, force_reason="  ").promoted
    assert promote(shelf, "price", version, force_reason="we know better").forced
    entry = audit.read(shelf.root).entries[-1]
    assert ("forced", "ann", "we know better", version) == (entry.action, entry.who, entry.reason, entry.version_to)
    assert any("naive" in sentence for sentence in entry.verdict)


def test_a_damaged_bundle_is_not_promoted_by_force_neither(shelf: Shelf) -> None:
    version = add(shelf, 1.0)
    path = shelf.path("price", version) / "linear.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))

    with pytest.raises(BundleError, match="other bytes"):
        promote(shelf, "price", version, force_reason="it will do")
    assert "" == served(shelf)


def test_a_bundle_for_another_flow_is_not_promoted(shelf: Shelf) -> None:
    version = add(shelf, 1.0)

    with pytest.raises(BundleError, match="feature set"):
        promote(shelf, "price", version, flow=FlowSettings(indicators=("ADX:14",)))
    assert promote(shelf, "price", version, flow=FLOW).promoted


def test_without_common_rows_nothing_is_promoted_and_it_is_said_why(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0, first=3000)
    promote(shelf, "price", first)
    later(shelf)
    found = promote(shelf, "price", second)

    assert not found.promoted
    assert "on only 0 common rows, and the champion can not be run on other rows here" in found.verdict.sentence


def test_the_rows_that_both_have_are_enough(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0, first=500)
    promote(shelf, "price", first)
    later(shelf)

    assert "2,500 walk-forward forecasts" == promote(shelf, "price", second).evidence


def test_another_horizon_is_another_question(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0, horizon_s=600)
    promote(shelf, "price", first)
    later(shelf)

    assert "so they can not be compared" in promote(shelf, "price", second).verdict.sentence
    with pytest.raises(BundleError, match="so they can not be compared"):
        compare(shelf, "price", first, second)


def test_tests_with_other_truths_are_not_paired() -> None:
    one, two = forecasts(1.0), forecasts(1.0)
    two.label[7] += 0.001

    with pytest.raises(BundleError, match="1 of 3,000 common rows differ"):
        evidence.pair(Task("price", 300), one, two, "price/v2-ridge")


def test_a_bundle_without_tests_is_refused_by_the_gate(shelf: Shelf) -> None:
    for tests, told in ((None, "has no file evaluation.parquet"), (b"PAR1", "holds no forecasts that can be read")):
        version = shelf.add(content(), parts()._replace(evaluation=tests)).version
        assert told in promote(shelf, "price", version).verdict.sentence


def test_live_outcomes_are_taken_where_there_are_enough(shelf: Shelf) -> None:
    version = add(shelf, 1.0)
    few = evidence.alone(Task("price", 300), forecasts(-1.0, rows=100))
    many = evidence.alone(Task("price", 300), forecasts(-1.0, rows=2000))

    assert (
        "3,000 walk-forward forecasts; only 100 live outcomes have matured"
        == promote(shelf, "price", version, live=few, rules=GateRules(min_days=1000)).evidence
    )
    found = promote(shelf, "price", version, live=many)
    assert ("2,000 matured live outcomes", False) == (found.evidence, found.promoted)


def test_the_champion_is_not_promoted_twice(shelf: Shelf) -> None:
    version = add(shelf, 1.0)
    promote(shelf, "price", version)

    with pytest.raises(BundleError, match="is the champion already"):
        promote(shelf, "price", version)


def test_a_champion_that_changes_while_the_gate_judges_is_noticed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(shelf, 1.0), add(shelf, 1.0)
    true_load = shelf.load

    def load(*args: Any, **kwargs: Any) -> Any:
        shelf.set_aliases("price", Aliases(second))
        return true_load(*args, **kwargs)

    monkeypatch.setattr(shelf, "load", load)
    with pytest.raises(BundleError, match="has changed meanwhile"):
        promote(shelf, "price", first)
    assert second == served(shelf)


def champions(shelf: Shelf, count: int) -> list[str]:
    versions = [add(shelf, 1.0, seed=seed) for seed in range(count)]
    for version in versions:
        promote(shelf, "price", version, force_reason="next")
    return versions


def test_rollback_goes_back_one_champion_at_a_time(shelf: Shelf) -> None:
    one, two, three = champions(shelf, 3)

    found = rollback(shelf, "price", "it is worse")
    assert (three, two) == (found.version_from, found.version_to)
    assert one == rollback(shelf, "price", "so is this").version_to
    with pytest.raises(BundleError, match="knows of no champion before this one"):
        rollback(shelf, "price", "and this")
    assert one == served(shelf)
    assert ("rolled back", "so is this") == (
        (entry := audit.read(shelf.root).entries[-1]).action,
        entry.reason,
    )


def test_rollback_passes_over_what_can_not_be_served_and_says_so(shelf: Shelf) -> None:
    one, two, _ = champions(shelf, 3)
    shelf.delete("price", two, "room")
    found = rollback(shelf, "price", "worse")

    assert one == served(shelf)
    assert f"{two} was passed over" in found.verdict.sentence
    assert audit.read(shelf.root).entries[-1].verdict


def test_what_was_rolled_back_is_not_gone_back_to(shelf: Shelf) -> None:
    one, _ = champions(shelf, 2)
    rollback(shelf, "price", "worse")
    promote(shelf, "price", add(shelf, 1.0, seed=9), force_reason="next")

    assert one == rollback(shelf, "price", "worse too").version_to


def test_a_crash_between_the_line_and_the_deed_does_not_lead_rollback_astray(shelf: Shelf) -> None:
    one, two = champions(shelf, 2)
    three = add(shelf, 1.0, seed=9)
    with shelf.writing():
        shelf.record("promoted", "price", version_from=two, version_to=three, reason="and then it died")

    assert one == rollback(shelf, "price", "worse").version_to


def test_rollback_needs_a_reason(shelf: Shelf) -> None:
    champions(shelf, 2)

    with pytest.raises(BundleError, match="no reason was given"):
        rollback(shelf, "price", " ")


def test_two_versions_side_by_side(shelf: Shelf) -> None:
    first, second = add(shelf, 0.5), add(shelf, 1.0, first=1000)
    found = compare(shelf, "price", first, second)
    back = compare(shelf, "price", second, first)

    assert 2000 == found.rows
    assert found.loss_naive > found.loss_first > found.loss_second
    assert found.gain == pytest.approx(found.loss_first - found.loss_second)
    assert found.gain == pytest.approx(-back.gain)
    assert found.gain_low is not None
    assert found.gain_low > 0
    assert 0.9 == found.coverage_first
    with pytest.raises(BundleError, match="no common rows"):
        compare(shelf, "price", first, add(shelf, 1.0, first=10_000))


def test_forecasts_are_read_back_as_they_were_written_whatever_their_order() -> None:
    made = forecasts(1.0, rows=50)
    mixed = evidence.take(made, np.random.default_rng(1).permutation(50))

    assert evidence.write(made) == evidence.write(mixed)
    read = evidence.read(evidence.write(made), "here")
    assert made.forecast.tolist() == read.forecast.tolist()
    assert made.key.tolist() == read.key.tolist()
