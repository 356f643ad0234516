"""What may not reach a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tickcast.errors import DataError
from tickcast.features.validate import validate

NAMES = ("n", "ret_mean", "ret_std")
GOOD: dict[str, Any] = {"n": [50, 60], "ret_mean": [0.05, -0.1], "ret_std": [0.01, 0.0]}


@pytest.mark.parametrize("form", [list, np.array])
def test_numbers_under_the_right_names_pass(form: Any) -> None:
    validate(NAMES, {name: form(values) for name, values in GOOD.items()})


def test_rows_as_dicts_pass() -> None:
    validate(NAMES, [{"n": 50, "ret_mean": 0.05, "ret_std": 0.01}])


def test_no_rows_at_all_pass() -> None:
    validate(NAMES, [])
    validate(NAMES, {name: np.empty(0) for name in NAMES})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n": [50, float("nan")]}, "column n, row 1: is null"),
        ({"n": [None, 5]}, "column n, row 0: is null"),
        ({"ret_std": [1.0, float("inf")]}, "column ret_std, row 1: is infinity"),
        ({"ret_std": np.array([-np.inf, np.nan])}, "column ret_std, row 0: is infinity"),
        ({"n": ["50", 1]}, "column n, row 0: is '50', not a number"),
        ({"n": np.array(["50", "1"])}, "not a number"),
        ({"n": [True, 1]}, "column n, row 0: is True, not a number"),
        ({"n": np.array([True, False])}, "not a number"),
        ({"n": [10**400, 1]}, "too great"),
        ({"n": "ab"}, "not a list of numbers"),
        ({"n": 7}, "not a list of numbers"),
        ({"n": np.zeros((2, 2))}, "not a list of numbers"),
        ({"ret_mean": [0.1]}, "column ret_mean: has 1 rows where n has 2"),
        ({"ret_mea": [0.1, 0.2]}, "column ret_mea: is not a feature of this set"),
        ({"n": [[1], 2]}, "not a number"),
    ],
)
def test_the_first_fault_is_named_by_column_and_row(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as refused:
        validate(NAMES, GOOD | change)

    assert says in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named(name: str) -> None:
    with pytest.raises(DataError, match=f"column {name}: is missing"):
        validate(NAMES, {other: values for other, values in GOOD.items() if other != name})


def test_the_first_bad_column_in_the_order_of_the_names_is_named() -> None:
    with pytest.raises(DataError, match="column ret_mean, row 1"):
        validate(NAMES, GOOD | {"ret_std": [None, None], "ret_mean": [1.0, "x"]})


@pytest.mark.parametrize("null", [None, float("nan")])
def test_null_passes_only_where_it_is_allowed(null: float | None) -> None:
    rows: list[dict[str, Any]] = [{"n": 1, "ret_mean": 2.0, "ret_std": 3.0}, {"n": 1, "ret_mean": null, "ret_std": 3.0}]
    validate(NAMES, rows, allow_null=("ret_mean",))

    with pytest.raises(DataError, match="column ret_mean, row 1: is null"):
        validate(NAMES, rows, allow_null=("ret_std",))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"n": 1, "ret_mean": 2.0}], "column ret_std, row 0: is missing"),
        ([{"n": 1, "ret_mean": 2.0, "ret_std": 1.0, "x": 1}], "column x, row 0: is not a feature"),
        ([5], "row 0: is 5, not names with numbers"),
    ],
)
def test_rows_with_other_names_are_refused(rows: Any, says: str) -> None:
    with pytest.raises(DataError) as refused:
        validate(NAMES, rows)

    assert says in str(refused.value)
