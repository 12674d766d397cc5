"""A metered energy and its relative uncertainty."""

from __future__ import annotations

import math

from llenergymeasure.analyse.energy.series import Joules, NoEnergy
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel

# A sensor that states no error has one all the same: that of NVIDIA's boards stands for it (measurement protocol, u_gain).
_USUAL_ERROR = 0.05
# An energy that is not known to a third is none.
_MOST = 1 / 3


def metered(
    channel: Channel,
    energy_j: float,
    over: Interval,
    method: str,
    gap_s: float,
    *,
    edges_j: float,
    noise_j: float,
    alias_j: float | None = None,
    in_pace: bool = False,
) -> Joules | NoEnergy:
    """Relative uncertainties: gain rectangular, stated error/√3; the others are given as joules (JCGM 100:2008, 4.3.7, 5.1)."""
    if energy_j <= 0:
        return NoEnergy(f"{channel.source}: {energy_j:.3g} J over {over.duration_s:.3g} s is not an energy")
    if math.hypot(edges_j, noise_j) > _MOST * energy_j:
        return NoEnergy(f"{channel.source}: the energy of {over.duration_s:.3g} s is lost in that of its edges")
    stated_error = _USUAL_ERROR if channel.stated_error is None else channel.stated_error
    resolution_j = 0.0 if channel.resolution is None else channel.resolution / math.sqrt(6)
    if channel.unit == "W":
        resolution_j *= over.duration_s
    terms = [("u_gain", stated_error / math.sqrt(3)), ("u_edge", edges_j / energy_j)]
    if alias_j is not None:
        terms.append(("u_alias", alias_j / energy_j))
    terms.append(("u_res", math.hypot(resolution_j, noise_j) / energy_j))
    half = 1.96 * math.hypot(*(relative for _, relative in terms)) * energy_j
    return Joules(energy_j, energy_j - half, energy_j + half, method, tuple(terms), gap_s, in_pace)
