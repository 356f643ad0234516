"""Whole numbers as a venue's text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.templates import compile_templates, render


def text(template: str, decimals: int = 0, **fields: int) -> str:
    row = np.zeros((1, k.WIDTH), np.int64)
    for name, value in fields.items():
        row[0, getattr(k, name.upper())] = value
    templates = compile_templates([(template, dict.fromkeys(fields, decimals))])
    return render(templates, np.zeros(1, np.int64), row)[0].decode()


@given(st.integers(0, 10**15), st.integers(0, 8))
@settings(deadline=None, max_examples=200)
def test_decimals_are_written_exactly(steps: int, decimals: int) -> None:
    exact = Decimal(steps).scaleb(-decimals)
    trimmed = f"{exact:f}".rstrip("0").rstrip(".") if decimals else str(steps)

    assert f"{exact:.8f}" == text("<price:8>", decimals, price=steps)
    assert f"{exact:.{decimals}f}" == text("<price:.>", decimals, price=steps)
    assert trimmed == text("<price:trim>", decimals, price=steps)


@given(st.integers(0, 4_102_444_800_000_000))
@settings(deadline=None, max_examples=200)
def test_times_are_written_as_dates(time_us: int) -> None:
    moment = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC)

    assert f"{moment:%Y-%m-%dT%H:%M:%S}.{time_us % 1_000_000:06d}Z" == text("<time_us:iso>", time_us=time_us)
    assert str(time_us // 1000) == text("<time_us:ms>", time_us=time_us)


def test_a_word_stands_for_yes_and_another_for_no() -> None:
    assert text("m=<maker:true|false>", maker=1) == "m=true"
    assert text("m=<maker:true|false>", maker=0) == "m=false"


def test_each_row_is_written_in_its_own_template() -> None:
    rows = np.zeros((3, k.WIDTH), np.int64)
    rows[:, k.ID] = [7, 8, 9]
    templates = compile_templates([("a<id>", {}), ("<id>b", {})])

    assert render(templates, np.array([0, 1, 0]), rows) == [b"a7", b"8b", b"a9"]


def test_no_rows_make_no_text() -> None:
    assert render(compile_templates([("a", {})]), np.zeros(0, np.int64), np.zeros((0, k.WIDTH), np.int64)) == []
