"""An energy source with a known truth, for tests: a power that swings as a sine, read without error on any clock.

It plays two devices, so that it fits whatever a simulated engine says it used: the CPUs (``cpu``, one counter) and a GPU
(``SIMULATED_GPU``, a counter, its power and its temperature).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.model.reading import Channel, ChannelKind, Domain, Reading
from llenergymeasure.units import ns_to_s, s_to_ns

SIMULATED_GPU = "GPU-simulated"


@dataclass(frozen=True, slots=True)
class SinePower:
    """P(t) = mean + swing·sin(2πt/period), on the monotonic clock."""

    mean_w: float
    swing_w: float
    period_s: float

    def power_w(self, t_ns: int) -> float:
        """Power at one instant."""
        return self.mean_w + self.swing_w * math.sin(2 * math.pi * ns_to_s(t_ns) / self.period_s)

    def energy_j(self, begin_ns: int, end_ns: int) -> float:
        """The true energy between two instants, in closed form."""
        omega = 2 * math.pi / self.period_s
        swing_j = self.swing_w / omega * (math.cos(omega * ns_to_s(begin_ns)) - math.cos(omega * ns_to_s(end_ns)))
        return self.mean_w * ns_to_s(end_ns - begin_ns) + swing_j


CPU_TRUTH = SinePower(mean_w=60.0, swing_w=10.0, period_s=2.0)
GPU_TRUTH = SinePower(mean_w=300.0, swing_w=50.0, period_s=2.0)


class SimulatedSource:
    """Counters that tick, and power that is updated, every ``tick_s``; without noise, lag or gain error."""

    def __init__(
        self, clock: Clock, *, tick_s: float = 0.02, cpu: SinePower = CPU_TRUTH, gpu: SinePower = GPU_TRUTH
    ) -> None:
        self._clock = clock
        self._tick_ns = s_to_ns(tick_s)
        self._truth = {"cpu": cpu, SIMULATED_GPU: gpu}

    def channels(self) -> Sequence[Channel] | Unavailable:
        return (
            self._channel(0, "package", "cpu", "counter", "J"),
            self._channel(1, "gpu", SIMULATED_GPU, "counter", "J"),
            self._channel(2, "gpu", SIMULATED_GPU, "power_instant", "W"),
            self._channel(3, "gpu", SIMULATED_GPU, "temperature", "°C"),
        )

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""

    def _channel(self, number: int, domain: Domain, device: str, kind: ChannelKind, unit: str) -> Channel:
        tick_s = ns_to_s(self._tick_ns)
        return Channel(
            id=number,
            source="simulated",
            domain=domain,
            device=device,
            device_name=f"simulated {'CPU' if device == 'cpu' else 'GPU'}",
            kind=kind,
            unit=unit,
            rate_hz=1.0 if kind == "temperature" else 2 / tick_s,
            update_period_s=tick_s,
            averaging_s=tick_s if kind == "power_instant" else None,
            stated_error=0.0 if unit in ("J", "W") else None,
        )

    def _read(self, channel: Channel) -> Reading:
        now_ns = self._clock.now_ns()
        truth = self._truth[channel.device]
        tick_ns = now_ns // self._tick_ns * self._tick_ns
        if channel.kind == "counter":
            value = truth.energy_j(0, tick_ns)
        elif channel.kind == "power_instant":
            value = truth.energy_j(tick_ns - self._tick_ns, tick_ns) / ns_to_s(self._tick_ns)
        else:
            value = 40.0 + truth.power_w(tick_ns) / 20
        return Reading(now_ns, 0, channel.id, value)


def open_source(around: Surroundings) -> EnergySource:
    """The simulation, on the meter's clock."""
    return SimulatedSource(around.clock)
