"""Energy of an interval from the readings of one channel."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, CpuPowerModel, Readings, Status
from llenergymeasure.units import NS_PER_S, s_to_ns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Below so many updates of a sensor its edges say more than the window.
_LEAST_UPDATES = 5
# A mean over the past says something about windows that are this much longer.
_LEAST_MEANS = 10
# Power samples must stand for this share of the window; what is left is taken to be as the rest.
_LEAST_COVERAGE = 0.99
# A sample stands for this many of its periods when the next one is late.
_HOLD = 1.5


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


# A sensor that states no error has one all the same: that of NVIDIA's boards stands for it (measurement protocol, u_gain).
_USUAL_ERROR = 0.05


def series_of(readings: Readings, channel: int) -> Series:
    """The readings of one channel."""
    mask = _ints(readings.channel) == channel
    good = _ints(readings.status)[mask] == int(Status.OK)
    value = np.frombuffer(readings.value, dtype=np.float64) if len(readings) else np.zeros(0)
    return Series(_ints(readings.t_ns)[mask][good], value[mask][good], int((~good).sum()))


def energy_of(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Energy of ``over`` by the method that fits the channel's kind."""
    if over.duration_s <= 0:
        return NoEnergy("the window is empty")
    if len(series.t_ns) < 2:
        return NoEnergy(f"{channel.source}: fewer than two readings" + (" (reads failed)" if series.failed else ""))
    if series.t_ns[0] > over.begin_ns or series.t_ns[-1] < over.end_ns:
        return NoEnergy(f"{channel.source}: the readings do not cover the window")
    if channel.kind == "counter":
        return _counter(channel, series, over)
    if channel.kind == "power_instant":
        return _instant_power(channel, series, over)
    if channel.kind == "power_mean" and channel.averaging_s is not None:
        return _mean_power(channel, channel.averaging_s, series, over)
    if channel.kind == "model" and channel.cpu_power_model is not None:
        return _model(channel.cpu_power_model, series, over)
    return NoEnergy(f"{channel.source}: {channel.kind} readings are not turned into the energy of a window")


