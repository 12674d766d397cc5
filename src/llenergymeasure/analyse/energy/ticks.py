"""When a sensor gave each of its values, as far as reads of it can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Ints, Series, median_s
from llenergymeasure.model.reading import Channel
from llenergymeasure.units import NS_PER_S, s_to_ns

# A value seen by a read is no older than this many of the sensor's periods.
_LATE = 1.1
# The values of a sensor that repeats itself are told apart by its period; a distance of so many is more than one.
_SEVERAL = 1.5
# What brackets say about how uneven ticks are may not be all of it.
_LEAST_UNEVEN = 0.1


@dataclass(frozen=True, slots=True)
class Ticks:
    """The instants at which values appeared: each in the middle of a bracket of ``width_s`` that certainly holds it.

    ``period_s`` is the time between two values of the sensor, ``apart_s`` that between two ticks of this list.
    """

    t_ns: Ints
    width_s: Floats
    value: Floats
    period_s: float
    apart_s: float

    def __len__(self) -> int:
        return len(self.t_ns)


def ticks_of(channel: Channel, series: Series) -> Ticks | None:
    """Every change of the value; ``None`` when there are fewer than two.

    A value appeared after the read before it was asked, which showed another, and before the read that saw it had returned.
    Where the sensor's period is known it is no older than that: reads that are farther apart, or failed, widen the bracket no
    more, and reads of a fast counter (RAPL: 1 ms) are ticks themselves.
    """
    changed = np.flatnonzero(np.diff(series.value)) + 1
    if len(changed) < 2:
        return None
    end_ns = series.t_ns[changed]
    begin_ns = series.t_ns[changed - 1] - series.call_ns[changed - 1]
    if channel.update_period_s is not None:
        begin_ns = np.maximum(begin_ns, end_ns - series.call_ns[changed] - s_to_ns(_LATE * channel.update_period_s))
    t_ns = (begin_ns + end_ns) // 2
    apart_s = median_s(t_ns)
    width_s = np.asarray((end_ns - begin_ns) / NS_PER_S)
    return Ticks(t_ns, width_s, series.value[changed], channel.update_period_s or apart_s, apart_s)


def published(channel: Channel, series: Series) -> Ticks:
    """Every value of a power sensor, those that equal the one before them too, and the time that each stands for is one period.

    A value that is read again and again was given again and again: it is put at each period between the changes around it.
    """
    poll_s = median_s(series.t_ns)
    changes = ticks_of(channel, series)
    ends_ns, ends_s = series.t_ns[[0, -1]], np.array([poll_s, poll_s])
    if changes is None:
        period_s = channel.update_period_s or poll_s
        at_ns, width_s, value = ends_ns, ends_s, series.value[[0, -1]]
    else:
        period_s = max(channel.update_period_s or changes.apart_s, changes.apart_s / _SEVERAL)
        later = ends_ns[1] > changes.t_ns[-1]
        at_ns = np.concatenate((ends_ns[:1], changes.t_ns, ends_ns[1:] if later else ends_ns[:0]))
        width_s = np.concatenate((ends_s[:1], changes.width_s, ends_s[1:] if later else ends_s[:0]))
        value = np.concatenate((series.value[:1], changes.value, series.value[-1:] if later else series.value[:0]))
    lengths_s = np.diff(at_ns) / NS_PER_S
    several = np.where(lengths_s > _SEVERAL * period_s, np.round(lengths_s / period_s), 1).astype(np.int64)
    if several.max(initial=1) > 1:
        at_ns, width_s, value = _filled(at_ns, width_s, value, several)
    return Ticks(at_ns, width_s, value, period_s, median_s(at_ns))


def uneven_s(ticks: Ticks) -> float:
    """By how much the distances of neighbouring ticks differ from each other, brackets left out as far as they tell."""
    # The first and the last value of a power sensor stand at the ends of the readings, wherever these are.
    apart_s = np.diff(ticks.t_ns[1:-1]) / NS_PER_S
    usual = np.abs(apart_s - ticks.apart_s) < (_SEVERAL - 1) * ticks.apart_s
    if usual.sum() < 2:
        return 0.0
    seen_s2 = float(np.var(apart_s[usual]))
    bracket_s2 = float(np.mean(ticks.width_s**2)) / 6
    return math.sqrt(max(seen_s2 - bracket_s2, _LEAST_UNEVEN * seen_s2))


def _filled(at_ns: Ints, width_s: Floats, value: Floats, several: Ints) -> tuple[Ints, Floats, Floats]:
    """``several`` values, evenly, for each distance of two: the earlier one again, and at its end the later one."""
    from_place = np.repeat(np.arange(len(several)), several)
    number = np.arange(len(from_place)) - np.repeat(np.cumsum(several) - several, several)
    parts = number / np.repeat(several, several)
    filled_ns = at_ns[from_place] + (parts * np.diff(at_ns)[from_place]).astype(np.int64)
    return (
        np.concatenate((filled_ns, at_ns[-1:])),
        np.concatenate((width_s[from_place], width_s[-1:])),
        np.concatenate((value[from_place], value[-1:])),
    )
