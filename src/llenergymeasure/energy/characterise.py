"""How a sensor behaves, from dense readings of it at rest, under steady load, and while load goes on and off. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import Channel, Readings, Status
from llenergymeasure.units import NS_PER_S, ns_to_s, s_to_ns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Fewer ticks than this do not give a period.
_LEAST_TICKS = 10
# What a counter must show to be trusted more than its maker's word.
_MOST_JITTER, _LEAST_DUTY, _MOST_APART = 0.2, 0.95, 0.02
# What is tried for the time that a value is late, and for the time that it is the mean of, of a tick and in all.
_MOST_LAG_S, _LONG_MEAN_S, _LONGEST_MEAN_S = 0.3, 0.5, 1.5
_TRIES, _ROUNDS = 17, 5
# A step must change a sensor's values by this share before it says anything.
_LEAST_STEP = 0.1

NO_LOAD = "no load could be made: lag, averaging, duty and aliasing were not measured"


@dataclass(frozen=True, slots=True)
class Stretches:
    """What the board did while it was read: rest, and with a load steady work, every time at which it worked, and square waves.

    ``locked`` is a square wave with the period of a tick and ``unlocked`` one of 1.37 ticks, each over whole periods.
    """

    idle: Interval
    steady: Interval | None = None
    working: tuple[Interval, ...] = ()
    locked: Interval | None = None
    unlocked: Interval | None = None


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a channel as they appeared: when each was first seen (between two reads), and what power it stands for."""

    t_ns: Ints
    power_w: Floats


@dataclass(frozen=True, slots=True)
class _Shape:
    """A value is the mean of the ``averaging_s`` that ended ``lag_s`` before; power at rest, and what work adds to it."""

    lag_s: float
    averaging_s: float
    rest_w: float
    work_w: float


class _Work:
    """Seconds of work until any instant."""

    def __init__(self, working: Sequence[Interval]) -> None:
        self._edges_ns = np.array([edge for one in working for edge in (one.begin_ns, one.end_ns)], dtype=np.int64)
        ended_s = np.concatenate(([0.0], np.cumsum([one.duration_s for one in working])))
        self._done_s = np.repeat(ended_s, 2)[1:-1]

    def until_s(self, t_ns: Ints) -> Floats:
        """Of each instant."""
        return np.asarray(np.interp(t_ns, self._edges_ns, self._done_s))


def period_of(channel: Channel, readings: Readings, over: Interval) -> float | None:
    """The time between two ticks of a channel, in s; ``None`` where it ticks too rarely, or faster than it is read."""
    found = _ticks(_changes(*_good(channel, readings), over))
    return None if found is None else found[0]


def profile_of(
    channel: Channel, power: Channel | None, readings: Readings, did: Stretches, *, measured_at: str, driver: str | None
) -> SensorProfile:
    """The profile of an energy channel. ``power``: a channel with the power of the same domain, to hold a counter against."""
    t_ns, value = _good(channel, readings)
    took_s = _calls_s(channel, readings)
    notes: list[str] = []
    ticks = _ticks(_changes(t_ns, value, did.idle))
    if ticks is None:
        notes.append("it ticks too rarely, or faster than it was read")
    shape = _shape(channel, t_ns, value, did, None if ticks is None else ticks[0])
    if did.steady is None:
        notes.append(NO_LOAD)
    elif shape is None:
        notes.append("its values did not follow the load")
    tick_s, jitter_s = ticks or (None, None)
    duty = None if shape is None or tick_s is None else min(1.0, shape.averaging_s / tick_s)
    counts = channel.kind == "counter"
    locked, unlocked = (
        None if shape is None or over is None else _alias(channel, t_ns, value, did, over, shape)
        for over in (did.locked, did.unlocked)
    )
    to_power = [
        None if power is None or over is None or not counts else _to_power((t_ns, value), _good(power, readings), over)
        for over in (did.idle, did.steady)
    ]
    found = SensorProfile(
        measured_at=measured_at,
        driver=driver,
        tick_s=tick_s,
        tick_jitter_s=jitter_s,
        call_s=float(np.median(took_s)) if len(took_s) else None,
        slowest_call_s=float(took_s.max()) if len(took_s) else None,
        lag_s=None if shape is None else shape.lag_s,
        averaging_s=None if shape is None else shape.averaging_s,
        duty=duty,
        alias_locked=locked,
        alias_unlocked=unlocked,
        to_power_idle=to_power[0],
        to_power_load=to_power[1],
        notes=tuple(notes),
    )
    return _judged(found) if counts else found


