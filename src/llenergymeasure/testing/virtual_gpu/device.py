"""Virtual boards behind the functions of ``pynvml``: what ``NvmlSource`` is handed in place of the driver."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import SimpleNamespace
from typing import Any

import numpy as np
import pynvml

from llenergymeasure.clock import Clock
from llenergymeasure.testing.virtual_gpu import faults as wrong
from llenergymeasure.testing.virtual_gpu.faults import Fault, after_all
from llenergymeasure.testing.virtual_gpu.presets import Preset
from llenergymeasure.testing.virtual_gpu.sensor import Published, Sensor, Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import s_to_ns

# Seconds of the epoch at monotonic 0: field values are stamped with the time of day.
_EPOCH_S = 1_700_000_000
_RESERVED_BYTES = 600 * 2**20  # the driver's own, which the older answer counts as used
_FOREIGN_PID, _FOREIGN_BYTES = 4242, 2 * 2**30
_MAX_SM_MHZ, _MAX_MEMORY_MHZ = 1980, 2619
_HELD_SM_MHZ = 1410  # while something holds the clocks down


@dataclass(frozen=True, slots=True)
class Process:
    """One that has a context on a board."""

    pid: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class VirtualGpu:
    """One board: its kind, what it is made to do, its meters, and what goes wrong. A call takes ``call_s``."""

    preset: Preset
    work: Workload
    sensors: Sensors
    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    faults: tuple[Fault, ...] = ()
    processes: tuple[Process, ...] = ()
    mig: bool = False
    virtualization: int = int(pynvml.NVML_GPU_VIRTUALIZATION_MODE_NONE)
    persistence: bool = True
    call_s: float = 30e-6


@dataclass(frozen=True, slots=True)
class _Played:
    """A board with all that its meters will show; the handle that calls are given."""

    gpu: VirtualGpu
    truth: Workload
    counter: Published | None
    instant: Published | None
    usage: Published | None


class VirtualNvml:
    """Boards on one clock, played from now for ``horizon_s``; a read after that raises ``ValueError``.

    Functions, signatures, constants and errors are the binding's. What is not here, a board does not support in this model:
    asking for it raises ``AttributeError``.
    """

    NVMLError: Any = pynvml.NVMLError

    def __init__(self, clock: Clock, *gpus: VirtualGpu, horizon_s: float = 120.0) -> None:
        self._clock = clock
        begin_ns = clock.now_ns()
        self._boards = [_play(gpu, begin_ns, begin_ns + s_to_ns(horizon_s)) for gpu in gpus]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_") or name == "nvmlMemory_v2":
            return getattr(pynvml, name)
        raise AttributeError(name)

    def truth_j(self, index: int, begin_ns: int, end_ns: int) -> float:
        """What a board really used between two instants, other people's work and faults included."""
        return self._boards[index].truth.truth_j(begin_ns, end_ns)

    def nvmlInit(self) -> None:
        """Nothing to open."""

    def nvmlShutdown(self) -> None:
        """Nothing to close."""

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetCount(self) -> int:
        return len(self._boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> _Played:
        if not 0 <= index < len(self._boards):
            raise self.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        self._call("nvmlDeviceGetHandleByIndex", self._boards[index])
        return self._boards[index]

    def nvmlDeviceGetUUID(self, handle: _Played) -> str:
        self._call("nvmlDeviceGetUUID", handle)
        return handle.gpu.uuid

    def nvmlDeviceGetName(self, handle: _Played) -> str:
        self._call("nvmlDeviceGetName", handle)
        return handle.gpu.preset.name

    def nvmlDeviceGetCudaComputeCapability(self, handle: _Played) -> tuple[int, int]:
        self._call("nvmlDeviceGetCudaComputeCapability", handle)
        return handle.gpu.preset.capability

    def nvmlDeviceGetMigMode(self, device: _Played) -> list[int]:
        self._call("nvmlDeviceGetMigMode", device)
        return [int(device.gpu.mig)] * 2

    def nvmlDeviceGetVbiosVersion(self, handle: _Played) -> str:
        self._call("nvmlDeviceGetVbiosVersion", handle)
        return "96.00.89.00.01"

    def nvmlDeviceGetPersistenceMode(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetPersistenceMode", handle)
        return int(handle.gpu.persistence)

    def nvmlDeviceGetEccMode(self, handle: _Played) -> list[int]:
        self._call("nvmlDeviceGetEccMode", handle)
        return [1, 1]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: _Played) -> int:
        now_ns = self._call("nvmlDeviceGetEnforcedPowerLimit", handle)
        caps_w = [
            fault.cap_w
            for fault in handle.gpu.faults
            if isinstance(fault, wrong.Capped)
            and fault.policy == pynvml.NVML_PERF_POLICY_POWER
            and fault.begin_ns <= now_ns < fault.end_ns
        ]
        return round(1000 * min([handle.gpu.preset.tdp_w, *caps_w]))

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetPowerManagementDefaultLimit", handle)
        return round(1000 * handle.gpu.preset.tdp_w)

    def nvmlDeviceGetMaxClockInfo(self, handle: _Played, type: int) -> int:
        self._call("nvmlDeviceGetMaxClockInfo", handle)
        return {pynvml.NVML_CLOCK_SM: _MAX_SM_MHZ, pynvml.NVML_CLOCK_MEM: _MAX_MEMORY_MHZ}[type]

    def nvmlDeviceGetApplicationsClock(self, handle: _Played, type: int) -> int:
        return self.nvmlDeviceGetMaxClockInfo(handle, type)

    def nvmlDeviceGetClockInfo(self, handle: _Played, type: int) -> int:
        now_ns = self._call("nvmlDeviceGetClockInfo", handle)
        if type == pynvml.NVML_CLOCK_MEM:
            return _MAX_MEMORY_MHZ
        return _HELD_SM_MHZ if any(fault.reasons(now_ns) for fault in handle.gpu.faults) else _MAX_SM_MHZ

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: _Played) -> int:
        now_ns = self._call("nvmlDeviceGetCurrentClocksEventReasons", handle)
        return reduce(or_, (fault.reasons(now_ns) for fault in handle.gpu.faults), 0)

    def nvmlDeviceGetPerformanceState(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetPerformanceState", handle)
        return 0

    def nvmlDeviceGetFanSpeed(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetFanSpeed", handle)
        raise self.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetComputeMode(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetComputeMode", handle)
        return int(pynvml.NVML_COMPUTEMODE_DEFAULT)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetCurrPcieLinkGeneration", handle)
        return 5

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetCurrPcieLinkWidth", handle)
        return 16

    def nvmlDeviceGetVirtualizationMode(self, handle: _Played) -> int:
        self._call("nvmlDeviceGetVirtualizationMode", handle)
        return handle.gpu.virtualization

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: _Played) -> int:
        return self._value(wrong.COUNTER, handle, handle.counter)

    def nvmlDeviceGetPowerUsage(self, handle: _Played) -> int:
        return self._value(wrong.USAGE, handle, handle.usage)

    def nvmlDeviceGetFieldValues(self, handle: _Played, fieldIds: Sequence[Any]) -> list[Any]:
        now_ns = self._call("nvmlDeviceGetFieldValues", handle)
        asked = [which if isinstance(which, tuple) else (which, pynvml.NVML_POWER_SCOPE_GPU) for which in fieldIds]
        return [self._field(handle, now_ns, field, scope) for field, scope in asked]

    def nvmlDeviceGetTemperature(self, handle: _Played, sensor: int) -> int:
        now_ns = self._call("nvmlDeviceGetTemperature", handle)
        return round(float(handle.truth.temperature_c(np.array([now_ns]))[0]))

    def nvmlDeviceGetUtilizationRates(self, handle: _Played) -> Any:
        now_ns = self._call("nvmlDeviceGetUtilizationRates", handle)
        power_w = float(handle.truth.power_w(np.array([now_ns]))[0])
        percent = 100 if power_w > 1.2 * handle.gpu.preset.loaded_w else 0
        return SimpleNamespace(gpu=percent, memory=percent)

    def nvmlDeviceGetMemoryInfo(self, handle: _Played, version: int | None = None) -> Any:
        now_ns = self._call("nvmlDeviceGetMemoryInfo", handle)
        used = sum(process.memory_bytes for process in _processes(handle, now_ns))
        reserved = _RESERVED_BYTES if version else 0
        total = handle.gpu.preset.memory_bytes
        return SimpleNamespace(used=used + _RESERVED_BYTES - reserved, reserved=reserved, total=total)

    def nvmlDeviceGetViolationStatus(self, device: _Played, perfPolicyType: int) -> Any:
        now_ns = self._call("nvmlDeviceGetViolationStatus", device)
        held_ns = sum(fault.throttled_ns(perfPolicyType, now_ns) for fault in device.gpu.faults)
        return SimpleNamespace(referenceTime=now_ns // 1000, violationTime=held_ns)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: _Played) -> list[Any]:
        now_ns = self._call("nvmlDeviceGetComputeRunningProcesses", handle)
        return [SimpleNamespace(pid=one.pid, usedGpuMemory=one.memory_bytes) for one in _processes(handle, now_ns)]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: _Played) -> list[Any]:
        self._call("nvmlDeviceGetGraphicsRunningProcesses", handle)
        return []

    def nvmlDeviceGetMPSComputeRunningProcesses(self, handle: _Played) -> list[Any]:
        self._call("nvmlDeviceGetMPSComputeRunningProcesses", handle)
        return []

    def _call(self, function: str, board: _Played) -> int:
        """Let a call take its time and fail where it must; when it is answered."""
        began_ns = self._clock.now_ns()
        self._clock.sleep(board.gpu.call_s + sum(fault.delay_s(function, began_ns) for fault in board.gpu.faults))
        now_ns = self._clock.now_ns()
        code = _error(board, function, now_ns)
        if code != pynvml.NVML_SUCCESS:
            raise self.NVMLError(code)
        return now_ns

    def _value(self, function: str, board: _Played, published: Published | None) -> int:
        now_ns = self._call(function, board)
        if published is None:
            raise self.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return _faulty(board, function, now_ns, int(published.at(np.array([_shown_ns(board, function, now_ns)]))[0]))

    def _field(self, board: _Played, now_ns: int, field: int, scope: int) -> Any:
        found = pynvml.c_nvmlFieldValue_t()
        found.fieldId, found.scopeId = field, scope
        found.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        known = field == pynvml.NVML_FI_DEV_POWER_INSTANT and scope == pynvml.NVML_POWER_SCOPE_GPU
        if board.instant is None or not known:
            found.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
            return found
        found.nvmlReturn = _error(board, wrong.INSTANT, now_ns)
        place = int(board.instant.place(np.array([_shown_ns(board, wrong.INSTANT, now_ns)]))[0])
        found.timestamp = _EPOCH_S * 1_000_000 + int(board.instant.t_ns[place]) // 1000
        found.value.uiVal = _faulty(board, wrong.INSTANT, now_ns, int(board.instant.milli[place]))
        return found


def _play(gpu: VirtualGpu, begin_ns: int, end_ns: int) -> _Played:
    truth = after_all(gpu.faults, gpu.work)

    def power(sensor: Sensor | None) -> Published | None:
        return None if sensor is None else sensor.power(truth, begin_ns, end_ns)

    counter = None if gpu.sensors.counter is None else gpu.sensors.counter.counter(truth, begin_ns, end_ns)
    if counter is not None:
        for fault in gpu.faults:
            counter = dataclasses.replace(counter, milli=fault.counter(counter.t_ns, counter.milli))
    return _Played(gpu, truth, counter, power(gpu.sensors.instant), power(gpu.sensors.usage))


def _error(board: _Played, function: str, now_ns: int) -> int:
    codes = (fault.error(function, now_ns) for fault in board.gpu.faults)
    return next((code for code in codes if code != pynvml.NVML_SUCCESS), int(pynvml.NVML_SUCCESS))


def _shown_ns(board: _Played, function: str, now_ns: int) -> int:
    """The instant whose value is shown now."""
    return min((fault.shown_ns(function, now_ns) for fault in board.gpu.faults), default=now_ns)


def _faulty(board: _Played, function: str, now_ns: int, milli: int) -> int:
    for fault in board.gpu.faults:
        milli = fault.value(function, now_ns, milli)
    return milli


def _processes(board: _Played, now_ns: int) -> tuple[Process, ...]:
    foreign = any(fault.foreign(now_ns) for fault in board.gpu.faults)
    return board.gpu.processes + ((Process(_FOREIGN_PID, _FOREIGN_BYTES),) if foreign else ())
