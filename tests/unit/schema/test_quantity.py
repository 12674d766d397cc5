from __future__ import annotations

import pytest
from pydantic import ValidationError

from llenergymeasure.schema.quantity import Interval, Quantity, missing


def test_missing_says_why() -> None:
    """What is not known has no value, the lowest grade, and a reason."""
    quantity = missing("J", "no energy source was read")
    assert (quantity.value, quantity.grade, quantity.reason) == (None, "D", "no energy source was read")


@pytest.mark.parametrize(
    "fields",
    [{"value": None}, {"value": None, "reason": ""}, {"value": 1.0, "reason": "but it is there"}],
    ids=["no reason", "empty reason", "both"],
)
def test_either_a_value_or_a_reason(fields: dict[str, object]) -> None:
    """A quantity without a value says why, and one with a value has nothing to excuse."""
    with pytest.raises(ValidationError, match="either a value or a reason"):
        Quantity(unit="J", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_is_finite(value: float) -> None:
    """NaN and infinity are no values and no bounds."""
    with pytest.raises(ValidationError, match="finite number"):
        Quantity(value=value, unit="J")
    with pytest.raises(ValidationError, match="finite number"):
        Interval(low=0, high=value)
    with pytest.raises(ValidationError):
        Quantity.model_validate_json('{"value": NaN, "unit": "J"}')


def test_zero_is_a_value() -> None:
    """Zero is not missing."""
    assert Quantity(value=0.0, unit="J").reason is None


def test_a_quantity_does_not_change() -> None:
    """Results are frozen."""
    with pytest.raises(ValidationError, match="frozen"):
        Quantity(value=1.0, unit="J").value = 2.0  # type: ignore[misc]


def test_fields_of_a_newer_version_are_kept() -> None:
    """What is not known yet is neither refused nor lost."""
    quantity = Quantity.model_validate({"value": 1.0, "unit": "J", "covariance": [1, 2]})
    assert quantity.model_dump()["covariance"] == [1, 2]
