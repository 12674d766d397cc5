"""Energy between two ticks around a window, less what of it lies outside.

E = C_b − C_a − P_pre·(t0 − τ_a) − P_post·(τ_b − t1): τ_a is the last tick before the window and τ_b the first after it, each
known to within a bracket, and P_pre and P_post the power before τ_a and after τ_b. C and P are those of the straight lines
through the ticks outside, so that no single tick decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy import stretch
from llenergymeasure.analyse.energy.series import Floats
from llenergymeasure.analyse.energy.stretch import Line
from llenergymeasure.analyse.energy.ticks import Ticks
from llenergymeasure.model.mark import Interval
from llenergymeasure.units import NS_PER_S, s_to_ns

# Noise is learnt from the ticks within this time before and after a window.
_NOISE_S = 2.5
# Power falls (or rises) with the end of a window when it changes by this share of itself.
_JUMP = 0.2
# Noise of one side up to so many times that of the other is the same noise.
_AS_QUIET = 2.5


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a sensor shows power: ``lag_s`` late, and up to ``late_s`` more when its lag is not known.

    ``blind_s`` is how long it does not look before each tick, ``uneven_s`` by how much the time that a value stands for differs
    from that which it is the mean of.
    """

    lag_s: float
    late_s: float = 0.0
    blind_s: float = 0.0
    uneven_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Edged:
    """Energy by ticks, the standard uncertainty of its edges, and that of noise in between.

    ``within`` are the ticks inside the window.
    """

    energy_j: float
    edges_j: float
    noise_j: float
    within: slice


def tick_edged(
    ticks: Ticks, counted_j: Floats, over: Interval, sensor: Sensor, step_s: float | None = None
) -> Edged | None:
    """The energy of ``over`` by a count that rises at ticks; ``None`` where no tick lies before or after it.

    The count may not fall between the ticks that are used, nor among those beside them.
    """
    begin_ns, end_ns = over.begin_ns + s_to_ns(sensor.lag_s), over.end_ns + s_to_ns(sensor.lag_s)
    half_ns = np.round(ticks.width_s * NS_PER_S / 2).astype(np.int64)
    first = int(np.searchsorted(ticks.t_ns + half_ns, begin_ns, side="right")) - 1
    last = int(np.searchsorted(ticks.t_ns - half_ns, end_ns + s_to_ns(sensor.late_s)))
    if first < 0 or last >= len(ticks) or last <= first:
        return None
    mean_w = float(counted_j[last] - counted_j[first]) / (float(ticks.t_ns[last] - ticks.t_ns[first]) / NS_PER_S)
    pre = stretch.before(ticks, counted_j, first, begin_ns, step_s) or _unknown(
        ticks, counted_j, first, first - 1, begin_ns, mean_w
    )
    # Where a lag was allowed for, the tick before the last one is outside as well.
    beyond = last - 1 if last + 1 == len(ticks) and ticks.t_ns[last - 1] >= end_ns else last + 1
    post = stretch.after(ticks, counted_j, last, end_ns, step_s) or _unknown(
        ticks, counted_j, last, beyond, end_ns, mean_w
    )
    jumps_j = math.hypot(*(_jump_j(sensor, mean_w - line.power_w) for line in (pre, post)))
    late_j = (
        _late_s(ticks, counted_j, last, end_ns, post, sensor.late_s) / math.sqrt(3) * abs(pre.power_w - post.power_w)
    )
    return Edged(
        post.edge_j - pre.edge_j,
        math.hypot(pre.u_j, post.u_j, jumps_j, late_j),
        _noise_j(ticks, counted_j, first, last),
        slice(int(np.searchsorted(ticks.t_ns, begin_ns)), int(np.searchsorted(ticks.t_ns, end_ns, side="right"))),
    )


def _unknown(ticks: Ticks, counted_j: Floats, at: int, beyond: int, edge_ns: int, mean_w: float) -> Line:
    """Too few ticks are known outside for a line: power there is that of one tick, or where there is none, as within."""
    power_w = mean_w
    if 0 <= beyond < len(ticks):
        power_w = float(counted_j[beyond] - counted_j[at]) / (float(ticks.t_ns[beyond] - ticks.t_ns[at]) / NS_PER_S)
    apart_s = (edge_ns - int(ticks.t_ns[at])) / NS_PER_S
    u_j = mean_w * math.hypot(float(ticks.width_s[at]), apart_s, ticks.apart_s) / math.sqrt(12)
    return Line(float(counted_j[at]) + power_w * apart_s, u_j, power_w)


def _jump_j(sensor: Sensor, by_w: float) -> float:
    """A jump of power while the sensor does not look is put half of that time early or late."""
    return abs(by_w) * math.hypot(sensor.blind_s / math.sqrt(12), sensor.uneven_s)


def _late_s(ticks: Ticks, counted_j: Floats, last: int, end_ns: int, post: Line, late_s: float) -> float:
    """How much later than the work its end shows: where the lines of before and after meet; no more than ``late_s``.

    Where power does not change with the end it cannot be told.
    """
    inside = int(np.searchsorted(ticks.t_ns, end_ns, side="right")) - 1
    work = stretch.before(ticks, counted_j, inside, end_ns) if late_s and inside > 0 else None
    if work is None or abs(work.power_w - post.power_w) <= _JUMP * max(work.power_w, post.power_w):
        return late_s
    fall_w = work.power_w - post.power_w
    meet_s = (post.edge_j - work.edge_j) / fall_w
    return min(late_s, max(meet_s, 0.0) + 2 * math.hypot(work.u_j, post.u_j) / abs(fall_w))


def _noise_j(ticks: Ticks, counted_j: Floats, first: int, last: int) -> float:
    """Noise of the sensor that adds up over the window, by what is seen of it beside, where power is quieter."""
    beside = max(1, round(_NOISE_S / ticks.apart_s))
    sides = (slice(max(0, first - beside), first + 1), slice(last, last + beside + 1))
    seen_j = [
        one
        for side in sides
        if (one := stretch.noise_j(ticks.t_ns[side], counted_j[side], ticks.width_s[side])) is not None
    ]
    quiet_j = [one for one in seen_j if one <= _AS_QUIET * min(seen_j)]
    return math.sqrt((last - first) * sum(one**2 for one in quiet_j) / max(len(quiet_j), 1))
