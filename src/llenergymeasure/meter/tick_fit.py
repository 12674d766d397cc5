"""From some ticks, each known to within two reads: how far apart they come, and where the next is to be expected."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# What ticks faster is read at its plain rate: each read finds another value anyway.
FASTEST_NS = 9_000_000
# Ticks that come nearer to each other, or farther, than this share of the period from where they are expected have no pace.
_MOST_OFF = 0.3


@dataclass(frozen=True, slots=True)
class Bracket:
    """A tick came after ``begin_ns`` and not after ``end_ns``."""

    begin_ns: int
    end_ns: int

    @property
    def middle_ns(self) -> float:
        return (self.begin_ns + self.end_ns) / 2

    @property
    def width_ns(self) -> int:
        return self.end_ns - self.begin_ns


@dataclass(frozen=True, slots=True)
class Fit:
    """Ticks each ``period_ns``, one of them at ``last_ns``; single ticks are off by ``error_ns``, a mean size."""

    period_ns: float
    last_ns: float
    error_ns: float


def fit(ticks: Sequence[Bracket]) -> Fit | None:
    """The pace of three ticks or more, some between them perhaps not seen; ``None`` when they have none."""
    middles = [tick.middle_ns for tick in ticks]
    apart = [later - earlier for earlier, later in itertools.pairwise(middles)]
    nearest = statistics.mean(one for one in apart if one < 1.5 * min(apart))
    for period_ns in (statistics.median_low(apart), nearest):
        found = _fit(middles, apart, period_ns)
        if found is not None:
            return found
    return None


def _fit(middles: Sequence[float], apart: Sequence[float], period_ns: float) -> Fit | None:
    """A straight line through the ticks, numbered by a first guess at their period."""
    numbers = [0]
    for one in apart:
        numbers.append(numbers[-1] + round(one / period_ns))
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        return None
    slope, origin = statistics.linear_regression(numbers, middles)
    errors = [abs(middle - origin - number * slope) for number, middle in zip(numbers, middles, strict=True)]
    if max(errors) > _MOST_OFF * slope:
        return None
    return Fit(slope, origin + numbers[-1] * slope, statistics.mean(errors))
