"""How far the energy of a window is from the truth, on virtual boards: many random phases of one kind of trial.

The trial is that of the protocol (weights loaded and idle, warm-up, the window at once, quiet), its work decoding whose power
swings in steps. What is judged is ``energy_of_window`` on the channels of our sources, read as our meter reads this very board.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, Readout
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.playing import played
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM, PRESETS, SERVER_CPU, Preset
from llenergymeasure.testing.virtual_gpu.sensor import Published
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import ns_to_s, s_to_ns

WINDOWS_S = (0.1, 1.0, 10.0, 60.0)
# A trial around its window: idle, warm-up and quiet.
_IDLE_S, _WARM_UP_S, _QUIET_S = 1.3, 2.0, 2.5
# The phase of the window against ticks and polls is random over this.
_PHASE_S = 1.0
_STEP_S = (0.01, 0.05)

Load = Literal["unlocked", "locked"]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of meter of one kind of board: its tick and the time it looks at, and what the load does.

    ``characterised``: the channel says how its sensor ticks, looks and lags. ``plain`` reads are 50 a second, whatever it does.
    """

    preset: Preset
    kind: ChannelKind
    tick_s: float
    window_s: float
    lag_s: float = 0.0
    load: Load = "unlocked"
    warm_up: bool = True
    characterised: bool = True
    plain: bool = False

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
    """What came of many windows: errors in percent, and how often the truth lay within the interval for repeatability.

    ``stated`` is the median half-width of that interval in percent.
    """

    windows: int
    refused: int
    bias: float
    p95: float
    covered: float
    stated: float

    def meets(self, demand: Demand) -> bool:
        """Whether all is as demanded, and the stated interval holds the truth in 93.5 % of the windows."""
        if demand.refuse or self.refused:
            return demand.refuse and self.refused == self.windows
        near = abs(self.bias) <= (demand.bias or math.inf) and self.p95 <= (demand.p95 or math.inf)
        return near and self.covered >= 0.935


_REFUSE, _WITHIN = Demand(refuse=True), Demand()
_DEMANDS: dict[tuple[str, bool], tuple[Demand, ...]] = {
    ("counter", True): (Demand(0.2, 2.0), Demand(0.05, 0.3), Demand(0.02, 0.1), Demand(0.01, 0.05)),
    ("counter", False): (_REFUSE, _WITHIN, _WITHIN, Demand(p95=1.0)),
    ("power_instant", True): (_REFUSE, Demand(0.5, 4.0), Demand(0.1, 0.5), Demand(0.05, 0.15)),
    ("power_instant", False): (_REFUSE, _WITHIN, _WITHIN, _WITHIN),
    ("power_mean", True): (_REFUSE, _REFUSE, Demand(0.3, 1.5), Demand(0.1, 0.4)),
}
_RAPL = (Demand(0.5, 3.0), Demand(0.1, 0.5), Demand(0.02, 0.1), Demand(0.02, 0.1))
# Ticks shorter than this are not tracked, and nothing is demanded of them.
_TRACKED_S = 0.02


def demand_of(case: Case, length_s: float) -> Demand | None:
    """What is demanded of a meter for windows of this length, or ``None``."""
    place = WINDOWS_S.index(length_s)
    if case.preset is SERVER_CPU:
        return _RAPL[place]
    if case.kind == "counter" and case.tick_s < _TRACKED_S:
        return None
    found = _DEMANDS[case.kind, case.duty == 1.0][place]
    sure = case.load == "unlocked" and case.characterised and not case.plain
    return found if sure or found.refuse else _WITHIN


def met(case: Case, length_s: float, found: Accuracy) -> bool | None:
    """Whether the demand is met; ``None`` where there is none. Of 0.1 s, a counter may also be refused."""
    demand = demand_of(case, length_s)
    if demand is None:
        return None
    may_refuse = case.kind == "counter" and case.preset is not SERVER_CPU and length_s == WINDOWS_S[0]
    return (may_refuse and found.refused == found.windows) or found.meets(demand)


def cases() -> Iterator[Case]:
    """Every meter of every preset and of a processor; then one board's in less usual trials and with less known of it."""
    for preset in PRESETS:
        for tick_s in preset.ticks_s:
            for duty in preset.counter_duties:
                yield Case(preset, "counter", tick_s, duty * tick_s)
            for window_s in preset.instant_windows_s:
                yield Case(preset, "power_instant", tick_s, window_s)
        if preset.usage_is_a_mean:
            yield Case(preset, "power_mean", 0.1, 1.0)
    rapl = Case(SERVER_CPU, "counter", 0.001, 0.001)
    yield from (rapl, dataclasses.replace(rapl, warm_up=False))
    for usual in (Case(H100_SXM, "counter", 0.1, 0.1), Case(H100_SXM, "power_instant", 0.1, 0.1)):
        yield dataclasses.replace(usual, warm_up=False)
        yield dataclasses.replace(usual, lag_s=0.05)
        yield dataclasses.replace(usual, warm_up=False, lag_s=0.05)
        yield dataclasses.replace(usual, characterised=False)
        yield dataclasses.replace(usual, characterised=False, lag_s=0.05)
        yield dataclasses.replace(usual, plain=True)
        yield dataclasses.replace(usual, window_s=0.025, load="locked")


