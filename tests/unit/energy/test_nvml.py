"""The NVML source on a double of the vendor's binding."""

from __future__ import annotations

import inspect
import math

import pynvml
import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import Surroundings, Unavailable
from llenergymeasure.energy.nvml import NvmlSource, open_source
from llenergymeasure.model.reading import Channel, ChannelKind, Reading, Status
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
from llenergymeasure.testing.virtual_clock import VirtualClock

_NOT_SUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED


def _open(*gpus: GpuDouble, clock: VirtualClock | None = None) -> tuple[NvmlSource, tuple[Channel, ...]]:
    source = NvmlSource(NvmlDouble(*gpus), clock or VirtualClock())
    channels = source.channels()
    assert not isinstance(channels, Unavailable), channels
    return source, tuple(channels)


def _unavailable(*gpus: GpuDouble, init_error: int = 0) -> Unavailable:
    found = NvmlSource(NvmlDouble(*gpus, init_error=init_error), VirtualClock()).channels()
    assert isinstance(found, Unavailable)
    return found


def _kinds(channels: tuple[Channel, ...]) -> list[ChannelKind]:
    return [channel.kind for channel in channels]


def _reading(source: NvmlSource, channels: tuple[Channel, ...], kind: ChannelKind, detail: str = "") -> Reading:
    (channel,) = (channel for channel in channels if (channel.kind, channel.detail) == (kind, detail))
    return source.read([channel])[0]


def test_the_double_has_the_signatures_of_the_binding() -> None:
    """Every function of the double takes the parameters that ``pynvml``'s takes, by the same names."""
    functions = [name for name in vars(NvmlDouble) if name.startswith("nvml")]
    assert len(functions) > 10
    for name in functions:
        double = list(inspect.signature(getattr(NvmlDouble, name)).parameters)[1:]
        assert double == list(inspect.signature(getattr(pynvml, name)).parameters), name


def test_a_board_yields_energy_power_and_the_quantities_for_validity() -> None:
    """Millijoules become J, milliwatts W, nanoseconds s; the device is the UUID."""
    gpu = GpuDouble(violation_ns=1_500_000_000, utilisation_percent=87)
    source, channels = _open(gpu)
    assert {channel.device for channel in channels} == {gpu.uuid}
    assert _reading(source, channels, "counter").value == 5000.0
    assert _reading(source, channels, "power_instant").value == 310.0
    assert _reading(source, channels, "power_mean").value == 300.0
    assert _reading(source, channels, "temperature").value == 45.0
    assert _reading(source, channels, "sm_clock").value == 1980.0
    assert _reading(source, channels, "utilisation").value == 87.0
    assert _reading(source, channels, "memory").value == 600 * 2**20
    assert _reading(source, channels, "throttle_time", "thermal").value == 1.5
    assert _reading(source, channels, "temperature", "memory").value == 52.0
    assert _reading(source, channels, "memory_clock").value == 2619.0
    assert _reading(source, channels, "power_limit").value == 700.0
    assert _reading(source, channels, "part_power", "memory").value == 40.0
    assert _reading(source, channels, "energy_field").value == 5000.0
    assert _reading(source, channels, "pcie", "sent").value == 1e9


def test_energy_and_power_are_read_fast_and_the_rest_once_a_second() -> None:
    """Calls that may be slow ask for 1 Hz."""
    _, channels = _open(GpuDouble())
    rates = {channel.kind: channel.rate_hz for channel in channels}
    assert (rates["counter"], rates["power_instant"], rates["power_mean"]) == (50.0, 50.0, 10.0)
    slow: tuple[ChannelKind, ...] = ("temperature", "sm_clock", "utilisation", "memory", "throttle_time")
    assert [rates[kind] for kind in slow] == [1.0] * 5


@pytest.mark.parametrize("capability", [(8, 6), (8, 9), (9, 0), (10, 0)])
def test_power_usage_is_a_one_second_mean_since_ampere(capability: tuple[int, int]) -> None:
    """On all boards newer than GA100 the old power call averages over a second."""
    _, channels = _open(GpuDouble(capability=capability))
    (mean,) = (channel for channel in channels if channel.kind == "power_mean")
    assert mean.averaging_s == 1.0


