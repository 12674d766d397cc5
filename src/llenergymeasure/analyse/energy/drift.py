"""What a window that was not yet steady says of the work: drift of its power, and warmth that costs leakage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy.series import series_of
from llenergymeasure.analyse.energy.slices import Slices
from llenergymeasure.analyse.energy.uncertainty import Term
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import LEAKAGE_PER_K
from llenergymeasure.model.reading import Readout
from llenergymeasure.units import NS_PER_S

# A predicted change of power above this within a window is told: a quarter of the 2 % that differences are judged by.
_TOLD = 0.005


@dataclass(frozen=True, slots=True)
class Warming:
    """The temperature of a device's die as the window began, and by how much it rose until its end (straight line), in °C."""

    start_c: float
    rise_k: float

    @property
    def power_change(self) -> float:
        """The share of power that the rise costs."""
        return LEAKAGE_PER_K * self.rise_k


def warming(readout: Readout, window: Interval) -> dict[str, Warming]:
    """Of each device that worked and whose temperature was read twice or more within the window."""
    found = {}
    for channel in readout.channels:
        if channel.kind != "temperature" or channel.detail or channel.device not in readout.device_ids:
            continue
        series = series_of(readout.readings, channel.id)
        inside = (series.t_ns >= window.begin_ns) & (series.t_ns <= window.end_ns)
        if inside.sum() < 2:
            continue
        since_s = (series.t_ns[inside] - window.begin_ns) / NS_PER_S
        slope, start_c = np.polyfit(since_s, series.value[inside], 1)
        found[channel.device] = Warming(float(start_c), float(slope) * window.duration_s)
    return found


def thermal_term(devices: Mapping[str, Warming]) -> Term | None:
    """The rise of the device that warmed most, taken as a drift of its power: |change|/√12."""
    if not devices:
        return None
    return Term("u_thermal", max(abs(one.power_change) for one in devices.values()) / math.sqrt(12))


def thermal_drift(devices: Mapping[str, Warming]) -> Iterator[str]:
    """Which devices warmed or cooled so much that their power changed with it."""
    for name, one in devices.items():
        if abs(one.power_change) >= _TOLD:
            yield (
                f"{name} went from {one.start_c:.0f} to {one.start_c + one.rise_k:.0f} °C within the window: "
                f"about {one.power_change * 100:+.1f} % of its power at {LEAKAGE_PER_K * 100:.1f} % a kelvin"
            )


def drift_term(slices: Slices, window: Interval) -> Term:
    """Power that rises or falls in a straight line through the window: |slope|·D/√12, relative to its mean."""
    seconds = slices.seconds
    middle_s = np.cumsum(seconds) - seconds / 2
    slope = float(np.polyfit(middle_s, slices.energy_j / seconds, 1)[0])
    mean_w = float(slices.energy_j.sum() / seconds.sum())
    return Term("u_drift", abs(slope) * window.duration_s / mean_w / math.sqrt(12))
