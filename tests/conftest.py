"""What every test may ask for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

MAY_BE_LEFT_OUT = ("needs the right to mount",)
"""Reasons for which CI lets a test be skipped: it can not run on every machine, and says why."""
TESTS = Path(__file__).resolve().parent
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests behind `&` or nohup has Ctrl-C ignored, and all that they start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the workers of a whole run begin, kernels are compiled once for all of them."""
    config = session.config
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS and not config.option.collectonly
    if whole and config.getoption("numprocesses", 0) and not hasattr(config, "workerinput"):
        # should one not compile, the tests of it say so
        subprocess.run([sys.executable, "-m", "tests.compiled"], cwd=TESTS.parent, check=False)


LONG = ("simulation", "docs")
"""Rooms of tests that run on one version of Python alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is in those rooms is marked as long."""
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in LONG:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real captures and history beside the checkout; where they are absent (never in CI) a test says so."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the shared data at {SHARED_DATA}")
        pytest.skip(f"needs the shared captures at {SHARED_DATA}")
    return SHARED_DATA


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that must run here is not skipped in silence."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(known in reason for known in MAY_BE_LEFT_OUT):
            report.outcome, report.longrepr = "failed", f"CI must not skip this test: {reason}"
    return report
