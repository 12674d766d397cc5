"""Energy of an interval from the readings of one channel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, CpuPowerModel, Readings, Status
from llenergymeasure.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Series:
    """The good readings of one channel in order of time. ``t_ns`` is when each read returned."""

    t_ns: Ints
    value: Floats
    failed: int


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy of one channel over an interval.

    ``energy_j`` lies in [``low_j``, ``high_j``]: for a meter the 95 % interval of everything, for a model its bounds.
    ``u_edge`` and ``u_gain`` are relative standard uncertainties (``None`` for a model).
    """

    energy_j: float
    low_j: float
    high_j: float
    method: str
    u_edge: float | None = None
    u_gain: float | None = None
    largest_gap_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NoEnergy:
    """Why a channel gives no energy; ``reset`` when its counter fell."""

    reason: str
    reset: bool = False


def series_of(readings: Readings, channel: int) -> Series:
    """The readings of one channel."""
    mask = np.frombuffer(readings.channel, dtype=np.int64) == channel if len(readings) else np.zeros(0, dtype=bool)
    status = np.frombuffer(readings.status, dtype=np.int64)[mask] if len(readings) else np.zeros(0, dtype=np.int64)
    good = status == int(Status.OK)
    t_ns = np.frombuffer(readings.t_ns, dtype=np.int64)[mask] if len(readings) else np.zeros(0, dtype=np.int64)
    value = np.frombuffer(readings.value, dtype=np.float64)[mask] if len(readings) else np.zeros(0)
    return Series(t_ns[good], value[good], int((~good).sum()))


def energy_of(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Energy of ``over`` by the method that fits the channel's kind."""
    if len(series.t_ns) < 2:
        return NoEnergy(f"{channel.source}: fewer than two readings" + (" (reads failed)" if series.failed else ""))
    if series.t_ns[0] > over.begin_ns or series.t_ns[-1] < over.end_ns:
        return NoEnergy(f"{channel.source}: the readings do not cover the window")
    if channel.kind == "counter":
        return _counter(channel, series, over)
    if channel.kind == "power_instant":
        return _instant_power(channel, series, over)
    if channel.kind == "model" and channel.cpu_power_model is not None:
        return _model(channel.cpu_power_model, series, over)
    return NoEnergy(f"{channel.source}: {channel.kind} readings are not turned into the energy of a window")


def _counter(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Cumulative joules, interpolated at the edges between the instants at which the counter was seen to move."""
    if bool((np.diff(series.value) < 0).any()):
        return NoEnergy(f"{channel.source}: the counter fell during the trial", reset=True)
    moved = np.flatnonzero(np.diff(series.value) > 0) + 1
    if len(moved) < 2:
        return NoEnergy(f"{channel.source}: the counter did not move")
    # A tick lies between the read before and the read that saw it; its middle is the best guess.
    tick_ns = (series.t_ns[moved] + series.t_ns[moved - 1]) / 2
    at_tick_j = series.value[moved]
    if tick_ns[0] > over.begin_ns or tick_ns[-1] < over.end_ns:
        return NoEnergy(f"{channel.source}: the window is not between two ticks of the counter")
    begin_j, end_j = np.interp([over.begin_ns, over.end_ns], tick_ns, at_tick_j)
    tick_s = float(np.median(np.diff(tick_ns))) / NS_PER_S
    return _metered(channel, float(end_j - begin_j), over, tick_s, "counter, interpolated edges", _gap_s(series, over))


def _instant_power(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Steps: each sample stands from its time, moved back by the lag, to the next."""
    lag_ns = int((channel.lag_s or 0.0) * NS_PER_S)
    edges = series.t_ns - lag_ns
    begins = np.clip(edges[:-1], over.begin_ns, over.end_ns)
    ends = np.clip(edges[1:], over.begin_ns, over.end_ns)
    lengths_s = (ends - begins) / NS_PER_S
    coverage = float(lengths_s.sum()) / over.duration_s
    if coverage < 0.99:
        return NoEnergy(f"{channel.source}: power samples cover {coverage:.0%} of the window")
    energy_j = float((series.value[:-1] * lengths_s).sum())
    period_s = channel.update_period_s or float(np.median(np.diff(series.t_ns))) / NS_PER_S
    return _metered(channel, energy_j, over, period_s, "instant power, steps", _gap_s(series, over))


def _metered(
    channel: Channel, energy_j: float, over: Interval, edge_s: float, method: str, gap_s: float
) -> Joules | NoEnergy:
    """Relative uncertainty: gain (rectangular, stated error/√3) and edges, u = δ·P/(√6·E) (JCGM 100:2008, 4.3.7, 4.3.9)."""
    if energy_j <= 0:
        return NoEnergy(f"{channel.source}: {energy_j:.3g} J over {over.duration_s:.3g} s is not an energy")
    u_gain = (channel.stated_error or 0.0) / math.sqrt(3)
    u_edge = edge_s / (math.sqrt(6) * over.duration_s)
    half = 1.96 * math.hypot(u_gain, u_edge) * energy_j
    return Joules(energy_j, energy_j - half, energy_j + half, method, u_edge, u_gain, gap_s)


def _model(model: CpuPowerModel, series: Series, over: Interval) -> Joules:
    """Interval arithmetic of P = P_max·(s + (1 − s)·u^γ), which rises in P_max and s and falls in γ."""
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    edges = np.concatenate(([over.begin_ns], inside, [over.end_ns])).astype(np.float64)
    cpu_s = np.interp(edges, series.t_ns, series.value)
    lengths_s = np.diff(edges) / NS_PER_S
    use = np.clip(np.diff(cpu_s) / (lengths_s * model.logical_cpus), 0.0, 1.0)
    low_j = _model_energy(model.p_max_w[0], model.idle_share[0], use, model.gamma[1], lengths_s)
    high_j = _model_energy(model.p_max_w[1], model.idle_share[1], use, model.gamma[0], lengths_s)
    return Joules(
        (low_j + high_j) / 2, low_j, high_j, "CPU utilisation model, interval", largest_gap_s=_gap_s(series, over)
    )


def _model_energy(p_max_w: float, idle_share: float, use: Floats, gamma: float, lengths_s: Floats) -> float:
    power_w = p_max_w * (idle_share + (1 - idle_share) * use**gamma)
    return float((power_w * lengths_s).sum())


def _gap_s(series: Series, over: Interval) -> float:
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    edges = np.concatenate(([over.begin_ns], inside, [over.end_ns]))
    return float(np.diff(edges).max()) / NS_PER_S
