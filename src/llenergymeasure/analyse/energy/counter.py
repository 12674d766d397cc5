"""Energy of a window from cumulative joules."""

from __future__ import annotations

import math

import numpy as np

from llenergymeasure.analyse.energy.alias import USUAL_DUTY, Look, alias_w, keeps_pace
from llenergymeasure.analyse.energy.metered import metered
from llenergymeasure.analyse.energy.series import Floats, Joules, NoEnergy, Series, gap_s
from llenergymeasure.analyse.energy.tick_edged import Sensor, tick_edged
from llenergymeasure.analyse.energy.ticks import Ticks, ticks_of, uneven_s
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel
from llenergymeasure.units import NS_PER_S

# Below so many updates of a sensor, or so many reads that found another value, edges say more than the window.
LEAST_UPDATES = 8
_LEAST_TICKS = 1.5
# A counter that stays the same for so many of its usual ticks stands still: what draws power counts on.
_STILL = 4.0


def counter_energy(channel: Channel, series: Series, over: Interval, step_s: float | None) -> Joules | NoEnergy:
    """Tick-edged. How long a counter looks that does not say so is not known: scatter from tick to tick counts against it."""
    ticks = ticks_of(channel, series)
    if ticks is None:
        return NoEnergy(f"{channel.source}: the counter does not move")
    if over.duration_s < max(LEAST_UPDATES * ticks.period_s, _LEAST_TICKS * ticks.apart_s):
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for a counter that ticks each {ticks.apart_s:.3g} s"
        )
    whole = _between_falls(ticks, series, over)
    if whole is None:
        return NoEnergy(f"{channel.source}: the counter fell within the window", reset=True)
    blind_s = 0.0 if channel.duty is None else (1 - min(channel.duty, 1.0)) * ticks.period_s
    late_s = ticks.period_s if channel.lag_s is None else 0.0
    found = tick_edged(whole, whole.value, over, Sensor((channel.lag_s or 0.0) - blind_s / 2, late_s, blind_s), step_s)
    if found is None:
        return NoEnergy(f"{channel.source}: the window does not lie between two ticks of the counter")
    lengths_s = np.diff(whole.t_ns[found.within]) / NS_PER_S
    power_w = np.diff(whole.value[found.within]) / lengths_s
    seen_s = ticks.period_s * (USUAL_DUTY if channel.duty is None else min(channel.duty, 1.0))
    look = Look(seen_s, ticks.period_s, channel.duty is not None, uneven_s(whole))
    return metered(
        channel,
        found.energy_j,
        over,
        "counter, tick-edged",
        gap_s(series, over),
        edges_j=found.edges_j,
        noise_j=math.hypot(found.noise_j, _stood_still_j(lengths_s, power_w, whole.apart_s)),
        alias_j=over.duration_s * alias_w(look, power_w, _range_w(whole), step_s),
        in_pace=keeps_pace(look, len(power_w), step_s),
    )


def _between_falls(ticks: Ticks, series: Series, over: Interval) -> Ticks | None:
    """The ticks around the window among which the counter never fell; ``None`` when it fell within."""
    fell = np.flatnonzero(np.diff(series.value) < 0)
    if not len(fell):
        return ticks
    # A fall is somewhere between two reads.
    from_ns, until_ns = series.t_ns[fell], series.t_ns[fell + 1]
    if bool(((until_ns > over.begin_ns) & (from_ns < over.end_ns)).any()):
        return None
    after_ns = int(until_ns[until_ns <= over.begin_ns].max(initial=0))
    before_ns = int(from_ns[from_ns >= over.end_ns].min(initial=np.iinfo(np.int64).max))
    kept = (ticks.t_ns > after_ns) & (ticks.t_ns < before_ns)
    return Ticks(ticks.t_ns[kept], ticks.width_s[kept], ticks.value[kept], ticks.period_s, ticks.apart_s)


def _range_w(ticks: Ticks) -> float:
    """The most by which power was ever seen to change."""
    power_w = np.diff(ticks.value) / (np.diff(ticks.t_ns) / NS_PER_S)
    return float(power_w.max() - power_w.min())


def _stood_still_j(lengths_s: Floats, power_w: Floats, apart_s: float) -> float:
    """What may be missing where the counter stayed the same for long and did not catch up, rectangular."""
    still = lengths_s > _STILL * apart_s
    if not still.any():
        return 0.0
    usual_w = float(np.median(power_w[~still])) if (~still).any() else 0.0
    return float((np.maximum(usual_w - power_w[still], 0.0) * lengths_s[still]).sum()) / math.sqrt(3)
