"""Energy of windows on virtual boards against their truth: what the estimators reach, and that no fault passes for a value."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from llenergymeasure.analyse.headline import TrialEnergy, energy_of_window
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, ChannelKind, Readout, Status
from llenergymeasure.testing.accuracy import Case, accuracy_of, met, readout_of, trial_of
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
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import A100_80G, H100_SXM, H200_SXM, RTX_4090
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S

_SEED, _WINDOWS = 7, 40

_COUNTER_100 = Case(H100_SXM, "counter", 0.1, 0.1)
_COUNTER_20 = Case(H100_SXM, "counter", 0.02, 0.02)
_INSTANT_QUARTER = Case(A100_80G, "power_instant", 0.1, 0.025)
_INSTANT_FULL = Case(RTX_4090, "power_instant", 0.02, 0.1)
_MEAN = Case(H200_SXM, "power_mean", 0.1, 1.0)


@pytest.mark.parametrize(
    ("case", "length_s"),
    [
        (_COUNTER_100, 0.1),
        (_COUNTER_20, 60.0),
        (_INSTANT_QUARTER, 0.1),
        (_INSTANT_QUARTER, 1.0),
        (_INSTANT_QUARTER, 10.0),
        (_INSTANT_FULL, 1.0),
        (_INSTANT_FULL, 10.0),
        (_INSTANT_FULL, 60.0),
        (_MEAN, 0.1),
        (_MEAN, 1.0),
        (_MEAN, 10.0),
        (_MEAN, 60.0),
    ],
    ids=lambda value: f"{value.preset.name} {value.kind} {value.tick_s}" if isinstance(value, Case) else f"{value} s",
)
def test_what_is_demanded_is_met(case: Case, length_s: float) -> None:
    """Bias and 95th percentile of the error stay within the demand, or what cannot be known is refused."""
    assert met(case, length_s, accuracy_of(case, length_s, _WINDOWS, _SEED)) is True


@pytest.mark.parametrize(
    ("case", "length_s", "bias", "p95"),
    [
        (_COUNTER_100, 1.0, 1.6, 2.6),
        (_COUNTER_100, 10.0, 0.16, 0.26),
        (_COUNTER_100, 60.0, 0.03, 0.045),
        (_COUNTER_20, 1.0, 0.4, 1.0),
        (_COUNTER_20, 10.0, 0.04, 0.1),
        (dataclasses.replace(_COUNTER_100, warm_up=False), 10.0, 0.3, 0.45),
    ],
    ids=lambda value: f"{value.preset.name} {value.kind} {value.tick_s}" if isinstance(value, Case) else f"{value}",
)
def test_interpolated_counters_err_no_more_than_their_ticks_explain(
    case: Case, length_s: float, bias: float, p95: float
) -> None:
    """Errors in percent are those of edges between ticks, and the stated interval holds the truth."""
    found = accuracy_of(case, length_s, _WINDOWS, _SEED)
    assert found.refused == 0
    assert abs(found.bias) <= bias
    assert found.p95 <= p95
    assert found.covered >= 0.935


@pytest.mark.parametrize("kind", ["counter", "power_instant", "power_mean"])
def test_the_simulation_reads_what_the_meter_reads(kind: ChannelKind) -> None:
    """The short way of the simulation gives the very readings of our source and meter on the same board."""
    case = Case(H100_SXM, kind, 0.1, {"counter": 0.1, "power_instant": 0.025}.get(kind, 1.0))
    short, window, _ = readout_of(case, 1.0, np.random.default_rng(_SEED))
    clock = VirtualClock()
    gpu, same = trial_of(case, 1.0, np.random.default_rng(_SEED), clock.now_ns())
    whole = metered(VirtualNvml(clock, gpu), clock, 9.0)
    number = next(channel.id for channel in whole.channels if channel.kind == kind)
    read = [(reading.t_ns, reading.value) for reading in whole.readings if reading.channel == number]
    simulated = [(reading.t_ns, reading.value) for reading in short.readings]
    assert same == window
    assert len(simulated) > 50
    assert simulated == read[: len(simulated)]


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
