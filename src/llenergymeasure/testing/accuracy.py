"""How far the energy of a window is from the truth, on virtual boards: many random phases of one kind of trial.

The trial is that of the protocol (weights loaded and idle, warm-up, the window at once, quiet), its work decoding whose power
swings in steps. What is judged is ``energy_of_window`` on the channels that ``NvmlSource`` finds, read when our meter reads them.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from llenergymeasure.analyse.headline import energy_of_window
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, Readings, Readout, Status
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM, PRESETS, Preset
from llenergymeasure.testing.virtual_gpu.sensor import Published
from llenergymeasure.testing.virtual_gpu.workload import Ints, Workload
from llenergymeasure.units import ns_to_s, s_to_ns

WINDOWS_S = (0.1, 1.0, 10.0, 60.0)
# A trial around its window: idle, warm-up and quiet, each long enough for a 1 s mean to be steady at the edges.
_IDLE_S, _WARM_UP_S, _QUIET_S = 3.0, 2.0, 2.5
# The phase of the window against ticks and polls is random over this.
_PHASE_S = 1.0
_STEP_S = (0.01, 0.05)

Load = Literal["unlocked", "locked"]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of meter of one kind of board: its tick and the time it looks at, and what the load does."""

    preset: Preset
    kind: ChannelKind
    tick_s: float
    window_s: float
    lag_s: float = 0.0
    load: Load = "unlocked"
    warm_up: bool = True

    @property
    def duty(self) -> float:
        """The share of time that the meter looks at."""
        return min(1.0, self.window_s / self.tick_s)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a meter at one length of window, in percent. ``None``: to be refused, or to hold its stated interval."""

    bias: float | None = None
    p95: float | None = None
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What came of many windows: errors in percent, and how often the truth lay within the interval for repeatability."""

    windows: int
    refused: int
    bias: float
    p95: float
    covered: float

    def meets(self, demand: Demand) -> bool:
        """Whether all is as demanded. Where the stated interval must hold the truth, in 93.5 % of the windows."""
        if demand.refuse or self.refused:
            return demand.refuse and self.refused == self.windows
        if demand.bias is None:
            return self.covered >= 0.935 and (demand.p95 is None or self.p95 <= demand.p95)
        return abs(self.bias) <= demand.bias and self.p95 <= (demand.p95 or math.inf)


_REFUSE, _WITHIN = Demand(refuse=True), Demand()
_DEMANDS: dict[tuple[str, bool], tuple[Demand, ...]] = {
    ("counter", True): (Demand(0.2, 2.0), Demand(0.05, 0.3), Demand(0.02, 0.1), Demand(0.01, 0.05)),
    ("counter", False): (_REFUSE, _WITHIN, _WITHIN, Demand(p95=1.0)),
    ("power_instant", True): (_REFUSE, Demand(0.5, 4.0), Demand(0.1, 0.5), Demand(0.05, 0.15)),
    ("power_instant", False): (_REFUSE, _WITHIN, _WITHIN, _WITHIN),
    ("power_mean", True): (_REFUSE, _REFUSE, Demand(0.3, 1.5), Demand(0.1, 0.4)),
}
# Ticks shorter than this are not tracked, and nothing is demanded of them.
_TRACKED_S = 0.02


def demand_of(case: Case, length_s: float) -> Demand | None:
    """What is demanded of a meter for windows of this length, or ``None``."""
    if case.kind == "counter" and case.tick_s < _TRACKED_S:
        return None
    found = _DEMANDS[case.kind, case.duty == 1.0][WINDOWS_S.index(length_s)]
    return _WITHIN if case.load == "locked" and not found.refuse else found


def met(case: Case, length_s: float, found: Accuracy) -> bool | None:
    """Whether the demand is met; ``None`` where there is none. Of 0.1 s, a counter may also be refused."""
    demand = demand_of(case, length_s)
    if demand is None:
        return None
    may_refuse = case.kind == "counter" and length_s == WINDOWS_S[0] and found.refused == found.windows
    return may_refuse or found.meets(demand)


def cases() -> Iterator[Case]:
    """Every meter of every preset; then one board's with no warm-up, with a late sensor too, and with steps as long as ticks."""
    for preset in PRESETS:
        for tick_s in preset.ticks_s:
            for duty in preset.counter_duties:
                yield Case(preset, "counter", tick_s, duty * tick_s)
            for window_s in preset.instant_windows_s:
                yield Case(preset, "power_instant", tick_s, window_s)
        if preset.usage_is_a_mean:
            yield Case(preset, "power_mean", 0.1, 1.0)
    for usual in (Case(H100_SXM, "counter", 0.1, 0.1), Case(H100_SXM, "power_instant", 0.1, 0.1)):
        yield dataclasses.replace(usual, warm_up=False)
        yield dataclasses.replace(usual, warm_up=False, lag_s=0.05)
        yield dataclasses.replace(usual, window_s=0.025, load="locked")