def test_the_field_for_average_power_stands_in_for_power_usage() -> None:
    """Both are the mean of a second; the one that answers is read."""
    source, channels = _open(GpuDouble(fails={"nvmlDeviceGetPowerUsage": _NOT_SUPPORTED}))
    assert _reading(source, channels, "power_mean").value == 305.0


def test_time_by_cause_is_read_in_either_way() -> None:
    """Where the violation status is not supported the field that counts the same is read; newer causes have fields only."""
    fails: dict[str | int, int] = {"nvmlDeviceGetViolationStatus": _NOT_SUPPORTED}
    source, channels = _open(GpuDouble(violation_ns=2_500_000_000, fails=fails))
    assert _reading(source, channels, "throttle_time", "thermal").value == 2.5
    assert _reading(source, channels, "throttle_time", "hardware_thermal").value == 2.5
    assert "reliability" not in {channel.detail for channel in channels}


def test_reasons_for_lower_clocks_are_the_drivers_mask() -> None:
    """Bits as they are."""
    source, channels = _open(GpuDouble(clock_reasons=0x24))
    assert _reading(source, channels, "clock_reasons").value == 0x24


def test_a_field_that_the_binding_or_the_driver_does_not_know_is_left_out() -> None:
    """An old driver calls it an invalid argument, an old binding has no name for it."""

    class Old(NvmlDouble):
        def __getattr__(self, name: str) -> object:
            if name == "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN":
                raise AttributeError(name)
            return super().__getattr__(name)

    gpu = GpuDouble(fails={pynvml.NVML_FI_DEV_ENERGY: pynvml.NVML_ERROR_INVALID_ARGUMENT})
    channels = NvmlSource(Old(gpu), VirtualClock()).channels()
    assert not isinstance(channels, Unavailable)
    assert not {"energy_field"} & {channel.kind for channel in channels}
    assert "hardware_thermal" not in {channel.detail for channel in channels}


_OURS, _THEIRS, _HIDDEN = 10, 20, 30


def _shared(gpu: GpuDouble) -> tuple[NvmlSource, tuple[Channel, ...]]:
    """A source that knows process 10 for ours and 20 for another's, and cannot see 30."""
    whose = {_OURS: True, _THEIRS: False}
    source = NvmlSource(NvmlDouble(gpu), VirtualClock(), whose.get)
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    return source, tuple(channels)


def test_processes_are_told_apart_by_whose_they_are() -> None:
    """Compute and graphics; one that is in both lists is one. What others hold is in use and not ours, the driver's own apart."""
    gpu = GpuDouble(
        processes=((_OURS, 2 * 2**30), (_THEIRS, 2**30)),
        graphics=((_THEIRS, 2**20),),
        memory_used_bytes=4 * 2**30,
        reserved_bytes=2**30,
    )
    source, channels = _shared(gpu)
    assert _reading(source, channels, "processes", "own").value == 1.0
    assert _reading(source, channels, "processes", "foreign").value == 1.0
    assert _reading(source, channels, "foreign_memory").value == 2**30


@pytest.mark.parametrize("pid", [_HIDDEN])
def test_a_process_that_cannot_be_seen_is_nobodys(pid: int) -> None:
    """In a container the driver lists pids of the host: neither count nor memory is made up."""
    source, channels = _shared(GpuDouble(processes=((pid, 2**30), (_OURS, 2**30))))
    found = [_reading(source, channels, "processes", whose) for whose in ("own", "foreign")]
    found.append(_reading(source, channels, "foreign_memory"))
    assert {reading.status for reading in found} == {Status.FAILED}


def test_memory_of_others_is_not_known_where_the_driver_does_not_say_what_ours_is() -> None:
    """Counts are known all the same."""
    source, channels = _shared(GpuDouble(processes=((_OURS, None),)))
    assert _reading(source, channels, "processes", "own").value == 1.0
    assert _reading(source, channels, "foreign_memory").status is Status.FAILED


def test_a_list_that_a_board_does_not_have_leaves_the_others() -> None:
    """Data-centre boards list no graphics; a board that lists nothing at all has no such channel."""
    gpu = GpuDouble(processes=((_THEIRS, 1),), fails={"nvmlDeviceGetGraphicsRunningProcesses": _NOT_SUPPORTED})
    source, channels = _shared(gpu)
    assert _reading(source, channels, "processes", "foreign").value == 1.0
    lists = ("ComputeRunning", "GraphicsRunning", "MPSComputeRunning")
    _, without = _shared(GpuDouble(fails={f"nvmlDeviceGet{name}Processes": _NOT_SUPPORTED for name in lists}))
    assert not {"processes", "foreign_memory"} & set(_kinds(without))


