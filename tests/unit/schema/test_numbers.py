from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.schema.numbers import bounds, mebibytes, percent, plus_minus, three_digits, with_unit
from llenergymeasure.schema.quantity import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1.00"),
        (53.44, "53.4"),
        (999.4, "999"),
        (999.6, "1,000"),
        (9.996, "10.0"),
        (0.9996, "1.00"),
        (12345, "12,300"),
        (-9.996, "-10.0"),
        (0.000123456, "0.000123"),
        (3e-13, "0.000000000000300"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    """Digits are counted after rounding, thousands are grouped, and small is not zero."""
    assert three_digits(value) == text


@given(st.floats(1e-12, 1e12))
def test_three_digits_are_near_and_three(value: float) -> None:
    """The text is within half a unit of its third digit, and never has more digits than three before it repeats zeros."""
    text = three_digits(value).replace(",", "")
    assert abs(float(text) - value) <= 0.00501 * value
    digits = text.replace(".", "").lstrip("0")
    assert len(digits.rstrip("0")) <= 3 and len(digits) >= 3


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0534, "J/token", "53.4 mJ/token"),
        (0.9996, "J", "1.00 J"),
        (999.6, "J", "1.00 kJ"),
        (1.234e7, "J", "12.3 MJ"),
        (2.5e9, "J", "2.50 GJ"),
        (4.2e-6, "J", "4.20 µJ"),
        (1e-9, "J", "0.00100 µJ"),
        (-0.05, "W", "-50.0 mW"),
        (0, "J", "0 J"),
        (None, "J", "–"),
    ],
)
def test_one_prefix(value: float | None, unit: str, text: str) -> None:
    """The prefix brings the number to 1 … 999; what is missing is a dash, never 0."""
    assert with_unit(value, unit) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "scale", "text"),
    [
        (53.42, 51.5, 55.3, 1.0, "53.4 ± 1.9"),
        (0.05342, 0.0515, 0.0553, 1e-3, "53.4 ± 1.9"),
        (5.0, 4.9004, 5.05, 1.0, "5.00 ± 0.10"),
        (1234, 1111, 1300, 1.0, "1,230 ± 120"),
        (5.0, 4.99, 5.3, 1.0, "5.00 ± 0.30"),
        (5.0, 5.0, 5.0, 1.0, "5.00 ± 0"),
        (100.0, 100 - 4e-14, 100 + 4e-14, 1.0, "100 ± 0"),
    ],
)
def test_value_and_uncertainty_end_at_one_decimal(
    value: float, low: float, high: float, scale: float, text: str
) -> None:
    """The larger half-width to two digits, the value as far and no further."""
    assert plus_minus(value, Interval(low=low, high=high), scale) == text


@pytest.mark.parametrize(
    ("low", "high", "scale", "text"),
    [
        (50.4, 298, 1, "(50 … 300)"),
        (0.0504, 0.298, 1e-3, "(50 … 300)"),
        (9.96, 99.6, 1, "(10 … 100)"),
        (0, 0.0123, 1, "(0 … 0.012)"),
    ],
)
def test_bounds_have_two_digits(low: float, high: float, scale: float, text: str) -> None:
    """A model's bounds are not more exact than that."""
    assert bounds(Interval(low=low, high=high), scale) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.081, "+8.1 %"),
        (0.00214, "+0.21 %"),
        (-0.5, "-50 %"),
        (1.234, "+123 %"),
        (0.0, "+0 %"),
        (0.00001, "+0.00 %"),
        (2.2, "×3.2"),
        (99, "×100"),
    ],
)
def test_differences_in_per_cent(share: float, text: str) -> None:
    """To two digits and no finer than a hundredth; what is three times as much or more is a multiple."""
    assert percent(share) == text


def test_memory() -> None:
    """Bytes are shown as MiB."""
    assert (mebibytes(3 * 2**20), mebibytes(5000 * 2**20), mebibytes(None)) == ("3 MiB", "5,000 MiB", "–")
