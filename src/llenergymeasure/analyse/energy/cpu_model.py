"""Energy of a window by a model of CPU power: bounds, no measurement."""

from __future__ import annotations

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Joules, Series, gap_s
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import CpuPowerModel
from llenergymeasure.units import NS_PER_S


def model_energy(model: CpuPowerModel, series: Series, over: Interval) -> Joules:
    """Interval arithmetic of P = P_max·(s + (1 − s)·u^γ), which rises in P_max and s and falls in γ."""
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    edges_ns = np.concatenate(([over.begin_ns], inside, [over.end_ns]))
    cpu_s = np.interp(edges_ns, series.t_ns, series.value)
    lengths_s = np.diff(edges_ns) / NS_PER_S
    use = np.clip(np.diff(cpu_s) / (lengths_s * model.logical_cpus), 0.0, 1.0)
    low_j = _energy(model.p_max_w[0], model.idle_share[0], use, model.gamma[1], lengths_s)
    high_j = _energy(model.p_max_w[1], model.idle_share[1], use, model.gamma[0], lengths_s)
    return Joules(
        (low_j + high_j) / 2, low_j, high_j, "CPU utilisation model, interval", largest_gap_s=gap_s(series, over)
    )


def _energy(p_max_w: float, idle_share: float, use: Floats, gamma: float, lengths_s: Floats) -> float:
    power_w = p_max_w * (idle_share + (1 - idle_share) * use**gamma)
    return float((power_w * lengths_s).sum())