def _judged(found: SensorProfile) -> SensorProfile:
    """Whether a counter passes, and where it does not."""
    wrong = []
    if found.tick_s is None or found.tick_jitter_s is None or found.tick_jitter_s > _MOST_JITTER * found.tick_s:
        wrong.append("its ticks are not regular")
    if found.duty is None or found.duty < _LEAST_DUTY:
        wrong.append("it was not shown to see all the time")
    if any(one is None or abs(one) > _MOST_APART for one in (found.alias_locked, found.alias_unlocked)):
        wrong.append("it was not shown to add up a changing load")
    if any(one is not None and abs(one - 1) > _MOST_APART for one in (found.to_power_idle, found.to_power_load)):
        wrong.append("it does not agree with the power readings")
    return dataclasses.replace(found, passed=not wrong, notes=(*found.notes, *wrong))


def _good(channel: Channel, readings: Readings) -> tuple[Ints, Floats]:
    """The good readings of a channel: when each returned, and its value."""
    mask = _mask(channel, readings)
    if not mask.any():
        return np.zeros(0, np.int64), np.zeros(0)
    return np.frombuffer(readings.t_ns, np.int64)[mask], np.frombuffer(readings.value, np.float64)[mask]


def _calls_s(channel: Channel, readings: Readings) -> Floats:
    mask = _mask(channel, readings)
    return np.frombuffer(readings.call_ns, np.int64)[mask] / NS_PER_S if mask.any() else np.zeros(0)


def _mask(channel: Channel, readings: Readings) -> npt.NDArray[np.bool_]:
    if not len(readings):
        return np.zeros(0, np.bool_)
    of = np.frombuffer(readings.channel, np.int64) == channel.id
    return np.asarray(of & (np.frombuffer(readings.status, np.int64) == int(Status.OK)))


def _changes(t_ns: Ints, value: Floats, over: Interval) -> Ints:
    """When the value was seen to change within ``over``: half-way between the read before and the one that saw it."""
    changed = np.flatnonzero(np.diff(value)) + 1
    at_ns = (t_ns[changed] + t_ns[changed - 1]) // 2
    return at_ns[(at_ns >= over.begin_ns) & (at_ns <= over.end_ns)]


def _ticks(at_ns: Ints) -> tuple[float, float] | None:
    """(period, jitter) in s of ticks, of which some may not have changed the value.

    Ticks are numbered by the median distance and a straight line through them gives the period. The jitter is that of distances
    over √2, ticks that were missed left out: what is drawn for each tick is in two distances.
    """
    if len(at_ns) < _LEAST_TICKS:
        return None
    apart_ns = np.diff(at_ns)
    number = np.concatenate(([0.0], np.cumsum(np.maximum(np.round(apart_ns / np.median(apart_ns)), 1))))
    period_ns = float(np.polyfit(number, at_ns - at_ns[0], 1)[0])
    off_ns = apart_ns - np.diff(number) * period_ns
    usual = np.abs(off_ns - np.median(off_ns)) <= period_ns / 2
    return period_ns / NS_PER_S, float(np.std(off_ns[usual])) / np.sqrt(2).item() / NS_PER_S


def _values(channel: Channel, t_ns: Ints, value: Floats) -> _Values:
    """Each new value of a power channel, or the mean power between two ticks of a counter."""
    changed = np.flatnonzero(np.diff(value)) + 1
    at_ns = (t_ns[changed] + t_ns[changed - 1]) // 2
    if channel.kind != "counter":
        return _Values(at_ns, value[changed])
    lengths_s = np.diff(at_ns) / NS_PER_S
    return _Values(at_ns[1:], np.diff(value[changed]) / np.maximum(lengths_s, 1e-9))


def _shape(channel: Channel, t_ns: Ints, value: Floats, did: Stretches, tick_s: float | None) -> _Shape | None:
    """The lag and averaging with which the load's on and off look most like the values, by least squares."""
    if did.steady is None or not did.working or len(value) < _LEAST_TICKS:
        return None
    seen = _values(channel, t_ns, value)
    after = (seen.t_ns > did.idle.begin_ns + s_to_ns(_LONGEST_MEAN_S)) & (seen.t_ns <= int(t_ns[-1]))
    seen = _Values(seen.t_ns[after], seen.power_w[after])
    if len(seen.t_ns) < _LEAST_TICKS:
        return None
    longest_s = min(_LONGEST_MEAN_S, tick_s) if channel.kind == "counter" and tick_s is not None else _LONGEST_MEAN_S
    means = (min(0.001, longest_s / 10), longest_s)
    # The long steps say about how late it is; the waves alone would leave whole periods open.
    before = np.ones(len(seen.t_ns), np.bool_) if did.locked is None else seen.t_ns < did.locked.begin_ns
    work = _Work(did.working)
    best = _closest(_Values(seen.t_ns[before], seen.power_w[before]), work, (0.0, _MOST_LAG_S + longest_s / 2), means)
    middle_s, reach_s = best.lag_s + best.averaging_s / 2, 1.5 * (tick_s or _MOST_LAG_S)
    means = (means[0], min(longest_s, max(2 * best.averaging_s, 3 * reach_s)))
    best = _closest(seen, work, (max(middle_s - reach_s, 0.0), middle_s + reach_s), means)
    return best if best.work_w > _LEAST_STEP * max(best.rest_w, 1.0) else None


