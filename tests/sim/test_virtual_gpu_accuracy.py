"""Energy of windows on virtual boards against their truth: what the estimators reach, and that no fault passes for a value."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.energy.contract import Surroundings
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.rapl import RaplSource
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, ChannelKind, Readout, Status
from llenergymeasure.testing.accuracy import Case, accuracy_of, channel_of, met, readout_of, trial_of
from llenergymeasure.testing.powercap_double import PowercapDouble
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    COUNTER,
    INSTANT,
    USAGE,
    CallSpikes,
    Capped,
    CounterFalls,
    CounterReset,
    CounterStuck,
    Disappears,
    Fault,
    ForeignProcess,
    Refused,
    Stale,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.playing import looped, played
from llenergymeasure.testing.virtual_gpu.presets import A100_80G, H100_SXM, H200_SXM, RTX_4090, SERVER_CPU
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S

_SEED, _WINDOWS = 7, 40

_CASES = {
    "counter, 100 ms": Case(H100_SXM, "counter", 0.1, 0.1),
    "counter, 20 ms": Case(RTX_4090, "counter", 0.02, 0.02),
    "counter, 100 ms, idle before, late": Case(H100_SXM, "counter", 0.1, 0.1, lag_s=0.05, warm_up=False),
    "counter that sees a quarter": Case(A100_80G, "counter", 0.1, 0.025),
    "counter that sees a quarter in lock": Case(H100_SXM, "counter", 0.1, 0.025, load="locked"),
    "counter of which nothing is known": Case(H100_SXM, "counter", 0.1, 0.1, lag_s=0.05, characterised=False),
    "counter, plain reads": Case(H100_SXM, "counter", 0.1, 0.1, plain=True),
    "instant power that sees a quarter": Case(A100_80G, "power_instant", 0.1, 0.025),
    "instant power that sees a quarter in lock": Case(H100_SXM, "power_instant", 0.1, 0.025, load="locked"),
    "instant power, 100 ms": Case(H200_SXM, "power_instant", 0.1, 0.1),
    "instant power, means that overlap": Case(RTX_4090, "power_instant", 0.02, 0.1),
    "instant power of which nothing is known": Case(H100_SXM, "power_instant", 0.1, 0.1, characterised=False),
    "mean power": Case(H200_SXM, "power_mean", 0.1, 1.0),
    "RAPL": Case(SERVER_CPU, "counter", 0.001, 0.001),
}
# 60 s of a 20 ms tick take long to read: the benchmark has them.
_LENGTHS_S = (0.1, 1.0, 10.0)


@pytest.mark.parametrize("length_s", _LENGTHS_S)
@pytest.mark.parametrize("name", _CASES)
def test_what_is_demanded_is_met(name: str, length_s: float) -> None:
    """Bias and 95th percentile of the error stay within the demand, or what cannot be known is refused.

    Stated intervals hold the truth; of 40 windows 35 are what 93.5 % allow in all but one of 40 such tests.
    """
    found = accuracy_of(_CASES[name], length_s, _WINDOWS, _SEED)
    # A bias is known no better from 40 windows than their spread allows: the percentile is about two standard deviations.
    bias = max(0.0, abs(found.bias) - found.p95 / math.sqrt(_WINDOWS))
    sure = dataclasses.replace(found, bias=bias, covered=1.0 if found.covered >= 35 / 40 else 0.0)
    assert met(_CASES[name], length_s, sure) is True, found


@pytest.mark.parametrize(
    ("name", "length_s", "most"),
    [
        ("counter, 100 ms", 10.0, 0.08),
        ("counter, 20 ms", 10.0, 0.08),
        ("RAPL", 10.0, 0.05),
        ("instant power, 100 ms", 10.0, 0.2),
        ("instant power, means that overlap", 10.0, 0.1),
        ("mean power", 10.0, 0.6),
        ("counter that sees a quarter", 10.0, 1.0),
    ],
)
def test_intervals_are_no_wider_than_what_is_known(name: str, length_s: float, most: float) -> None:
    """Half of the interval for repeatability, in percent, is of the size of the errors."""
    assert accuracy_of(_CASES[name], length_s, _WINDOWS // 2, _SEED).stated <= most


def test_a_sensor_in_lock_is_known_for_one() -> None:
    """The alias bound is most of the uncertainty, and there is none for a sensor that sees all the time."""
    for name, share in (("counter that sees a quarter in lock", 0.9), ("counter, 100 ms", 0.0)):
        trial = trial_of(_CASES[name], 10.0, np.random.default_rng(_SEED))
        energy = energy_of_window(readout_of(_CASES[name], trial), trial.window, trial.step_s)
        terms = {term.name: term.relative for term in energy.terms}
        assert terms["u_alias"] >= share * max(terms["u_edge"], terms["u_res"])
        assert (terms["u_alias"] > 0.05) is (share > 0)


@pytest.mark.parametrize("kind", ["counter", "power_instant", "power_mean"])
def test_the_simulation_reads_what_the_meter_reads(kind: ChannelKind) -> None:
    """Read by our meter from the board itself, ticks are known as well, and the energy is the same."""
    case = Case(H100_SXM, kind, 0.1, {"counter": 0.1, "power_instant": 0.025}.get(kind, 1.0), characterised=False)
    trial = trial_of(case, 12.0, np.random.default_rng(_SEED))
    clock = VirtualClock(trial.begin_ns)
    whole = metered(VirtualNvml(clock, trial.gpu), clock, (trial.end_ns - trial.begin_ns) / NS_PER_S)
    only = dataclasses.replace(whole, channels=tuple(one for one in whole.channels if one.kind == kind))
    simulated, real = (energy_of_window(one, trial.window, trial.step_s) for one in (readout_of(case, trial), only))
    assert simulated.total_j.value is not None and real.total_j.value is not None
    assert real.total_j.value == pytest.approx(simulated.total_j.value, rel=5e-3 if kind == "power_mean" else 4e-4)
    assert real.total_j.repeatability_95 and simulated.total_j.repeatability_95
    widths = [one.repeatability_95.high - one.repeatability_95.low for one in (real.total_j, simulated.total_j)]
    assert widths[0] == pytest.approx(widths[1], rel=0.5)


def test_the_middle_of_a_long_window_needs_no_loop() -> None:
    """Filled in, it gives the energy of a window that the meter's loop read whole."""
    case = _CASES["counter, 20 ms"]
    trial = trial_of(case, 8.0, np.random.default_rng(_SEED))
    channel, sensor = channel_of(case), trial.gpu.sensors.counter
    assert sensor is not None
    shown = sensor.counter(trial.gpu.work, trial.begin_ns, trial.end_ns + NS_PER_S)
    looped_j, filled_j = (
        energy_of_window(Readout((channel,), (), readings, (channel.device,)), trial.window).total_j.value
        for readings in (
            looped(channel, shown, trial.begin_ns, trial.end_ns),
            played(channel, shown, trial.begin_ns, trial.end_ns, trial.window),
        )
    )
    assert looped_j == pytest.approx(filled_j, rel=2e-4)