def accuracy_of(case: Case, length_s: float, windows: int, seed: int) -> Accuracy:
    """The energy of so many windows of ``length_s``, each in a trial of its own, against the truth."""
    generator = np.random.default_rng([seed, round(1000 * length_s)])
    errors, covered, stated = [], [], []
    for _ in range(windows):
        trial = trial_of(case, length_s, generator)
        total_j = energy_of_window(readout_of(case, trial), trial.window, trial.step_s).total_j
        if total_j.value is not None and total_j.repeatability_95 is not None:
            errors.append(100 * (total_j.value / trial.true_j - 1))
            covered.append(total_j.repeatability_95.low <= trial.true_j <= total_j.repeatability_95.high)
            stated.append(50 * (total_j.repeatability_95.high - total_j.repeatability_95.low) / total_j.value)
    if not errors:
        return Accuracy(windows, windows, math.nan, math.nan, math.nan, math.nan)
    p95 = float(np.percentile(np.abs(errors), 95))
    bias, cover = float(np.mean(errors)), float(np.mean(covered))
    return Accuracy(windows, windows - len(errors), bias, p95, cover, float(np.median(stated)))


@dataclass(frozen=True, slots=True)
class Trial:
    """A board that is put through one trial from ``begin_ns`` to ``end_ns``, the window, and the length of a step of its work."""

    gpu: VirtualGpu
    begin_ns: int
    end_ns: int
    window: Interval
    step_s: float

    @property
    def true_j(self) -> float:
        """What the window really took."""
        return self.gpu.work.truth_j(self.window.begin_ns, self.window.end_ns)


def trial_of(case: Case, length_s: float, generator: np.random.Generator) -> Trial:
    """One trial, random in its phases and in the length of its steps."""
    preset, begin_ns = case.preset, VirtualClock().now_ns()
    step_s = case.tick_s if case.load == "locked" else _unlocked_step_s(case.tick_s, generator)
    window_ns = begin_ns + s_to_ns(_IDLE_S + _WARM_UP_S + generator.uniform(0, _PHASE_S))
    warm_ns = s_to_ns(_WARM_UP_S + generator.uniform(0, step_s)) if case.warm_up else 0
    phases = (preset.idle(_IDLE_S), preset.decode(ns_to_s(warm_ns) + length_s, step_s), preset.idle(_QUIET_S))
    work = Workload.of(window_ns - warm_ns - s_to_ns(_IDLE_S), phases, preset.thermal)
    sensors = preset.sensors(
        case.tick_s if case.kind != "power_mean" else None,
        window_s=case.window_s,
        counter_duty=case.duty,
        lag_s=case.lag_s,
        phase_s=generator.uniform(0, case.tick_s),
        seed=int(generator.integers(2**31)),
    )
    window = Interval(window_ns, window_ns + s_to_ns(length_s))
    return Trial(VirtualGpu(preset, work, sensors), begin_ns, window.end_ns + s_to_ns(_QUIET_S), window, step_s)


def readout_of(case: Case, trial: Trial) -> Readout:
    """What our meter reads of the channel in this trial."""
    channel = channel_of(case)
    shown = _published(case.kind, trial)
    readings = played(channel, shown, trial.begin_ns, trial.end_ns, trial.window)
    return Readout((channel,), (), readings, (channel.device,))


def channel_of(case: Case) -> Channel:
    """The channel as its source describes it, and what is known of the sensor."""
    channel = _rapl_channel() if case.preset is SERVER_CPU else _nvml_channel(case.kind, case.preset.usage_is_a_mean)
    if case.plain:
        # One that asks for less than 50 reads a second is not followed.
        channel = dataclasses.replace(channel, rate_hz=49.0)
    if case.preset is SERVER_CPU or not case.characterised:
        return channel
    averaging_s = None if case.kind == "counter" else case.window_s
    return dataclasses.replace(
        channel, update_period_s=case.tick_s, averaging_s=averaging_s, duty=case.duty, lag_s=case.lag_s
    )


def _unlocked_step_s(tick_s: float, generator: np.random.Generator) -> float:
    """The length of a step of which a tick is far from holding a whole number; of ticks much shorter than a step, any."""
    while True:
        step_s = float(generator.uniform(*_STEP_S))
        if tick_s < _STEP_S[0] / 2 or 0.2 <= (tick_s / step_s) % 1 <= 0.8:
            return step_s


@cache
def _nvml_channel(kind: ChannelKind, usage_is_a_mean: bool) -> Channel:
    """The channel of this kind that our source finds on such a board."""
    clock = VirtualClock()
    preset = next(preset for preset in PRESETS if preset.usage_is_a_mean is usage_is_a_mean)
    work = Workload.of(clock.now_ns(), [preset.idle(1.0)], preset.thermal)
    readout = metered(VirtualNvml(clock, VirtualGpu(preset, work, preset.sensors())), clock, 0.1)
    return next(channel for channel in readout.channels if channel.kind == kind)


def _rapl_channel() -> Channel:
    """The channel of a processor's packages."""
    return Channel(
        0,
        "rapl",
        "package",
        "cpu",
        "server CPU",
        "counter",
        "J",
        rate_hz=50.0,
        resolution=15.3e-6,
        update_period_s=0.001,
        duty=1.0,
    )


def _published(kind: ChannelKind, trial: Trial) -> Published:
    sensors = trial.gpu.sensors
    sensor = {"counter": sensors.counter, "power_instant": sensors.instant, "power_mean": sensors.usage}[kind]
    assert sensor is not None, f"the board has no {kind}"
    play = sensor.counter if kind == "counter" else sensor.power
    return play(trial.gpu.work, trial.begin_ns, trial.end_ns + s_to_ns(0.5))