def _closest(seen: _Values, work: _Work, middles: tuple[float, float], means: tuple[float, float]) -> _Shape:
    """The least sum of squares on a grid that is laid ever closer around the best.

    It is over the age of a mean's middle, lag + averaging/2, which the values show best, and over the averaging.
    """
    middle_range, mean_range = middles, means
    best, least = _Shape(0.0, means[1], 0.0, 0.0), float("inf")
    for _ in range(_ROUNDS):
        for mean_s in np.linspace(*mean_range, _TRIES).tolist():
            for middle_s in np.linspace(*middle_range, _TRIES).tolist():
                lag_s = max(middle_s - mean_s / 2, 0.0)
                rest_w, work_w, squares = _fit(seen, work, lag_s, mean_s)
                if squares < least:
                    best, least = _Shape(lag_s, mean_s, rest_w, work_w), squares
        middle_range = _around(best.lag_s + best.averaging_s / 2, middle_range, *middles)
        mean_range = _around(best.averaging_s, mean_range, *means)
    return best


def _around(best: float, tried: tuple[float, float], least: float, most: float) -> tuple[float, float]:
    """The next, narrower range to try."""
    reach = 3 * (tried[1] - tried[0]) / (_TRIES - 1)
    return max(best - reach, least), min(best + reach, most)


def _fit(seen: _Values, work: _Work, lag_s: float, mean_s: float) -> tuple[float, float, float]:
    """(power at rest, what work adds, sum of squares) of the straight line through values against the share of work in each."""
    until_ns = seen.t_ns - s_to_ns(lag_s)
    share = (work.until_s(until_ns) - work.until_s(until_ns - s_to_ns(mean_s))) / mean_s
    spread = share - share.mean()
    varied = float((spread**2).sum())
    work_w = 0.0 if varied == 0 else float((spread * seen.power_w).sum()) / varied
    rest_w = float(seen.power_w.mean()) - work_w * float(share.mean())
    return rest_w, work_w, float(((seen.power_w - rest_w - work_w * share) ** 2).sum())


def _alias(channel: Channel, t_ns: Ints, value: Floats, did: Stretches, over: Interval, shape: _Shape) -> float | None:
    """What the energy of a square wave is off by, relative to that of its swing, with the plateaus' power for the truth.

    Each value stands for the tick before it, and the true share of work is that of the same ticks. ``None`` for a
    long mean, which none of these waves gets through.
    """
    if shape.averaging_s > _LONG_MEAN_S:
        return None
    seen = _values(channel, t_ns, value)
    inside = np.flatnonzero((seen.t_ns > over.begin_ns) & (seen.t_ns <= over.end_ns))[1:]
    if len(inside) < _LEAST_TICKS:
        return None
    lengths_s = (seen.t_ns[inside] - seen.t_ns[inside - 1]) / NS_PER_S
    found_w = float((seen.power_w[inside] * lengths_s).sum() / lengths_s.sum())
    edges_ns = seen.t_ns[[inside[0] - 1, inside[-1]]] - s_to_ns(shape.lag_s)
    share = float(np.diff(_Work(did.working).until_s(edges_ns))[0]) / float(lengths_s.sum())
    return (found_w - shape.rest_w) / shape.work_w / share - 1 if share > 0 else None


def _to_power(counter: tuple[Ints, Floats], power: tuple[Ints, Floats], over: Interval) -> float | None:
    """A counter's slope over the mean of the board's power readings."""
    inside = (counter[0] >= over.begin_ns) & (counter[0] <= over.end_ns)
    also = (power[0] >= over.begin_ns) & (power[0] <= over.end_ns)
    moved = np.flatnonzero(np.diff(counter[1][inside])) + 1
    if len(moved) < _LEAST_TICKS or not also.any():
        return None
    at_ns, joules = counter[0][inside][moved], counter[1][inside][moved]
    mean_w = float((joules[-1] - joules[0]) / ns_to_s(int(at_ns[-1] - at_ns[0])))
    power_w = float(power[1][also].mean())
    return mean_w / power_w if power_w > 0 else None