def test_the_processor_is_read_as_our_source_reads_it(tmp_path: Path) -> None:
    """Rate, period, resolution and kind of the simulated channel are those of the RAPL source."""
    tree = PowercapDouble(tmp_path, look_s=0.001)
    tree.add("intel-rapl:0", "package-0")
    (real,) = RaplSource(Surroundings(tree, "a CPU", 4), tmp_path, tree.read).channels()  # type: ignore[misc]
    ours = channel_of(_CASES["RAPL"])
    for field in ("source", "domain", "device", "kind", "unit", "rate_hz", "update_period_s", "duty"):
        assert getattr(real, field) == getattr(ours, field), field
    assert real.resolution == pytest.approx(ours.resolution, rel=0.01)


_BEGIN_NS = VirtualClock().now_ns()
_WINDOW = Interval(_BEGIN_NS + 5 * NS_PER_S, _BEGIN_NS + 15 * NS_PER_S)
_MIDDLE_NS = _BEGIN_NS + 10 * NS_PER_S
_OUTAGE = (_MIDDLE_NS, _MIDDLE_NS + 2 * NS_PER_S)
_ALWAYS = (0, 2 * _BEGIN_NS)

_FAULTS: dict[str, Fault] = {
    "counter reset": CounterReset(_MIDDLE_NS),
    "counter falls": CounterFalls(_MIDDLE_NS),
    "counter stuck": CounterStuck(_MIDDLE_NS),
    "calls take long": CallSpikes(),
    "foreign process": ForeignProcess(_MIDDLE_NS, _MIDDLE_NS + 3 * NS_PER_S),
    "cap": Capped(_MIDDLE_NS, _MIDDLE_NS + 3 * NS_PER_S, 250.0),
    "device gone": Disappears(_MIDDLE_NS),
    **{f"{name} zero": Zeros(name, *_OUTAGE) for name in (COUNTER, INSTANT, USAGE)},
    **{f"{name} always zero": Zeros(name, *_ALWAYS) for name in (COUNTER, INSTANT, USAGE)},
    **{f"{name} stale": Stale(name, *_OUTAGE) for name in (COUNTER, INSTANT, USAGE)},
    **{f"{name} refused": Refused(name, *_OUTAGE) for name in (COUNTER, INSTANT, USAGE)},
}


