"""Ranges in a sweep: ``{pow2: [16, 256]}``, ``{linspace: [a, b, n]}``, ``{logspace: [a, b, n]}``. Both ends are included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llenergymeasure.config.keys import whole_numbers
from llenergymeasure.config.problems import did_you_mean, short

# A field holds less than this, and nobody sweeps more values than that.
_LARGEST, _MOST_VALUES = 1e15, 100_000
# Enough digits for any setting, and few enough that 0.1 + 0.2 is 0.3.
_DIGITS = 12


def values_of(key: str, given: Mapping[str, Any]) -> tuple[int | float, ...]:
    """The values of a range for a dotted key: whole numbers where the field takes no others, each once, in order.

    Raises ``ValueError`` with the message and the hint.
    """
    if len(given) != 1 or next(iter(given)) not in _KINDS:
        name = str(next(iter(given), ""))
        hint = did_you_mean(name, _KINDS) if len(given) == 1 else "write one of pow2, linspace, logspace"
        raise ValueError(f"a sweep needs a list of values or a range, found {short(dict(given))}", hint)
    name, ends = next(iter(given.items()))
    count, form, make = _KINDS[name]
    if not isinstance(ends, list) or len(ends) != count or not all(map(_is_number, ends)):
        raise ValueError(f"{name} needs {form}, found {short(ends)}", f"for example {{{name}: {_EXAMPLES[name]}}}")
    low, high = ends[:2]
    if low > high:
        raise ValueError(f"{name} goes from {low:g} down to {high:g}", "write the smaller number first")
    made = make(ends)
    whole = whole_numbers(key)
    if whole is None:
        whole = all(isinstance(value, int) or float(value).is_integer() for value in made)
    return tuple(dict.fromkeys(round(value) if whole else float(f"{value:.{_DIGITS}g}") for value in made))


def _powers(ends: Sequence[Any]) -> list[float]:
    low, high = ends
    if low < 1:
        raise ValueError(f"pow2 begins at {low:g}", "begin at 1 or more")
    powers = [1 << exponent for exponent in range(int(high).bit_length()) if low <= 1 << exponent <= high]
    if not powers:
        raise ValueError(f"no power of two lies between {low:g} and {high:g}", "widen the range, or list the values")
    return list(powers)


def _even(ends: Sequence[Any]) -> list[float]:
    low, high, count = float(ends[0]), float(ends[1]), _count(ends)
    steps = max(count - 1, 1)
    return [low + (high - low) * index / steps for index in range(count - 1)] + [high if count > 1 else low]


def _geometric(ends: Sequence[Any]) -> list[float]:
    low, high, count = float(ends[0]), float(ends[1]), _count(ends)
    if low <= 0:
        raise ValueError(f"logspace begins at {low:g}", "begin above 0: each value is the last one times a factor")
    steps = max(count - 1, 1)
    inner = [math.exp(math.log(low) + math.log(high / low) * index / steps) for index in range(1, count - 1)]
    return [low, *inner, high] if count > 1 else [low]


def _count(ends: Sequence[Any]) -> int:
    count = ends[2]
    if not isinstance(count, int) or not 1 <= count <= _MOST_VALUES:
        raise ValueError(
            f"a range has 1 to {_MOST_VALUES:,} values, found {short(count)}", "write [from, to, how many]"
        )
    return int(count)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


_KINDS: Mapping[str, tuple[int, str, Callable[[Sequence[Any]], list[float]]]] = {
    "pow2": (2, "two numbers, from and to", _powers),
    "linspace": (3, "three numbers: from, to, how many", _even),
    "logspace": (3, "three numbers: from, to, how many", _geometric),
}
_EXAMPLES = {"pow2": "[16, 256]", "linspace": "[0.5, 1.0, 3]", "logspace": "[1, 1000, 4]"}
