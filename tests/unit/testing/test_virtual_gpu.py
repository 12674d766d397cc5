"""Virtual boards answer as the driver does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pynvml
import pytest

from llenergymeasure.energy.contract import EnergySource, Unavailable
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import Status
from llenergymeasure.testing.source_contract import SourceContract
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import Process, VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    COUNTER,
    INSTANT,
    CallSpikes,
    Capped,
    Disappears,
    Fault,
    ForeignProcess,
    Refused,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import A100_80G, H100_SXM, PRESETS, Preset
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S

_BEGIN_NS = VirtualClock().now_ns()
_ALWAYS = (0, 2 * _BEGIN_NS)


def _gpu(*faults: Fault, preset: Preset = H100_SXM) -> VirtualGpu:
    work = Workload.of(_BEGIN_NS, [preset.idle(2), preset.decode(10), preset.idle(2)], preset.thermal)
    return VirtualGpu(preset, work, preset.sensors(), faults=faults)


class TestVirtualNvml(SourceContract):
    """NvmlSource on two virtual boards keeps the contract of a source."""

    def open_source(self) -> EnergySource:
        self.clock = VirtualClock()
        other = dataclasses.replace(_gpu(preset=A100_80G), uuid="GPU-2")
        return NvmlSource(VirtualNvml(self.clock, _gpu(), other), self.clock)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_each_kind_of_board_gives_its_channels(preset: Preset) -> None:
    """PowerUsage is a mean where the preset says so, beside the counter and instant power."""
    clock = VirtualClock()
    channels = NvmlSource(VirtualNvml(clock, _gpu(preset=preset)), clock).channels()
    assert not isinstance(channels, Unavailable)
    kinds = {channel.kind for channel in channels}
    assert {"counter", "power_instant", "temperature", "throttle_time"} <= kinds
    assert ("power_mean" in kinds) is preset.usage_is_a_mean


def test_a_partitioned_board_is_refused() -> None:
    """MIG mode leaves nothing to read, and the reason says so."""
    clock = VirtualClock()
    with pytest.raises(EnergyError, match="MIG"):
        metered(VirtualNvml(clock, dataclasses.replace(_gpu(), mig=True)), clock, 1.0)


def test_a_board_that_falls_off_the_bus_is_lost() -> None:
    """From then on every reading says so, and no call has an answer."""
    clock = VirtualClock()
    gone_ns = _BEGIN_NS + 2 * NS_PER_S
    readings = metered(VirtualNvml(clock, _gpu(Disappears(gone_ns))), clock, 4.0).readings
    late = [reading for reading in readings if reading.t_ns >= gone_ns]
    assert late
    assert {reading.status for reading in late} == {Status.DEVICE_LOST}


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Zeros(COUNTER, *_ALWAYS), Status.FAILED), (Zeros(INSTANT, *_ALWAYS), Status.FAILED)],
    ids=["counter", "instant power"],
)
def test_a_zero_is_a_failed_read(fault: Zeros, status: Status) -> None:
    """A call that succeeds with 0 never becomes a reading of 0."""
    clock = VirtualClock()
    readout = metered(VirtualNvml(clock, _gpu(fault)), clock, 1.0)
    kind = "counter" if fault.function == COUNTER else "power_instant"
    number = next(channel.id for channel in readout.channels if channel.kind == kind)
    assert {reading.status for reading in readout.readings if reading.channel == number} == {status}


def test_errors_are_the_bindings_own() -> None:
    """A refused call raises NVMLError with its code; a refused field says so in its answer."""
    nvml = VirtualNvml(VirtualClock(), _gpu(Refused(COUNTER, *_ALWAYS), Refused(INSTANT, *_ALWAYS)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    (value,) = nvml.nvmlDeviceGetFieldValues(handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])
    assert value.nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetHandleByIndex(1)


def test_time_that_was_not_played_is_an_error() -> None:
    """Beyond the horizon nothing stands still: a read raises."""
    clock = VirtualClock()
    nvml = VirtualNvml(clock, _gpu(), horizon_s=1.0)
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    clock.sleep(2.0)
    with pytest.raises(ValueError, match="horizon"):
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)


def test_another_process_is_seen_in_all_it_does() -> None:
    """While it is there it has a pid, memory and 80 W."""
    clock = VirtualClock()
    begin_ns, end_ns = _BEGIN_NS + NS_PER_S, _BEGIN_NS + 2 * NS_PER_S
    gpu = dataclasses.replace(_gpu(ForeignProcess(begin_ns, end_ns)), processes=(Process(1, 2**30),))
    nvml = VirtualNvml(clock, gpu)
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    before = nvml.nvmlDeviceGetComputeRunningProcesses(handle), nvml.nvmlDeviceGetMemoryInfo(handle).used
    clock.sleep(1.5)
    during = nvml.nvmlDeviceGetComputeRunningProcesses(handle), nvml.nvmlDeviceGetMemoryInfo(handle).used
    assert [process.pid for process in before[0]] == [1]
    assert len(during[0]) == 2 and during[1] > before[1]
    assert nvml.truth_j(0, begin_ns, end_ns) - gpu.work.truth_j(begin_ns, end_ns) == pytest.approx(80.0, rel=0.02)


def test_a_cap_holds_power_and_counts_its_time() -> None:
    """Power stays at the cap (leakage apart), the limit reads lower, and the violation counter has the time."""
    clock = VirtualClock()
    begin_ns, end_ns = _BEGIN_NS + 4 * NS_PER_S, _BEGIN_NS + 6 * NS_PER_S
    nvml = VirtualNvml(clock, _gpu(Capped(begin_ns, end_ns, 250.0)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 700_000
    clock.sleep(5.0)
    assert nvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 250_000
    clock.sleep(5.0)
    held = nvml.nvmlDeviceGetViolationStatus(handle, pynvml.NVML_PERF_POLICY_POWER).violationTime
    assert held == 2 * NS_PER_S
    assert nvml.truth_j(0, begin_ns, end_ns) / 2 == pytest.approx(250.0, rel=0.05)


def test_calls_take_their_time() -> None:
    """Each call moves the clock, some by 5 to 200 ms more."""
    clock = VirtualClock()
    nvml = VirtualNvml(clock, _gpu(CallSpikes(share=0.1)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    took_ns = []
    for _ in range(200):
        began_ns = clock.now_ns()
        nvml.nvmlDeviceGetPowerUsage(handle)
        took_ns.append(clock.now_ns() - began_ns)
    assert min(took_ns) == 30_000
    assert 5 <= sum(took > 5_000_000 for took in took_ns) <= 50
    assert max(took_ns) <= 200_030_000


def test_work_makes_a_board_warm() -> None:
    """Temperature rises under load and settles at what the resistance makes of the power."""
    work = Workload.of(_BEGIN_NS, [H100_SXM.idle(10), H100_SXM.prefill(600)], H100_SXM.thermal)
    before_c, after_c = work.temperature_c(np.array([_BEGIN_NS, _BEGIN_NS + 600 * NS_PER_S]))
    assert before_c == pytest.approx(28 + 0.055 * 115)
    assert after_c == pytest.approx(28 + 0.055 * 690, abs=0.1)
