"""Boards to test with: round figures in the range of what is known of four kinds. Not claims about hardware."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from llenergymeasure.testing.virtual_gpu.sensor import Sensor, Sensors
from llenergymeasure.testing.virtual_gpu.workload import LoadPhase, Thermal

_LEAKAGE_PER_K = 0.002
_MEAN_S = 1.0
# Of these boards it is said that they look at their power a quarter of the time (arXiv 2312.02741).
QUARTER = 0.25


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of board. Where several ticks or windows are given, boards differ or it is not known: all are tested."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    tdp_w: float
    idle_w: float
    loaded_w: float
    decode_w: float
    prefill_w: float
    usage_is_a_mean: bool
    ticks_s: tuple[float, ...]
    instant_windows_s: tuple[float, ...]
    counter_duties: tuple[float, ...]
    k_per_w: float
    die_s: float
    sink_s: float
    ambient_c: float = 28.0

    @property
    def thermal(self) -> Thermal:
        """Half of the rise is the die's, half the sink's; leakage is 0.2 % of the board's power a kelvin."""
        parts = ((self.k_per_w / 2, self.die_s), (self.k_per_w / 2, self.sink_s))
        return Thermal(parts, _LEAKAGE_PER_K * self.decode_w, self.ambient_c)

    def sensors(
        self,
        tick_s: float | None = None,
        *,
        window_s: float | None = None,
        counter_duty: float = 1.0,
        lag_s: float = 0.0,
        phase_s: float = 0.0,
        seed: int = 0,
    ) -> Sensors:
        """Its meters with gain 1 and no offset; the first tick and window where none is given."""
        tick_s = tick_s or self.ticks_s[0]
        instant = Sensor(
            tick_s, window_s or self.instant_windows_s[0], min(0.001, tick_s / 20), lag_s, phase_s=phase_s, seed=seed
        )
        counter = dataclasses.replace(instant, window_s=counter_duty * tick_s)
        usage = dataclasses.replace(instant, tick_s=0.1, window_s=_MEAN_S) if self.usage_is_a_mean else instant
        return Sensors(counter, instant, usage)

    def idle(self, length_s: float, *, loaded: bool = True) -> LoadPhase:
        """No work, with weights and context resident or bare."""
        return LoadPhase(length_s, self.loaded_w if loaded else self.idle_w)

    def decode(self, length_s: float, step_s: float = 0.03, swing: float = 0.2) -> LoadPhase:
        """Token after token, each a step in which power goes up and down by ``swing`` of itself."""
        return LoadPhase(length_s, self.decode_w, swing * self.decode_w, step_s)

    def prefill(self, length_s: float) -> LoadPhase:
        """One large prefill."""
        return LoadPhase(length_s, self.prefill_w)


A100_80G = Preset(
    "NVIDIA A100-SXM4-80GB",
    (8, 0),
    80 * 2**30,
    tdp_w=400,
    idle_w=55,
    loaded_w=75,
    decode_w=230,
    prefill_w=390,
    usage_is_a_mean=False,
    ticks_s=(0.1,),
    instant_windows_s=(0.025,),
    counter_duties=(1.0, QUARTER),
    k_per_w=0.08,
    die_s=3,
    sink_s=45,
)
H100_SXM = Preset(
    "NVIDIA H100 80GB HBM3",
    (9, 0),
    80 * 2**30,
    tdp_w=700,
    idle_w=70,
    loaded_w=115,
    decode_w=330,
    prefill_w=690,
    usage_is_a_mean=True,
    ticks_s=(0.1, 0.02),
    instant_windows_s=(0.025,),
    counter_duties=(1.0, QUARTER),
    k_per_w=0.055,
    die_s=3,
    sink_s=60,
)
H200_SXM = dataclasses.replace(
    H100_SXM,
    name="NVIDIA H200",
    memory_bytes=141 * 2**30,
    idle_w=75,
    loaded_w=125,
    decode_w=340,
    ticks_s=(0.1, 0.05, 0.02, 0.01),
    instant_windows_s=(0.025, 0.1),
)
RTX_4090 = Preset(
    "NVIDIA GeForce RTX 4090",
    (8, 9),
    24 * 2**30,
    tdp_w=450,
    idle_w=18,
    loaded_w=55,
    decode_w=260,
    prefill_w=440,
    usage_is_a_mean=True,
    ticks_s=(0.1, 0.02),
    instant_windows_s=(0.1,),
    counter_duties=(1.0,),
    k_per_w=0.09,
    die_s=4,
    sink_s=90,
    ambient_c=25.0,
)

PRESETS = (A100_80G, H100_SXM, H200_SXM, RTX_4090)

# The packages of a server, whose counter is updated each millisecond.
SERVER_CPU = Preset(
    "server CPU",
    (0, 0),
    0,
    tdp_w=280,
    idle_w=60,
    loaded_w=75,
    decode_w=210,
    prefill_w=270,
    usage_is_a_mean=False,
    ticks_s=(0.001,),
    instant_windows_s=(),
    counter_duties=(1.0,),
    k_per_w=0.12,
    die_s=3,
    sink_s=60,
)