@pytest.mark.parametrize("capability", [(7, 0), (7, 5), (8, 0)])
def test_power_usage_is_instantaneous_on_ga100_and_older(capability: tuple[int, int]) -> None:
    """There it stands in where the field for instant power is missing, and is left out where it would repeat it."""
    source, both = _open(GpuDouble(capability=capability))
    assert _reading(source, both, "power_instant").value == 310.0
    assert _kinds(both).count("power_instant") == 1
    assert "power_mean" not in _kinds(both)
    source, old = _open(GpuDouble(capability=capability, fails={pynvml.NVML_FI_DEV_POWER_INSTANT: _NOT_SUPPORTED}))
    assert _reading(source, old, "power_instant").value == 300.0


def test_what_a_board_does_not_support_is_left_out() -> None:
    """A board without an energy counter still gives its power."""
    _, channels = _open(GpuDouble(fails={"nvmlDeviceGetTotalEnergyConsumption": _NOT_SUPPORTED}))
    assert "counter" not in _kinds(channels)
    assert "power_instant" in _kinds(channels)


@pytest.mark.parametrize(
    ("zero", "kind"),
    [
        ({"energy_mj": 0}, "counter"),
        ({"instant_mw": 0}, "power_instant"),
        ({"power_mw": 0}, "power_mean"),
        ({"temperature_c": 0}, "temperature"),
        ({"sm_clock_mhz": 0}, "sm_clock"),
    ],
)
def test_a_zero_that_cannot_be_true_is_a_failed_reading(zero: dict[str, int], kind: ChannelKind) -> None:
    """Energy, power, temperature and clocks of a board that works are never 0."""
    source, channels = _open(GpuDouble(**zero))  # type: ignore[arg-type]
    reading = _reading(source, channels, kind)
    assert reading.status is Status.FAILED
    assert math.isnan(reading.value)


def test_a_zero_that_can_be_true_is_a_value() -> None:
    """An idle board has no utilisation, no throttled time and perhaps no memory in use."""
    source, channels = _open(GpuDouble(utilisation_percent=0, memory_used_bytes=0, violation_ns=0))
    found = [
        _reading(source, channels, "utilisation"),
        _reading(source, channels, "memory"),
        _reading(source, channels, "throttle_time", "power"),
    ]
    assert [(reading.value, reading.status) for reading in found] == [(0.0, Status.OK)] * 3


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, Status.DEVICE_LOST),
        (pynvml.NVML_ERROR_RESET_REQUIRED, Status.DEVICE_LOST),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, Status.NOT_SUPPORTED),
        (pynvml.NVML_ERROR_UNKNOWN, Status.FAILED),
        (pynvml.NVML_ERROR_TIMEOUT, Status.FAILED),
    ],
)
def test_an_error_during_the_trial_is_a_status_and_no_exception(code: int, status: Status) -> None:
    """A call that fails gives NaN with the kind of failure, for its own channel only."""
    gpu = GpuDouble()
    source, channels = _open(gpu)
    gpu.fails["nvmlDeviceGetTotalEnergyConsumption"] = code
    reading = _reading(source, channels, "counter")
    assert reading.status is status
    assert math.isnan(reading.value)
    assert _reading(source, channels, "power_instant").status is Status.OK


def test_the_return_code_of_a_single_field_is_checked() -> None:
    """The call as a whole succeeds while the field says that it failed: no value is taken from it."""
    gpu = GpuDouble()
    source, channels = _open(gpu)
    gpu.fails[pynvml.NVML_FI_DEV_POWER_INSTANT] = pynvml.NVML_ERROR_UNKNOWN
    assert _reading(source, channels, "power_instant").status is Status.FAILED