def accuracy_of(case: Case, length_s: float, windows: int, seed: int) -> Accuracy:
    """The energy of so many windows of ``length_s``, each in a trial of its own, against the truth."""
    generator = np.random.default_rng([seed, round(1000 * length_s)])
    errors, covered = [], []
    for _ in range(windows):
        readout, window, true_j = readout_of(case, length_s, generator)
        total_j = energy_of_window(readout, window).total_j
        if total_j.value is not None and total_j.repeatability_95 is not None:
            errors.append(100 * (total_j.value / true_j - 1))
            covered.append(total_j.repeatability_95.low <= true_j <= total_j.repeatability_95.high)
    if not errors:
        return Accuracy(windows, windows, math.nan, math.nan, math.nan)
    p95 = float(np.percentile(np.abs(errors), 95))
    return Accuracy(windows, windows - len(errors), float(np.mean(errors)), p95, float(np.mean(covered)))


def readout_of(case: Case, length_s: float, generator: np.random.Generator) -> tuple[Readout, Interval, float]:
    """One random trial: what the meter reads of the channel, the window, and its true energy."""
    begin_ns = VirtualClock().now_ns()
    gpu, window = trial_of(case, length_s, generator, begin_ns)
    end_ns = window.end_ns + s_to_ns(_QUIET_S)
    channel, polls_ns = _polls(case.kind, case.preset.usage_is_a_mean)
    polls_ns = polls_ns[: int(np.searchsorted(polls_ns, end_ns))]
    return (
        _readout(channel, _published(case.kind, gpu, begin_ns, end_ns), polls_ns),
        window,
        gpu.work.truth_j(window.begin_ns, window.end_ns),
    )


def trial_of(case: Case, length_s: float, generator: np.random.Generator, begin_ns: int) -> tuple[VirtualGpu, Interval]:
    """A board that is put through one trial, random in its phases and in the length of its steps, and the window."""
    preset = case.preset
    step_s = case.tick_s if case.load == "locked" else _unlocked_step_s(case.tick_s, generator)
    window_ns = begin_ns + s_to_ns(_IDLE_S + _WARM_UP_S + generator.uniform(0, _PHASE_S))
    warm_ns = s_to_ns(_WARM_UP_S + generator.uniform(0, step_s)) if case.warm_up else 0
    phases = (preset.idle(_IDLE_S), preset.decode(ns_to_s(warm_ns) + length_s, step_s), preset.idle(_QUIET_S))
    work = Workload.of(window_ns - warm_ns - s_to_ns(_IDLE_S), phases, preset.thermal)
    sensors = preset.sensors(
        case.tick_s if case.kind != "power_mean" else None,
        window_s=case.window_s if case.kind == "power_instant" else None,
        counter_duty=case.duty,
        lag_s=case.lag_s,
        phase_s=generator.uniform(0, case.tick_s),
        seed=int(generator.integers(2**31)),
    )
    return VirtualGpu(preset, work, sensors), Interval(window_ns, window_ns + s_to_ns(length_s))


def _unlocked_step_s(tick_s: float, generator: np.random.Generator) -> float:
    """The length of a step of which a tick is far from holding a whole number."""
    while True:
        step_s = float(generator.uniform(*_STEP_S))
        if 0.2 <= (tick_s / step_s) % 1 <= 0.8:
            return step_s


@cache
def _polls(kind: ChannelKind, usage_is_a_mean: bool) -> tuple[Channel, Ints]:
    """The channel of this kind, and when our meter reads it on a board of its own under the virtual clock."""
    clock = VirtualClock()
    preset = next(preset for preset in PRESETS if preset.usage_is_a_mean is usage_is_a_mean)
    work = Workload.of(clock.now_ns(), [preset.idle(1.0)], preset.thermal)
    length_s = _IDLE_S + _WARM_UP_S + _PHASE_S + WINDOWS_S[-1] + _QUIET_S + 1.0
    readout = metered(VirtualNvml(clock, VirtualGpu(preset, work, preset.sensors())), clock, length_s)
    channel = next(channel for channel in readout.channels if channel.kind == kind)
    number = np.frombuffer(readout.readings.channel, dtype=np.int64)
    return channel, np.frombuffer(readout.readings.t_ns, dtype=np.int64)[number == channel.id]


def _published(kind: ChannelKind, gpu: VirtualGpu, begin_ns: int, end_ns: int) -> Published:
    sensors = {"counter": gpu.sensors.counter, "power_instant": gpu.sensors.instant, "power_mean": gpu.sensors.usage}
    sensor = sensors[kind]
    assert sensor is not None, f"the board has no {kind}"
    play = sensor.counter if kind == "counter" else sensor.power
    return play(gpu.work, begin_ns, end_ns)


def _readout(channel: Channel, published: Published, polls_ns: Ints) -> Readout:
    """What reads of the channel at these instants give."""
    none = np.zeros(len(polls_ns), dtype=np.int64)
    readings = Readings(
        array("q", polls_ns.tobytes()),
        array("q", none.tobytes()),
        array("q", (none + channel.id).tobytes()),
        array("d", (published.at(polls_ns) / 1000).tobytes()),
        array("q", (none + int(Status.OK)).tobytes()),
    )
    return Readout((channel,), (), readings, (channel.device,))
