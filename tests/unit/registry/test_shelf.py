"""The shelf stays readable whoever dies, and no version is given twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.unit.registry.making import content, parts
from tickcast.clock import ManualClock
from tickcast.errors import BundleError, BusyError
from tickcast.registry import audit, disk
from tickcast.registry.shelf import ALIASES_FILE, Aliases, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", clock=ManualClock(1_000_000_000), who="ann")


def test_versions_are_numbered_by_task_and_named_by_kind(shelf: Shelf) -> None:
    added = [
        shelf.add(content(), parts()).version,
        shelf.add(content(kind_name="mean"), parts(kind_name="mean")).version,
    ]
    other = shelf.add(content("volatility", "mean"), parts("volatility", "mean")).version

    assert (["v1-ridge", "v2-mean"], "v1-mean") == (added, other)
    assert added == shelf.versions("price")
    assert ("v2-mean", None) == (shelf.newest("price"), shelf.newest("direction"))
    assert "v2-mean" == shelf.load("price", "v2-mean").manifest.version


def test_ten_comes_after_nine(shelf: Shelf) -> None:
    made = parts()
    for _ in range(10):
        shelf.add(content(), made)

    assert ["v8-ridge", "v9-ridge", "v10-ridge"] == shelf.versions("price")[-3:]


def test_a_number_is_not_given_again_when_its_version_is_gone(shelf: Shelf) -> None:
    shelf.add(content(), parts())
    shelf.delete("price", "v1-ridge", "no use")

    assert "v2-ridge" == shelf.add(content(), parts()).version
    assert ["registered", "deleted", "registered"] == [entry.action for entry in audit.read(shelf.root).entries]


def test_a_bundle_that_was_put_under_another_name_is_refused(shelf: Shelf) -> None:
    shelf.add(content(), parts())
    shelf.path("price", "v1-ridge").rename(shelf.path("price", "v5-ridge"))

    with pytest.raises(BundleError, match="which belongs elsewhere"):
        shelf.load("price", "v5-ridge")


@pytest.mark.parametrize("name", ["v1", "v1-ridge", "newest", "champion"])
def test_a_version_answers_to_its_number_and_its_alias(name: str, shelf: Shelf) -> None:
    shelf.add(content(), parts())
    shelf.set_aliases("price", Aliases("v1-ridge"))

    assert "v1-ridge" == shelf.resolve("price", name)


@pytest.mark.parametrize("name", ["v2", "", "challenger", "../v1-ridge", "v1-rid"])
def test_a_name_that_means_no_version_is_refused(name: str, shelf: Shelf) -> None:
    shelf.add(content(), parts())

    with pytest.raises(BundleError, match="names no version on the shelf"):
        shelf.resolve("price", name)


def test_a_champion_is_not_deleted_and_a_challenger_leaves_its_place(shelf: Shelf) -> None:
    for _ in range(2):
        shelf.add(content(), parts())
    shelf.set_aliases("price", Aliases("v1-ridge", ("v2-ridge",)))

    with pytest.raises(BundleError, match="is the champion, so it was not deleted"):
        shelf.delete("price", "v1-ridge", "no use")
    shelf.delete("price", "v2-ridge", "no use")

    assert Aliases("v1-ridge") == shelf.aliases("price")
    assert ["v1-ridge"] == shelf.versions("price")


def test_any_number_of_challengers_run_beside_the_champion(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add(content(), parts())
    shelf.set_aliases("price", Aliases("v1-ridge"))

    assert Aliases("v1-ridge", ("v3-ridge", "v2-ridge")) == shelf.challenge("price", ("v3-ridge", "v2-ridge"), "try")
    with pytest.raises(BundleError, match="is the champion already"):
        shelf.challenge("price", ("v1-ridge",), "try")
    with pytest.raises(BundleError):
        shelf.challenge("price", ("v9-ridge",), "try")
    assert ("v3-ridge", "v2-ridge") == shelf.aliases("price").challengers


def test_aliases_that_can_not_be_read_are_told(shelf: Shelf) -> None:
    shelf.add(content(), parts())
    (shelf.folder("price") / ALIASES_FILE).write_bytes(b'{"champion": 1')

    with pytest.raises(BundleError, match="it is not known what serves"):
        shelf.aliases("price")


def test_a_bundle_from_elsewhere_is_brought_in_once(shelf: Shelf, tmp_path: Path) -> None:
    elsewhere = Shelf(tmp_path / "elsewhere")
    elsewhere.add(content(seed=8), parts())
    came = elsewhere.add(content(), parts())
    shelf.add(content(seed=9), parts())

    brought = [shelf.adopt(elsewhere.path("price", came.version)) for _ in range(2)]

    assert ["v2-ridge", "v2-ridge"] == [one.version for one in brought]
    assert came.hash == shelf.load("price", "v2-ridge").manifest.hash


def test_a_task_that_is_none_is_refused(shelf: Shelf) -> None:
    with pytest.raises(BundleError, match="give price, direction, volatility"):
        shelf.versions("../price")


WRITER = """
import os, sys
from pathlib import Path
import msgspec
from tickcast.registry.bundle import Parts
from tickcast.registry.manifest import Content
from tickcast.registry.shelf import Shelf