def test_a_sample_whose_timestamp_stands_still_is_stale() -> None:
    """Repeated values are kept while the driver's own timestamp moves, and refused two seconds after it stopped."""
    clock, gpu = VirtualClock(), GpuDouble()
    source, channels = _open(gpu, clock=clock)
    clock.sleep(1.9)
    assert _reading(source, channels, "power_instant").status is Status.OK
    clock.sleep(0.2)
    assert _reading(source, channels, "power_instant").status is Status.FAILED
    gpu.field_time_us += 100_000
    assert _reading(source, channels, "power_instant").status is Status.OK


def test_a_driver_that_gives_no_timestamp_is_not_called_stale() -> None:
    """A timestamp of 0 says nothing about the sample's age."""
    clock = VirtualClock()
    source, channels = _open(GpuDouble(field_time_us=0), clock=clock)
    clock.sleep(10)
    assert _reading(source, channels, "power_instant").status is Status.OK


def test_the_counter_of_a_grace_hopper_covers_the_module() -> None:
    """Its joules hold the CPU and the memory, so that nothing adds those again; GPU power is there beside it."""
    _, channels = _open(GpuDouble(name="NVIDIA GH200 480GB"))
    (counter,) = (channel for channel in channels if channel.kind == "counter")
    assert (counter.domain, counter.covers) == ("module", ("gpu", "package", "dram"))
    assert {channel.domain for channel in channels if channel.kind == "power_instant"} == {"gpu", "module"}


def test_all_boards_are_read_whatever_is_visible_to_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards that are hidden from the engine are bystanders, and bystanders are read."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    _, channels = _open(GpuDouble(uuid="GPU-a"), GpuDouble(uuid="GPU-b"))
    assert {channel.device for channel in channels} == {"GPU-a", "GPU-b"}


def test_a_board_in_mig_mode_is_not_read_and_others_are() -> None:
    """The energy of a partitioned board cannot be told apart by instance."""
    _, channels = _open(GpuDouble(uuid="GPU-a", mig=True), GpuDouble(uuid="GPU-b"))
    assert {channel.device for channel in channels} == {"GPU-b"}
    assert "MIG" in _unavailable(GpuDouble(mig=True)).reason


def test_a_board_that_gives_neither_energy_nor_power_is_unavailable_with_the_reason() -> None:
    """Many virtual GPUs have no meter at all."""
    fails: dict[str | int, int] = {
        "nvmlDeviceGetTotalEnergyConsumption": _NOT_SUPPORTED,
        "nvmlDeviceGetPowerUsage": _NOT_SUPPORTED,
        pynvml.NVML_FI_DEV_POWER_INSTANT: _NOT_SUPPORTED,
        pynvml.NVML_FI_DEV_POWER_AVERAGE: _NOT_SUPPORTED,
    }
    assert "neither its energy nor its power" in _unavailable(GpuDouble(fails=fails)).reason


def test_a_board_that_cannot_be_opened_does_not_hide_the_others() -> None:
    """A lost board is skipped."""
    lost = GpuDouble(uuid="GPU-a", fails={"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_GPU_IS_LOST})
    _, channels = _open(lost, GpuDouble(uuid="GPU-b"))
    assert {channel.device for channel in channels} == {"GPU-b"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "libnvidia-ml.so.1 was not found"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "mismatch"),
    ],
)
def test_no_working_driver_is_a_reason_with_a_remedy(code: int, words: str) -> None:
    """A missing, an unloaded and a mismatched driver are told apart."""
    found = _unavailable(init_error=code)
    assert words in found.reason
    assert found.remedy


def test_a_driver_without_boards_says_so() -> None:
    """No GPU is no source."""
    assert "lists no GPU" in _unavailable().reason


def test_the_library_is_closed_as_often_as_it_was_opened() -> None:
    """Closing twice shuts the library down once, closing an unopened source not at all."""
    double = NvmlDouble(GpuDouble())
    source = NvmlSource(double, VirtualClock())
    source.close()
    source.channels()
    assert double.opened == 1
    source.close()
    source.close()
    assert double.opened == 0


def test_the_real_binding_answers_on_this_machine() -> None:
    """With a driver there are channels; without one there is a reason that a person can act on."""
    source = open_source(Surroundings(MonotonicClock(), "x", 1))
    found = source.channels()
    source.close()
    if isinstance(found, Unavailable):
        assert "NVIDIA" in found.reason or "GPU" in found.reason
    else:
        assert all(channel.device.startswith("GPU-") for channel in found)
