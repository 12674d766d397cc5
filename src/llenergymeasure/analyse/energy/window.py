"""Energy of an interval from the readings of one channel."""

from __future__ import annotations

import dataclasses

from llenergymeasure.analyse.energy.counter import counter_energy
from llenergymeasure.analyse.energy.cpu_model import model_energy
from llenergymeasure.analyse.energy.moving_mean import moving_mean_energy
from llenergymeasure.analyse.energy.power import counted, instant_energy
from llenergymeasure.analyse.energy.series import Joules, NoEnergy, Series
from llenergymeasure.analyse.energy.ticks import Ticks, published, ticks_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel


def count_of(channel: Channel, series: Series) -> Ticks | None:
    """Cumulative joules at each tick: their differences are the energy of pieces of steady work. ``None`` for other kinds."""
    if channel.kind == "counter":
        return ticks_of(channel, series)
    if channel.kind != "power_instant" or len(series.t_ns) < 2:
        return None
    samples = published(channel, series)
    return dataclasses.replace(samples, value=counted(samples))


def energy_of(channel: Channel, series: Series, over: Interval, step_s: float | None = None) -> Joules | NoEnergy:
    """Energy of ``over`` by the method that fits the channel's kind.

    ``step_s`` is the usual time of one step of the work (of decoding one token of each request), ``None`` when the work has
    none or it is not known.
    """
    if over.duration_s <= 0:
        return NoEnergy("the window is empty")
    if len(series.t_ns) < 2:
        return NoEnergy(f"{channel.source}: fewer than two readings" + (" (reads failed)" if series.failed else ""))
    if series.t_ns[0] > over.begin_ns or series.t_ns[-1] < over.end_ns:
        return NoEnergy(f"{channel.source}: the readings do not cover the window")
    if channel.kind == "counter":
        return counter_energy(channel, series, over, step_s)
    if channel.kind == "power_instant":
        return instant_energy(channel, series, over, step_s)
    if channel.kind == "power_mean" and channel.averaging_s is not None:
        return moving_mean_energy(channel, channel.averaging_s, published(channel, series), series, over)
    if channel.kind == "model" and channel.cpu_power_model is not None:
        return model_energy(channel.cpu_power_model, series, over)
    return NoEnergy(f"{channel.source}: {channel.kind} readings are not turned into the energy of a window")