def _faulty(fault: Fault) -> tuple[Readout, VirtualNvml]:
    clock = VirtualClock()
    phases = (H100_SXM.idle(2), H100_SXM.decode(13, 0.0371), H100_SXM.idle(5))
    work = Workload.of(_BEGIN_NS, phases, H100_SXM.thermal)
    nvml = VirtualNvml(clock, VirtualGpu(H100_SXM, work, H100_SXM.sensors(), faults=(fault,)))
    return metered(nvml, clock, 18.0), nvml


def _energy(readout: Readout, kind: ChannelKind) -> TrialEnergy:
    only = tuple(channel for channel in readout.channels if channel.kind == kind)
    return energy_of_window(dataclasses.replace(readout, channels=only), _WINDOW)


@pytest.mark.parametrize("name", _FAULTS)
def test_no_fault_passes_for_a_value(name: str) -> None:
    """Each kind of channel gives the board's true energy within its interval, or none and the reason; never a zero."""
    readout, nvml = _faulty(_FAULTS[name])
    kinds = {channel.id: channel.kind for channel in readout.channels}
    good = [reading for reading in readout.readings if reading.status is Status.OK]
    assert all(reading.value > 0 for reading in good if kinds[reading.channel] in ENERGY_KINDS)
    true_j = nvml.truth_j(0, _WINDOW.begin_ns, _WINDOW.end_ns)
    for kind in ("counter", "power_instant", "power_mean"):
        total_j = _energy(readout, kind).total_j
        if total_j.value is None:
            assert total_j.reason
            continue
        assert total_j.repeatability_95 is not None
        assert total_j.repeatability_95.low <= true_j <= total_j.repeatability_95.high, kind


@pytest.mark.parametrize("name", ["counter reset", "counter falls"])
def test_a_counter_that_falls_is_refused_as_reset(name: str) -> None:
    """The reason is kept, and instant power speaks for the board."""
    readout, _ = _faulty(_FAULTS[name])
    assert _energy(readout, "counter").resets
    whole = energy_of_window(readout, _WINDOW)
    assert whole.resets
    assert whole.total_j.value is not None
    assert whole.parts[0].method == "instant power, steps"


def test_a_counter_reset_near_an_edge_never_spoils_a_value() -> None:
    """At every distance from either edge: refused, or as near to the truth as an undisturbed counter."""
    checked = 0
    for edge_ns in (_WINDOW.begin_ns, _WINDOW.end_ns):
        for shift_ms in range(-400, 401, 80):
            readout, nvml = _faulty(CounterReset(edge_ns + shift_ms * 1_000_000 + 7_000_000))
            value_j = _energy(readout, "counter").total_j.value
            if value_j is not None:
                assert value_j == pytest.approx(nvml.truth_j(0, _WINDOW.begin_ns, _WINDOW.end_ns), rel=0.003)
                checked += 1
    assert checked >= 5


def test_a_board_that_is_gone_from_the_start_is_no_source() -> None:
    """There is nothing to read, and the reason says why."""
    clock = VirtualClock()
    work = Workload.of(_BEGIN_NS, [H100_SXM.idle(1)])
    nvml = VirtualNvml(clock, VirtualGpu(H100_SXM, work, H100_SXM.sensors(), faults=(Disappears(0),)))
    with pytest.raises(EnergyError, match="lost"):
        metered(nvml, clock, 1.0)
    assert str(NvmlSource(nvml, clock).channels()).startswith("GPU 0: ")


@pytest.mark.parametrize("kind", ["counter", "power_instant", "power_mean"])
def test_power_that_never_changes_is_still_energy(kind: ChannelKind) -> None:
    """Equal values one after the other are measurements, not a sensor that stands still."""
    clock = VirtualClock()
    sensors = H100_SXM.sensors()
    assert sensors.counter and sensors.instant and sensors.usage
    silent = Sensors(
        *(dataclasses.replace(one, noise_w=0.0) for one in (sensors.counter, sensors.instant, sensors.usage))
    )
    work = Workload.of(_BEGIN_NS, [H100_SXM.prefill(20)])
    nvml = VirtualNvml(clock, VirtualGpu(H100_SXM, work, silent))
    total_j = _energy(metered(nvml, clock, 18.0), kind).total_j
    assert total_j.value == pytest.approx(6900.0, rel=0.002)