def _counter(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Cumulative joules, interpolated at the edges between the instants at which the counter was seen to move."""
    steps = np.diff(series.value)
    moved = np.flatnonzero(steps > 0) + 1
    tick_ns = _published_ns(series)[moved]
    before, after = tick_ns <= over.begin_ns, tick_ns >= over.end_ns
    if not before.any() or not after.any():
        fell = bool((steps[(series.t_ns[1:] > over.begin_ns) & (series.t_ns[:-1] < over.end_ns)] < 0).any())
        return NoEnergy(f"{channel.source}: the window does not lie between two ticks of the counter", reset=fell)
    first, last = int(np.flatnonzero(before)[-1]), int(np.flatnonzero(after)[0])
    if bool((steps[moved[first] : moved[last]] < 0).any()):
        return NoEnergy(f"{channel.source}: the counter fell within the window", reset=True)
    tick_ns, at_tick_j = tick_ns[first : last + 1], series.value[moved[first : last + 1]]
    begin_j, end_j = np.interp([over.begin_ns, over.end_ns], tick_ns, at_tick_j)
    edge_s = float(max(tick_ns[1] - tick_ns[0], tick_ns[-1] - tick_ns[-2])) / NS_PER_S
    if over.duration_s < _LEAST_UPDATES * edge_s:
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for a counter that ticks each {edge_s:.3g} s"
        )
    return _metered(channel, float(end_j - begin_j), over, edge_s, "counter, interpolated edges", _gap_s(series, over))


def _instant_power(channel: Channel, series: Series, over: Interval) -> Joules | NoEnergy:
    """Steps: each sample stands for one update period around the middle of the time that it is the mean of."""
    poll_s = _median_s(series.t_ns)
    changed = np.flatnonzero(np.diff(series.value)) + 1
    published_ns = _published_ns(series)
    period_s = channel.update_period_s or (_median_s(published_ns[changed]) if len(changed) > 2 else poll_s)
    if over.duration_s < _LEAST_UPDATES * period_s:
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for power that is updated each {period_s:.3g} s"
        )
    averaging_s = channel.averaging_s or period_s
    begins = published_ns - s_to_ns((channel.lag_s or 0.0) + (averaging_s + period_s) / 2)
    hold_ns = s_to_ns(_HOLD * max(period_s, poll_s))
    ends = np.minimum(np.append(begins[1:], begins[-1] + hold_ns), begins + hold_ns)
    lengths_s = (np.clip(ends, over.begin_ns, over.end_ns) - np.clip(begins, over.begin_ns, over.end_ns)) / NS_PER_S
    coverage = float(lengths_s.sum()) / over.duration_s
    if coverage < _LEAST_COVERAGE:
        return NoEnergy(f"{channel.source}: power samples cover {coverage:.0%} of the window")
    energy_j = float((series.value * lengths_s).sum()) / coverage
    return _metered(channel, energy_j, over, period_s, "instant power, steps", _gap_s(series, over))


def _mean_power(channel: Channel, averaging_s: float, series: Series, over: Interval) -> Joules | NoEnergy:
    """Power that is the mean p of the past w: the integral of p until w after the window, less what belongs to before and after.

    ∫p over [t0, t1 + w] holds the window whole, and half of w at the power before and half at the power after, which
    p(t0) and p(t1 + w) are where power is steady there.
    """
    if over.duration_s < _LEAST_MEANS * averaging_s:
        return NoEnergy(
            f"{channel.source}: {over.duration_s:.3g} s is too short for power that is a mean over {averaging_s:g} s"
        )
    until_ns = over.end_ns + s_to_ns(averaging_s)
    if series.t_ns[-1] < until_ns:
        return NoEnergy(
            f"{channel.source}: the readings end before the mean of the window's last {averaging_s:g} s is whole"
        )
    gap_s = _gap_s(series, Interval(over.begin_ns, until_ns))
    if gap_s > averaging_s:
        return NoEnergy(
            f"{channel.source}: {gap_s:.3g} s without a reading, of power that is a mean over {averaging_s:g} s"
        )
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < until_ns)]
    at_ns = np.concatenate(([over.begin_ns], inside, [until_ns]))
    mean_w = np.interp(at_ns, series.t_ns, series.value)
    whole_j = float(((mean_w[1:] + mean_w[:-1]) / 2 * np.diff(at_ns)).sum()) / NS_PER_S
    energy_j = whole_j - averaging_s / 2 * float(mean_w[0] + mean_w[-1])
    return _metered(channel, energy_j, over, averaging_s, f"mean power over {averaging_s:g} s, tail included", gap_s)


def _metered(
    channel: Channel, energy_j: float, over: Interval, edge_s: float, method: str, gap_s: float
) -> Joules | NoEnergy:
    """Relative uncertainty: gain (rectangular, stated error/√3) and edges, u = δ·P/(√6·E) (JCGM 100:2008, 4.3.7, 4.3.9)."""
    if energy_j <= 0:
        return NoEnergy(f"{channel.source}: {energy_j:.3g} J over {over.duration_s:.3g} s is not an energy")
    stated_error = _USUAL_ERROR if channel.stated_error is None else channel.stated_error
    u_gain = stated_error / math.sqrt(3)
    u_edge = edge_s / (math.sqrt(6) * over.duration_s)
    half = 1.96 * math.hypot(u_gain, u_edge) * energy_j
    return Joules(energy_j, energy_j - half, energy_j + half, method, u_edge, u_gain, gap_s)


def _model(model: CpuPowerModel, series: Series, over: Interval) -> Joules:
    """Interval arithmetic of P = P_max·(s + (1 − s)·u^γ), which rises in P_max and s and falls in γ."""
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    edges_ns = np.concatenate(([over.begin_ns], inside, [over.end_ns]))
    cpu_s = np.interp(edges_ns, series.t_ns, series.value)
    lengths_s = np.diff(edges_ns) / NS_PER_S
    use = np.clip(np.diff(cpu_s) / (lengths_s * model.logical_cpus), 0.0, 1.0)
    low_j = _model_energy(model.p_max_w[0], model.idle_share[0], use, model.gamma[1], lengths_s)
    high_j = _model_energy(model.p_max_w[1], model.idle_share[1], use, model.gamma[0], lengths_s)
    return Joules(
        (low_j + high_j) / 2, low_j, high_j, "CPU utilisation model, interval", largest_gap_s=_gap_s(series, over)
    )


def _model_energy(p_max_w: float, idle_share: float, use: Floats, gamma: float, lengths_s: Floats) -> float:
    power_w = p_max_w * (idle_share + (1 - idle_share) * use**gamma)
    return float((power_w * lengths_s).sum())


def _published_ns(series: Series) -> Ints:
    """When each value appeared: half-way between the read before and the read that saw it."""
    return np.concatenate((series.t_ns[:1], (series.t_ns[1:] + series.t_ns[:-1]) // 2))


def _gap_s(series: Series, over: Interval) -> float:
    """The longest time within ``over`` without a reading."""
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    return float(np.diff(np.concatenate(([over.begin_ns], inside, [over.end_ns]))).max()) / NS_PER_S


def _median_s(t_ns: Ints) -> float:
    return float(np.median(np.diff(t_ns))) / NS_PER_S


def _ints(column: array[int]) -> Ints:
    return np.frombuffer(column, dtype=np.int64) if len(column) else np.zeros(0, dtype=np.int64)
