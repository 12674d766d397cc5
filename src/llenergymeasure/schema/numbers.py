"""Numbers for people: one SI prefix, three significant digits, uncertainty to two digits at the same decimal."""

from __future__ import annotations

import math

from llenergymeasure.schema.quantity import Interval

MISSING = "–"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def prefix_for(value: float) -> tuple[float, str]:
    """(scale, SI prefix) that brings ``value`` to 1 … 999."""
    size = abs(value)
    for scale, prefix in _PREFIXES:
        if size >= scale * 0.9995:
            return scale, prefix
    return _PREFIXES[-1] if size else (1.0, "")


def three_digits(value: float) -> str:
    """Three significant digits without an exponent; thousands are grouped."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = round(value, 2 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{min(decimals, 6)}f}"


def with_unit(value: float | None, unit: str) -> str:
    """``0.0534, "J/token"`` becomes ``53.4 mJ/token``."""
    if value is None:
        return MISSING
    scale, prefix = prefix_for(value)
    return f"{three_digits(value / scale)} {prefix}{unit}"


def plus_minus(value: float, interval: Interval, scale: float = 1.0) -> str:
    """``53.4 ± 1.9``: the larger half-width to two digits, the value at the same decimal."""
    half = max(interval.high - value, value - interval.low) / scale
    value /= scale
    if half <= 0:
        return f"{three_digits(value)} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    half_digits = round(half, 1 - math.floor(math.log10(half)))
    return f"{value:,.{decimals}f} ± {half_digits:,.{decimals}f}"


def bounds(interval: Interval, scale: float = 1.0) -> str:
    """``(50 … 298)`` to two digits."""

    def two(value: float) -> str:
        if value == 0:
            return "0"
        places = 1 - math.floor(math.log10(abs(value)))
        return f"{round(value, places):,.{max(0, places)}f}"

    return f"({two(interval.low / scale)} … {two(interval.high / scale)})"


def mebibytes(value: int | None) -> str:
    """Bytes as MiB."""
    return MISSING if value is None else f"{value / 2**20:,.0f} MiB"
