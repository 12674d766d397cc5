"""Energy of a window from samples of power, each the mean over a time before it appeared."""

from __future__ import annotations

import math

import numpy as np

from llenergymeasure.analyse.energy.alias import USUAL_DUTY, Look, alias_w, keeps_pace, swing_w
from llenergymeasure.analyse.energy.counter import LEAST_UPDATES
from llenergymeasure.analyse.energy.metered import metered
from llenergymeasure.analyse.energy.moving_mean import moving_mean_energy
from llenergymeasure.analyse.energy.series import Floats, Joules, NoEnergy, Series, gap_s
from llenergymeasure.analyse.energy.tick_edged import Sensor, tick_edged
from llenergymeasure.analyse.energy.ticks import Ticks, published, uneven_s
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel
from llenergymeasure.units import NS_PER_S, s_to_ns

# Power samples must stand for this share of the window; what is left is taken to be as the rest.
LEAST_COVERAGE = 0.99
# A sample stands for this many of its periods when the next one is late.
_HOLD = 1.5
# Means over this many ticks and more overlap so much that they are no pieces of time.
_OVERLAP = 1.2


def instant_energy(channel: Channel, series: Series, over: Interval, step_s: float | None) -> Joules | NoEnergy:
    """Steps: each sample stands for one period around the middle of the time that it is the mean of.

    Added up they are a counter, and its edges are a counter's. Samples whose times overlap are a moving mean.
    """
    samples = published(channel, series)
    if over.duration_s < LEAST_UPDATES * samples.period_s:
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for power that is updated each {samples.period_s:.3g} s"
        )
    coverage = _coverage(series, over, max(samples.period_s, 1 / channel.rate_hz))
    if coverage < LEAST_COVERAGE:
        return NoEnergy(f"{channel.source}: power samples cover {coverage * 100:.0f} % of the window")
    if channel.averaging_s is not None and channel.averaging_s > _OVERLAP * samples.period_s:
        return moving_mean_energy(channel, channel.averaging_s, samples, series, over, step_s)
    seen_s = min(channel.averaging_s or samples.period_s, samples.period_s)
    if channel.duty is not None:
        seen_s = min(seen_s, channel.duty * samples.period_s)
    blind_s = samples.period_s - seen_s
    counted_j = counted(samples)
    late_s = samples.period_s if channel.lag_s is None else 0.0
    apart_s = uneven_s(samples)
    sensor = Sensor((channel.lag_s or 0.0) - blind_s / 2, late_s, blind_s, apart_s)
    found = tick_edged(samples, counted_j, over, sensor, step_s)
    if found is None:
        return NoEnergy(f"{channel.source}: the readings do not reach beyond the window")
    # The first value within still tells of what was before.
    inside_w = samples.value[found.within][1:]
    known = channel.averaging_s is not None or channel.duty is not None
    look = Look(seen_s if known else USUAL_DUTY * samples.period_s, samples.period_s, known, apart_s)
    range_w = float(samples.value.max() - samples.value.min())
    missing_j = (1 - coverage) * over.duration_s * float(np.std(inside_w))
    uneven_j = apart_s * swing_w(inside_w, samples.period_s, step_s) * math.sqrt(len(inside_w))
    return metered(
        channel,
        found.energy_j,
        over,
        "instant power, steps",
        gap_s(series, over),
        edges_j=found.edges_j,
        noise_j=math.hypot(found.noise_j, missing_j, uneven_j),
        alias_j=over.duration_s * alias_w(look, inside_w, range_w, step_s),
        in_pace=keeps_pace(look, len(inside_w), step_s),
    )


def counted(samples: Ticks) -> Floats:
    """Joules from the first sample on, by the end of the time that each stands for."""
    return np.concatenate(([0.0], np.cumsum(samples.value[1:] * np.diff(samples.t_ns) / NS_PER_S)))


def _coverage(series: Series, over: Interval, period_s: float) -> float:
    """The share of the window in which no reading is late."""
    hold_ns = s_to_ns(_HOLD * max(period_s, float(np.median(np.diff(series.t_ns))) / NS_PER_S))
    ends_ns = np.minimum(np.append(series.t_ns[1:], series.t_ns[-1] + hold_ns), series.t_ns + hold_ns)
    inside_ns = np.clip(ends_ns, over.begin_ns, over.end_ns) - np.clip(series.t_ns, over.begin_ns, over.end_ns)
    return float(inside_ns.sum()) / (over.end_ns - over.begin_ns)
