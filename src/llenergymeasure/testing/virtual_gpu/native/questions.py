"""What the shared library can be asked about a board, and how the Python board is asked the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pynvml

from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.sensor import Sensor

# How live power is added to an answer (``player.h``).
LIVE_NOT, LIVE_ENERGY, LIVE_POWER, LIVE_USE = range(4)

_ARCHITECTURES = {
    (8, 0): pynvml.NVML_DEVICE_ARCH_AMPERE,
    (8, 9): pynvml.NVML_DEVICE_ARCH_ADA,
    (9, 0): pynvml.NVML_DEVICE_ARCH_HOPPER,
}
_CLOCKS = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM)
# Functions whose answer is one number that stays as it is for as long as the board does.
_FIXED = (
    "nvmlDeviceGetPersistenceMode",
    "nvmlDeviceGetPowerManagementDefaultLimit",
    "nvmlDeviceGetPerformanceState",
    "nvmlDeviceGetFanSpeed",
    "nvmlDeviceGetComputeMode",
    "nvmlDeviceGetCurrPcieLinkGeneration",
    "nvmlDeviceGetCurrPcieLinkWidth",
    "nvmlDeviceGetVirtualizationMode",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A number, and the time of day in µs at which it was sampled where the driver says so."""

    value: int
    timestamp_us: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One series of the scenario: a function of the driver with an argument.

    The answer changes with the ticks of ``sensor``, steadily, or (``fixed``) only where a fault begins or ends. ``ask`` is handed
    the binding and a handle; it raises what the binding raises, and ``AttributeError`` for what the Python board does not have.
    """

    function: str
    argument: int
    ask: Callable[[Any, Any], Answer]
    sensor: Sensor | None = None
    live: int = LIVE_NOT
    fixed: bool = False


def questions(gpu: VirtualGpu, index: int) -> Iterator[Question]:
    """Everything that can be asked about the board that the driver lists at ``index``."""
    yield from _identity(gpu, index)
    yield from _meters(gpu)
    yield from _condition()


def _identity(gpu: VirtualGpu, index: int) -> Iterator[Question]:
    yield Question(
        "nvmlDeviceGetHandleByIndex", 0, lambda nvml, _: _there(nvml.nvmlDeviceGetHandleByIndex(index)), fixed=True
    )
    for function in ("nvmlDeviceGetName", "nvmlDeviceGetUUID", "nvmlDeviceGetVbiosVersion"):
        yield _question(function, of=lambda text: len(text), fixed=True)
    for place in (0, 1):
        yield _question("nvmlDeviceGetCudaComputeCapability", place, of=_at(place), fixed=True)
    yield _question("nvmlDeviceGetMigMode", of=_at(0), fixed=True)
    yield _question("nvmlDeviceGetEccMode", of=_at(0), fixed=True)
    for function in _FIXED:
        yield _question(function, fixed=True)
    architecture = Answer(int(_ARCHITECTURES[gpu.preset.capability]))
    yield Question("nvmlDeviceGetArchitecture", 0, lambda nvml, _: architecture, fixed=True)
    for clock in _CLOCKS:
        yield _question("nvmlDeviceGetMaxClockInfo", clock, clock, fixed=True)


def _meters(gpu: VirtualGpu) -> Iterator[Question]:
    sensors = gpu.sensors
    yield _question("nvmlDeviceGetTotalEnergyConsumption", sensor=sensors.counter, live=LIVE_ENERGY)
    yield _question("nvmlDeviceGetPowerUsage", sensor=sensors.usage, live=LIVE_POWER)
    yield _question("nvmlDeviceGetFieldValues", -1, [], of=len)
    for field, sensor in (
        (pynvml.NVML_FI_DEV_POWER_INSTANT, sensors.instant),
        (pynvml.NVML_FI_DEV_POWER_AVERAGE, sensors.usage),
    ):
        scope = pynvml.NVML_POWER_SCOPE_GPU
        yield Question("nvmlDeviceGetFieldValues", 16 * field + scope, _field(field, scope), sensor, LIVE_POWER)


def _condition() -> Iterator[Question]:
    yield _question("nvmlDeviceGetTemperature", 0, pynvml.NVML_TEMPERATURE_GPU)
    yield _question("nvmlDeviceGetEnforcedPowerLimit")
    yield _question("nvmlDeviceGetUtilizationRates", 0, of=lambda rates: rates.gpu, live=LIVE_USE)
    yield _question("nvmlDeviceGetUtilizationRates", 1, of=lambda rates: rates.memory, live=LIVE_USE)
    yield _question("nvmlDeviceGetMemoryInfo", 0, of=lambda memory: memory.used)
    yield _question("nvmlDeviceGetMemoryInfo", 1, of=lambda memory: memory.total)
    yield _question("nvmlDeviceGetMemoryInfo", 2, pynvml.nvmlMemory_v2, of=lambda memory: memory.reserved)
    for clock in _CLOCKS:
        yield _question("nvmlDeviceGetApplicationsClock", clock, clock)
        yield _question("nvmlDeviceGetClockInfo", clock, clock)
    for policy in range(pynvml.NVML_PERF_POLICY_RELIABILITY + 1):
        yield _question("nvmlDeviceGetViolationStatus", policy, policy, of=lambda status: status.violationTime)
    yield _question("nvmlDeviceGetCurrentClocksEventReasons")
    for kind in ("Compute", "Graphics", "MPSCompute"):
        yield _question(f"nvmlDeviceGet{kind}RunningProcesses", of=len)


def _question(
    function: str,
    argument: int = 0,
    *given: Any,
    of: Callable[[Any], int] = int,
    sensor: Sensor | None = None,
    live: int = LIVE_NOT,
    fixed: bool = False,
) -> Question:
    """A function that takes the handle and what is ``given``; ``of`` takes the number out of its answer."""

    def ask(nvml: Any, handle: Any) -> Answer:
        return Answer(int(of(getattr(nvml, function)(handle, *given))))

    return Question(function, argument, ask, sensor, live, fixed)


def _at(place: int) -> Callable[[Any], int]:
    return lambda pair: int(pair[place])


def _there(handle: Any) -> Answer:
    return Answer(0)


def _field(field: int, scope: int) -> Callable[[Any, Any], Answer]:
    def ask(nvml: Any, handle: Any) -> Answer:
        sample = nvml.nvmlDeviceGetFieldValues(handle, [(field, scope)])[0]
        if sample.nvmlReturn != pynvml.NVML_SUCCESS:
            raise nvml.NVMLError(sample.nvmlReturn)
        wide = sample.valueType == pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
        return Answer(int(sample.value.ullVal if wide else sample.value.uiVal), int(sample.timestamp))

    return ask
