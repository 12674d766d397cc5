"""Energy of a window from power that is the mean of the time before, longer than the time between two values."""

from __future__ import annotations

import math

import numpy as np

from llenergymeasure.analyse.energy.alias import Look, alias_w
from llenergymeasure.analyse.energy.metered import metered
from llenergymeasure.analyse.energy.series import Floats, Joules, NoEnergy, Series, gap_s
from llenergymeasure.analyse.energy.ticks import Ticks
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel
from llenergymeasure.units import NS_PER_S, s_to_ns

# A mean over the past says something about windows that are this much longer.
_LEAST_MEANS = 10
# Scatter of values outside is looked for in this time at least.
_BESIDE_S = 0.5


def moving_mean_energy(
    channel: Channel, averaging_s: float, samples: Ticks, series: Series, over: Interval, step_s: float | None = None
) -> Joules | NoEnergy:
    """The integral of p until w after the window, less what belongs to before and after.

    p is the mean of the past w. ∫p over [t0, t1 + w] holds the window whole, half of w at the power before and half of w at the
    power after, which p(t0) and p(t1 + w) are where power is steady there. By how much it is not, their change over w tells.
    """
    if over.duration_s < _LEAST_MEANS * averaging_s:
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for power that is a mean over {averaging_s:g} s"
        )
    begin_ns, end_ns = (edge_ns + s_to_ns(channel.lag_s or 0.0) for edge_ns in (over.begin_ns, over.end_ns))
    width_ns = s_to_ns(averaging_s)
    if samples.t_ns[-1] < end_ns + width_ns or samples.t_ns[0] > begin_ns:
        return NoEnergy(
            f"{channel.source}: the readings end before the mean of the window's last {averaging_s:g} s is whole"
        )
    longest_gap_s = gap_s(series, Interval(begin_ns, end_ns + width_ns))
    if longest_gap_s > max(averaging_s, 2 * samples.apart_s):
        return NoEnergy(
            f"{channel.source}: {longest_gap_s:.3g} s without a reading, of power that is a mean over {averaging_s:g} s"
        )
    inside = (samples.t_ns > begin_ns) & (samples.t_ns < end_ns + width_ns)
    at_ns = np.concatenate(([begin_ns], samples.t_ns[inside], [end_ns + width_ns]))
    # Steady until it begins and after it ended: between ticks there power is theirs, not half-way to the next.
    pre_w = float(samples.value[np.searchsorted(samples.t_ns, begin_ns, side="right") - 1])
    post_w = float(samples.value[np.searchsorted(samples.t_ns, end_ns + width_ns)])
    mean_w = np.concatenate(([pre_w], samples.value[inside], [post_w]))
    whole_j = float(((mean_w[1:] + mean_w[:-1]) / 2 * np.diff(at_ns)).sum()) / NS_PER_S
    beside_ns = max(width_ns, s_to_ns(_BESIDE_S))
    pre = _between(samples, begin_ns - beside_ns, begin_ns)
    post = _between(samples, end_ns + width_ns, end_ns + width_ns + beside_ns)
    energy_j = whole_j - averaging_s / 2 * (pre_w + post_w)
    # What power drifts by in an averaging time belongs to the edge in part; scatter of single values as well.
    unsteady_j = averaging_s * math.hypot(_unsteady_w(pre), _unsteady_w(post))
    bracket_s = float(np.median(samples.width_s))
    late_s = math.hypot(bracket_s / math.sqrt(12), samples.apart_s / math.sqrt(3) if channel.lag_s is None else 0.0)
    dated_j = late_s * abs(pre_w - post_w)
    corner_j = samples.apart_s / math.sqrt(12) * samples.apart_s / averaging_s * float(np.ptp(mean_w))
    inside_w = _between(samples, begin_ns + width_ns, end_ns)
    quiet_w = _between(samples, end_ns + width_ns, end_ns + width_ns + max(width_ns, NS_PER_S))
    noise_w = _scatter_w(inside_w) if step_s is None else min(_scatter_w(inside_w), _scatter_w(quiet_w))
    look = Look(averaging_s, samples.apart_s, True)
    return metered(
        channel,
        energy_j,
        over,
        f"mean power over {averaging_s:g} s, tail included",
        gap_s(series, over),
        edges_j=math.hypot(unsteady_j, dated_j, corner_j),
        noise_j=noise_w * over.duration_s / math.sqrt(max(len(inside_w), 1)),
        alias_j=None
        if step_s is None
        else over.duration_s * alias_w(look, inside_w, float(np.ptp(samples.value)), step_s),
    )


def _between(samples: Ticks, begin_ns: int, end_ns: int) -> Floats:
    """The values between two instants."""
    return samples.value[(samples.t_ns >= begin_ns) & (samples.t_ns <= end_ns)]


def _unsteady_w(outside_w: Floats) -> float:
    """A sixth of the change, or the scatter: steps of power make p(t0) deviate by w·s/2 and what p stands for by w·s/√2."""
    if len(outside_w) < 2:
        return float("inf") if len(outside_w) == 0 else 0.0
    return max(abs(float(outside_w[-1] - outside_w[0])) / 6, float(np.std(outside_w)) * math.sqrt(3) / 2)


def _scatter_w(power_w: Floats) -> float:
    """By how much values differ, slow changes left out (half the mean square of differences)."""
    return math.sqrt(float(np.mean(np.diff(power_w) ** 2)) / 2) if len(power_w) > 1 else 0.0
