"""CPU energy from a power model, where nothing can be metered: CPU time of the work, and bounds for the power it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llenergymeasure.data.cpu_power import rated_power
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.cpu_time import ProcessTable, TreeCpuTime, process_table
from llenergymeasure.model.reading import Channel, CpuPowerModel, Reading, Status

_RATE_HZ = 10.0

# Rated power can be fallen short of (a limit set by the maker) and exceeded (turbo); the shares and exponents are the range
# found over servers and laptops.
_P_MAX_FACTOR = (0.8, 1.25)
_IDLE_SHARE = (0.1, 0.3)
_GAMMA = (0.5, 1.0)
# Rated power of one logical CPU of a part that is not in the table: from many-core servers to desktops.
_UNKNOWN_W_PER_CPU = (2.0, 12.0)


def cpu_power_model(cpu_model: str, visible_cpus: int) -> CpuPowerModel:
    """The bounds for the visible CPUs; their share of a part that is known by name, else wide ones."""
    part = rated_power(cpu_model)
    if part is None:
        low_w, high_w = (visible_cpus * watts for watts in _UNKNOWN_W_PER_CPU)
        basis = f"{cpu_model!r} is not in the table of rated power: 2 to 12 W for each of {visible_cpus} logical CPUs"
    else:
        share = visible_cpus / part.logical_cpus
        low_w, high_w = share * part.tdp_w, share * part.limit_w
        rated = f"{part.tdp_w:g} W" if part.limit_w == part.tdp_w else f"{part.tdp_w:g} to {part.limit_w:g} W"
        basis = f"{part.name}: {rated} for {part.logical_cpus} logical CPUs, {visible_cpus} of them here; {part.source}"
    return CpuPowerModel(
        logical_cpus=visible_cpus,
        p_max_w=(low_w * _P_MAX_FACTOR[0], high_w * _P_MAX_FACTOR[1]),
        idle_share=_IDLE_SHARE,
        gamma=_GAMMA,
        basis=basis,
    )


class EstimateSource:
    """One channel: cumulative CPU seconds of the worker's process tree. Before there is a worker that is truly 0."""

    def __init__(self, around: Surroundings, table: ProcessTable) -> None:
        self._around = around
        self._table = table
        self._tree: TreeCpuTime | None = None

    def channels(self) -> Sequence[Channel] | Unavailable:
        return (
            Channel(
                id=0,
                source="estimate",
                domain="package",
                device="cpu",
                device_name=self._around.cpu_model,
                kind="model",
                unit="s",
                rate_hz=_RATE_HZ,
                resolution=0.01,
                cpu_power_model=cpu_power_model(self._around.cpu_model, self._around.visible_cpus),
            ),
        )

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""

    def _read(self, channel: Channel) -> Reading:
        clock = self._around.clock
        began_ns = clock.now_ns()
        seconds = self._seconds()
        t_ns = clock.now_ns()
        if seconds is None:
            return Reading(t_ns, t_ns - began_ns, channel.id, math.nan, Status.FAILED)
        return Reading(t_ns, t_ns - began_ns, channel.id, seconds)

    def _seconds(self) -> float | None:
        if self._tree is None:
            root = self._around.worker_pid()
            if root is None:
                return 0.0
            self._tree = TreeCpuTime(root, self._table, self._around.clock)
        return self._tree.seconds()


def open_source(around: Surroundings) -> EnergySource:
    """The model for this machine's CPUs."""
    return EstimateSource(around, process_table())