shelf, halt = Shelf(Path(sys.argv[1])), int(sys.argv[2])
content = msgspec.json.decode(sys.stdin.readline(), type=Content)
made = Parts({"linear.json": sys.stdin.readline().encode()}, {}, b"forecasts")
true_sync, synced = os.fsync, []

def sync(handle):
    synced.append(handle)
    if len(synced) == halt:
        print("now", flush=True)
        sys.stdin.readline()
    true_sync(handle)

os.fsync = sync
print("ready", flush=True)
if not halt:
    sys.stdin.readline()
for _ in range(1 if halt else 5):
    print(shelf.add(content, made).version, flush=True)
"""


def writer(root: Path, halt: int) -> subprocess.Popen[str]:
    """A process that writes bundles, and waits for a word before its so-manieth fsync."""
    started = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(halt)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert started.stdin is not None
    assert started.stdout is not None
    model = json.dumps(json.loads(parts().model["linear.json"]))
    started.stdin.write(f"{msgspec.json.encode(content()).decode()}\n{model}\n")
    started.stdin.flush()
    assert "ready\n" == started.stdout.readline()
    return started


@pytest.mark.parametrize("halt", [1, 4, 5, 6, 7])
def test_a_writer_that_is_killed_leaves_a_shelf_that_can_be_read_and_written(halt: int, shelf: Shelf) -> None:
    first = shelf.add(content(seed=1), parts()).version
    killed = writer(shelf.root, halt)
    assert killed.stdout is not None
    assert "now\n" == killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    assert all(shelf.load("price", version) for version in shelf.versions("price"))
    after = shelf.add(content(seed=2), parts()).version
    assert [first, after] == [version for version in shelf.versions("price") if version in (first, after)]
    assert [] == list(shelf.folder("price").glob(".part-*"))
    assert [] == audit.read(shelf.root).faults


def test_two_processes_that_register_at_once_never_get_the_same_number(shelf: Shelf) -> None:
    both = [writer(shelf.root, 0) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [name for process in both for name in process.communicate(timeout=120)[0].split()]

    assert [f"v{number}-ridge" for number in range(1, 11)] == sorted(told, key=lambda name: int(name[1:-6]))
    assert 10 == len(shelf.versions("price")) == len(audit.read(shelf.root).entries)
    assert [] == audit.read(shelf.root).faults


def test_who_waits_too_long_for_another_writer_is_told(shelf: Shelf) -> None:
    with (
        shelf.writing(),
        pytest.raises(BusyError, match="by another process for 30 s"),
        disk.locked(shelf.root, ManualClock()),
    ):
        pass
