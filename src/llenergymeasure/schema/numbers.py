"""Numbers for people: one SI prefix, three significant digits, uncertainty to two digits at the same decimal."""

from __future__ import annotations

from llenergymeasure.schema.quantity import Interval, Quantity

MISSING = "–"
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0
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
    return _fixed(value, _places(value, 3))


def with_unit(value: float | None, unit: str) -> str:
    """``0.0534, "J/token"`` becomes ``53.4 mJ/token``."""
    if value is None:
        return MISSING
    scale, prefix = prefix_for(value)
    return f"{three_digits(value / scale)} {prefix}{unit}"


def counted(number: int, noun: str) -> str:
    """``1 cycle``, ``2,560 tokens``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``5 h 12 min``, ``2 d 4 h``."""
    if round(seconds) < _MINUTE_S:
        return f"{seconds:.0f} s"
    for larger, larger_s, smaller, smaller_s in (
        ("min", _MINUTE_S, "s", 1.0),
        ("h", _HOUR_S, "min", _MINUTE_S),
        ("d", _DAY_S, "h", _HOUR_S),
    ):
        whole = round(seconds / smaller_s) * smaller_s
        if whole < {"min": _HOUR_S, "h": _DAY_S}.get(larger, float("inf")):
            count, rest = divmod(whole, larger_s)
            return f"{count:.0f} {larger} {rest / smaller_s:.0f} {smaller}"
    raise ValueError(f"{seconds} is not a duration")


def plus_minus(value: float, interval: Interval, scale: float = 1.0) -> str:
    """``53.4 ± 1.9``: the larger half-width to two digits, the value at the same decimal."""
    half = max(interval.high - value, value - interval.low) / scale
    value /= scale
    if half <= 1e-9 * abs(value):  # what rounding leaves of none
        return f"{three_digits(value)} ± 0"
    places = _places(half, 2)
    return f"{_fixed(value, places)} ± {_fixed(half, places)}"


def bounds(interval: Interval, scale: float = 1.0) -> str:
    """``(50 … 300)`` to two digits."""
    low, high = (_fixed(end / scale, _places(end / scale, 2)) for end in (interval.low, interval.high))
    return f"({low} … {high})"


def with_uncertainty(quantity: Quantity, unit: str) -> str:
    """``53.4 ± 1.9 mJ``: what repeats; of an estimate its bounds, ``68.0 mJ  (50 … 300)``; else the value alone.

    Bounds in parentheses beside a value are those of a model, never of a meter.
    """
    if quantity.value is None:
        return MISSING
    scale, prefix = prefix_for(quantity.value)
    shown, interval = with_unit(quantity.value, unit), quantity.repeatability_95
    if quantity.estimated and quantity.absolute_95 is not None:
        return f"{shown}  {bounds(quantity.absolute_95, scale)}"
    if interval is None:
        return shown
    if interval.low <= 0 < quantity.value:
        return f"{shown} ± more than 100 %"
    return f"{plus_minus(quantity.value, interval, scale)} {prefix}{unit}"


def percent(share: float) -> str:
    """``+8.1 %``, a difference in per cent to two digits; from three times on ``×3.2``."""
    if share >= 2:
        return f"×{_fixed(1 + share, _places(1 + share, 2))}"
    return f"{share * 100:+,.{min(max(_places(share * 100, 2), 0), 2)}f} %"


def mebibytes(value: int | None) -> str:
    """Bytes as MiB."""
    return MISSING if value is None else f"{value / 2**20:,.0f} MiB"


def _places(value: float, digits: int) -> int:
    """Decimal places that leave ``digits`` significant ones, counted after rounding: 9.996 to three is 10.0."""
    if value == 0:
        return 0
    return digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2])


def _fixed(value: float, places: int) -> str:
    return f"{round(value, places):,.{max(0, places)}f}"
