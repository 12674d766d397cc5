"""Whatever goes wrong with a board or its driver is detected, or the interval is wide enough to hold the truth."""

from __future__ import annotations

import dataclasses

import pynvml
import pytest

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.energy.contract import Unavailable
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.machine.gpus import gpus_of
from llenergymeasure.model.event import ClockTriple
from llenergymeasure.model.reading import SourceVerdict, Status
from llenergymeasure.testing.builders import machine, session_facts, trace
from llenergymeasure.testing.fault_trials import BEGIN_NS, FAULTS, LATER_NS, MIDDLE_NS, at, tried
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import INSTANT, Capped, Disappears, ForeignProcess, Stale
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.sensor import Sensor, Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S


def test_a_board_on_which_all_is_well_is_ours_alone_and_exact() -> None:
    """No remark on contention, throttling or its modes; the verdict is exclusive; the interval holds the truth."""
    found = tried()
    result = found.result
    assert result.method.contention.verdict == "exclusive"
    assert not {"contention", "throttled", "power_capped", "power_limit_changed", "mig_or_vgpu"} & set(found.codes)
    assert found.holds and result.utilisation.sm_clock_mhz == 1980.0
    assert result.utilisation.throttled_s is not None and set(result.utilisation.throttled_s.values()) == {0.0}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_makes_a_figure_that_is_wrong_and_says_nothing(fault: str) -> None:
    """There is no energy and the reason stands there, or the result is not valid, or the interval holds the truth."""
    found = tried(FAULTS[fault])
    total_j = found.result.energy_total_j
    if total_j.value is None:
        assert total_j.reason
    elif found.result.validity.valid:
        assert found.holds, (total_j, found.true_j, found.codes)
    assert total_j.value != 0


def test_a_foreign_process_is_told() -> None:
    """With the number of readings in which it was there; energy is the board's, with what the other used."""
    found = tried(ForeignProcess(MIDDLE_NS, LATER_NS))
    assert found.result.method.contention.verdict == "shared"
    assert "processes of others, up to 1 at a time, in 4 of" in found.codes["contention"]


def test_heat_and_the_power_limit_are_told_apart_with_their_time() -> None:
    """Both held the board for 4 s of 16; the limit that fell is told too."""
    hot = tried(Capped(MIDDLE_NS, LATER_NS, 250.0, int(pynvml.NVML_PERF_POLICY_THERMAL)))
    assert hot.codes["throttled"].startswith("4.0 s of 16.0 s thermal; software thermal slowdown in 4 of")
    assert "power_limit_changed" not in hot.codes
    capped = tried(Capped(MIDDLE_NS, LATER_NS, 250.0))
    assert capped.codes["power_capped"] == "4.0 s of 16.0 s power" and "throttled" not in capped.codes
    assert "between 250 and 700 W" in capped.codes["power_limit_changed"]
    assert capped.result.utilisation.sm_clock_mhz is not None and 1410 < capped.result.utilisation.sm_clock_mhz < 1980


@pytest.mark.parametrize(
    "mode", [pynvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU, pynvml.NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU]
)
def test_a_virtual_gpu_is_told(mode: int) -> None:
    """Its meters may be the whole board's."""
    found = tried(virtualization=int(mode))
    assert "shared out to virtual machines" in found.codes["mig_or_vgpu"]


def test_a_board_that_is_gone_and_comes_back_is_read_again() -> None:
    """Readings say that it was lost for as long as it was, and no longer."""
    clock = VirtualClock()
    work = Workload.of(BEGIN_NS, [H100_SXM.decode(10)], H100_SXM.thermal)
    gpu = VirtualGpu(H100_SXM, work, H100_SXM.sensors(), faults=(Disappears(at(2.0), at(4.0)),))
    readout = metered(VirtualNvml(clock, gpu), clock, 6.0)
    lost = [reading.t_ns for reading in readout.readings if reading.status is Status.DEVICE_LOST]
    assert at(2.0) <= min(lost) and max(lost) <= at(4.001)
    after = {reading.status for reading in readout.readings if reading.t_ns > at(4.1) and reading.channel == 0}
    assert after == {Status.OK}


def test_a_field_that_stands_still_with_its_timestamp_is_stale() -> None:
    """Two seconds later its readings fail, until it moves again."""
    clock = VirtualClock()
    work = Workload.of(BEGIN_NS, [H100_SXM.decode(10)], H100_SXM.thermal)
    gpu = VirtualGpu(H100_SXM, work, H100_SXM.sensors(), faults=(Stale(INSTANT, at(2.0), at(6.0)),))
    readout = metered(VirtualNvml(clock, gpu), clock, 8.0)
    (instant,) = (one.id for one in readout.channels if one.kind == "power_instant")
    failed = [one.t_ns for one in readout.readings if one.channel == instant and one.status is Status.FAILED]
    assert at(3.9) < min(failed) and max(failed) < at(6.2)


def test_a_suspended_machine_is_an_error_and_a_stepped_clock_is_nothing() -> None:
    """Boot time goes on while a machine sleeps; the time of day may jump as it likes."""
    woken = tuple(ClockTriple(at(t), at(t), at(t) + (t > 15) * 5 * NS_PER_S) for t in range(34))
    slept = tried(head={"clock": woken})
    assert "slept for 5.0 s" in slept.codes["suspended"] and not slept.result.validity.valid
    stepped = tuple(ClockTriple(at(t), at(t) - (t > 15) * 3600 * NS_PER_S, at(t)) for t in range(34))
    fine = tried(head={"clock": stepped})
    assert "suspended" not in fine.codes and fine.result.validity.valid and fine.holds


def test_power_that_does_not_move_is_not_called_stale() -> None:
    """The same value again and again is a value as long as its timestamp moves."""
    clock = VirtualClock()
    quiet = dataclasses.replace(H100_SXM.sensors().instant or Sensor(0.1, 0.1), noise_w=0.0)
    gpu = VirtualGpu(H100_SXM, Workload.of(BEGIN_NS, [H100_SXM.idle(60)]), Sensors(None, quiet, None))
    readout = metered(VirtualNvml(clock, gpu), clock, 6.0)
    (instant,) = (one.id for one in readout.channels if one.kind == "power_instant")
    readings = [reading for reading in readout.readings if reading.channel == instant]
    assert len({reading.value for reading in readings}) == 1
    assert {reading.status for reading in readings} == {Status.OK}


def test_a_partitioned_board_gives_no_energy_and_says_why() -> None:
    """Neither counter nor power is read of it; the headline is missing with the reason of the driver's side."""
    clock = VirtualClock()
    gpu = VirtualGpu(H100_SXM, Workload.of(BEGIN_NS, [H100_SXM.idle(60)]), H100_SXM.sensors(), mig=True)
    nvml = VirtualNvml(clock, gpu)
    refused = NvmlSource(nvml, clock).channels()
    assert isinstance(refused, Unavailable)
    result = analyse(
        trace(
            machine=machine(gpus=gpus_of(nvml)),
            session=session_facts(engine="pytorch", device="cuda", device_ids=(gpu.uuid,)),
            verdicts=(SourceVerdict("nvml", False, str(refused)),),
        )
    )
    assert result.energy_total_j.value is None and "MIG mode is on" in str(result.energy_total_j.reason)
    assert "MIG mode" in {one.code: one.evidence for one in result.validity.remarks}["mig_or_vgpu"]
    assert result.method.contention.verdict == "unknown"
