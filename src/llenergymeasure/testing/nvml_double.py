"""An object with the functions of ``pynvml`` that the NVML source calls, their signatures, and the binding's own constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml


@dataclass
class GpuDouble:
    """One board as its driver would describe it. ``fails`` maps a function's name, or a field id, to the error it returns."""

    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "NVIDIA H100 80GB HBM3"
    capability: tuple[int, int] = (9, 0)
    mig: bool = False
    energy_mj: int = 5_000_000
    power_mw: int = 300_000
    instant_mw: int = 310_000
    module_mw: int = 600_000
    field_time_us: int = 1_700_000_000_000_000
    temperature_c: int = 45
    sm_clock_mhz: int = 1980
    utilisation_percent: int = 0
    memory_utilisation_percent: int = 0
    memory_total_bytes: int = 80 * 2**30
    power_limit_mw: int = 700_000
    persistence: bool = True
    ecc: bool = True
    memory_used_bytes: int = 600 * 2**20
    violation_ns: int = 0
    clock_reasons: int = 0
    memory_temperature_c: int = 52
    average_mw: int = 305_000
    memory_mw: int = 40_000
    pcie_bytes: int = 10**9
    reserved_bytes: int = 500 * 2**20
    virtualization: int = pynvml.NVML_GPU_VIRTUALIZATION_MODE_NONE
    smoothing_profile: int | None = None
    processes: tuple[tuple[int, int | None], ...] = ()
    graphics: tuple[tuple[int, int | None], ...] = ()
    limits_mw: tuple[int, int] = (200_000, 700_000)
    sm_clocks_mhz: tuple[int, ...] = (1980, 1410, 1005)
    memory_clocks_mhz: tuple[int, ...] = (2619, 1593)
    locked_sm_mhz: int | None = None
    locked_memory_mhz: int | None = None
    fails: dict[str | int, int] = field(default_factory=dict)


class NvmlDouble:
    """Some boards, or none; ``init_error`` is what ``nvmlInit`` returns where there is no working driver."""

    NVMLError: Any = pynvml.NVMLError

    def __init__(self, *gpus: GpuDouble, init_error: int = 0) -> None:
        self.gpus = gpus
        self.init_error = init_error
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_") or name == "nvmlMemory_v2":
            return getattr(pynvml, name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        self._answer(self.init_error)
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> GpuDouble:
        return self._checked(self.gpus[index], "nvmlDeviceGetHandleByIndex")

    def nvmlDeviceGetUUID(self, handle: GpuDouble) -> str:
        return self._checked(handle, "nvmlDeviceGetUUID").uuid

    def nvmlDeviceGetName(self, handle: GpuDouble) -> str:
        return self._checked(handle, "nvmlDeviceGetName").name

    def nvmlDeviceGetCudaComputeCapability(self, handle: GpuDouble) -> tuple[int, int]:
        return self._checked(handle, "nvmlDeviceGetCudaComputeCapability").capability

    def nvmlDeviceGetMigMode(self, device: GpuDouble) -> list[int]:
        return [int(self._checked(device, "nvmlDeviceGetMigMode").mig)] * 2

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.86.15"

    def nvmlDeviceGetVbiosVersion(self, handle: GpuDouble) -> bytes:
        self._checked(handle, "nvmlDeviceGetVbiosVersion")
        return b"96.00.89.00.01"

    def nvmlDeviceGetPersistenceMode(self, handle: GpuDouble) -> int:
        return int(self._checked(handle, "nvmlDeviceGetPersistenceMode").persistence)

    def nvmlDeviceGetEccMode(self, handle: GpuDouble) -> list[int]:
        return [int(self._checked(handle, "nvmlDeviceGetEccMode").ecc)] * 2

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetEnforcedPowerLimit").power_limit_mw

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetPowerManagementDefaultLimit")
        return 700_000

    def nvmlDeviceGetMaxClockInfo(self, handle: GpuDouble, type: int) -> int:
        self._checked(handle, "nvmlDeviceGetMaxClockInfo")
        return {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 2619}[type]

    def nvmlDeviceGetApplicationsClock(self, handle: GpuDouble, type: int) -> int:
        self._checked(handle, "nvmlDeviceGetApplicationsClock")
        return {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 2619}[type]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetTotalEnergyConsumption").energy_mj

    def nvmlDeviceGetPowerUsage(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetPowerUsage").power_mw

    def nvmlDeviceGetFieldValues(self, handle: GpuDouble, fieldIds: Sequence[Any]) -> list[Any]:
        self._checked(handle, "nvmlDeviceGetFieldValues")
        return [self._field(handle, *(which if isinstance(which, tuple) else (which,))) for which in fieldIds]

    def nvmlDeviceGetTemperature(self, handle: GpuDouble, sensor: int) -> int:
        return self._checked(handle, "nvmlDeviceGetTemperature").temperature_c

    def nvmlDeviceGetClockInfo(self, handle: GpuDouble, type: int) -> int:
        gpu = self._checked(handle, "nvmlDeviceGetClockInfo")
        if type == pynvml.NVML_CLOCK_MEM:
            return gpu.locked_memory_mhz or 2619
        return gpu.locked_sm_mhz or gpu.sm_clock_mhz

    def nvmlDeviceGetUtilizationRates(self, handle: GpuDouble) -> Any:
        gpu = self._checked(handle, "nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=gpu.utilisation_percent, memory=gpu.memory_utilisation_percent)

    def nvmlDeviceGetMemoryInfo(self, handle: GpuDouble, version: int | None = None) -> Any:
        gpu = self._checked(handle, "nvmlDeviceGetMemoryInfo")
        own = gpu.reserved_bytes if version else 0
        return SimpleNamespace(used=gpu.memory_used_bytes - own, reserved=own, total=gpu.memory_total_bytes)

    def nvmlDeviceGetViolationStatus(self, device: GpuDouble, perfPolicyType: int) -> Any:
        violation_ns = self._checked(device, "nvmlDeviceGetViolationStatus").violation_ns
        return SimpleNamespace(referenceTime=0, violationTime=violation_ns)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetCurrentClocksEventReasons").clock_reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle: GpuDouble) -> list[Any]:
        return _processes(self._checked(handle, "nvmlDeviceGetComputeRunningProcesses").processes)

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: GpuDouble) -> list[Any]:
        return _processes(self._checked(handle, "nvmlDeviceGetGraphicsRunningProcesses").graphics)

    def nvmlDeviceGetMPSComputeRunningProcesses(self, handle: GpuDouble) -> list[Any]:
        self._checked(handle, "nvmlDeviceGetMPSComputeRunningProcesses")
        return []

    def nvmlDeviceGetPerformanceState(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetPerformanceState")
        return 0

    def nvmlDeviceGetFanSpeed(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetFanSpeed")
        return 30

    def nvmlDeviceGetComputeMode(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetComputeMode")
        return int(pynvml.NVML_COMPUTEMODE_DEFAULT)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetCurrPcieLinkGeneration")
        return 5

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: GpuDouble) -> int:
        self._checked(handle, "nvmlDeviceGetCurrPcieLinkWidth")
        return 16

    def nvmlDeviceGetVirtualizationMode(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetVirtualizationMode").virtualization

    def nvmlDeviceGetPowerManagementLimit(self, handle: GpuDouble) -> int:
        return self._checked(handle, "nvmlDeviceGetPowerManagementLimit").power_limit_mw

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: GpuDouble) -> list[int]:
        return list(self._checked(handle, "nvmlDeviceGetPowerManagementLimitConstraints").limits_mw)

    def nvmlDeviceGetSupportedMemoryClocks(self, handle: GpuDouble) -> list[int]:
        return list(self._checked(handle, "nvmlDeviceGetSupportedMemoryClocks").memory_clocks_mhz)

    def nvmlDeviceGetSupportedGraphicsClocks(self, handle: GpuDouble, memoryClockMHz: int) -> list[int]:
        return list(self._checked(handle, "nvmlDeviceGetSupportedGraphicsClocks").sm_clocks_mhz)

    def nvmlDeviceSetPowerManagementLimit(self, handle: GpuDouble, limit: int) -> None:
        self._checked(handle, "nvmlDeviceSetPowerManagementLimit").power_limit_mw = limit

    def nvmlDeviceSetGpuLockedClocks(self, handle: GpuDouble, minGpuClockMHz: int, maxGpuClockMHz: int) -> None:
        self._checked(handle, "nvmlDeviceSetGpuLockedClocks").locked_sm_mhz = maxGpuClockMHz

    def nvmlDeviceResetGpuLockedClocks(self, handle: GpuDouble) -> None:
        self._checked(handle, "nvmlDeviceResetGpuLockedClocks").locked_sm_mhz = None

    def nvmlDeviceSetMemoryLockedClocks(self, handle: GpuDouble, minMemClockMHz: int, maxMemClockMHz: int) -> None:
        self._checked(handle, "nvmlDeviceSetMemoryLockedClocks").locked_memory_mhz = maxMemClockMHz

    def nvmlDeviceResetMemoryLockedClocks(self, handle: GpuDouble) -> None:
        self._checked(handle, "nvmlDeviceResetMemoryLockedClocks").locked_memory_mhz = None

    def _field(self, gpu: GpuDouble, field_id: int, scope: int = 0) -> Any:
        found = pynvml.c_nvmlFieldValue_t()
        found.fieldId, found.scopeId, found.timestamp = field_id, scope, gpu.field_time_us
        value = _field_value(gpu, field_id, scope)
        found.nvmlReturn = gpu.fails.get(field_id, pynvml.NVML_SUCCESS if value is not None else _UNKNOWN_FIELD)
        found.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
        found.value.ullVal = value or 0
        return found

    def _checked(self, gpu: GpuDouble, function: str) -> GpuDouble:
        self._answer(gpu.fails.get(function, pynvml.NVML_SUCCESS))
        return gpu

    def _answer(self, code: int) -> None:
        if code != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(code)


_UNKNOWN_FIELD = pynvml.NVML_ERROR_NOT_SUPPORTED


def _field_value(gpu: GpuDouble, field_id: int, scope: int) -> int | None:
    if field_id == pynvml.NVML_FI_DEV_POWER_INSTANT:
        by_scope = {
            pynvml.NVML_POWER_SCOPE_GPU: gpu.instant_mw,
            pynvml.NVML_POWER_SCOPE_MODULE: gpu.module_mw,
            pynvml.NVML_POWER_SCOPE_MEMORY: gpu.memory_mw,
        }
        return by_scope[scope]
    fields = {
        pynvml.NVML_FI_DEV_POWER_AVERAGE: gpu.average_mw,
        pynvml.NVML_FI_DEV_ENERGY: gpu.energy_mj,
        pynvml.NVML_FI_DEV_MEMORY_TEMP: gpu.memory_temperature_c,
        pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES: gpu.pcie_bytes,
        pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES: gpu.pcie_bytes,
        pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL: gpu.violation_ns,
        pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN: gpu.violation_ns,
        pynvml.NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE: gpu.smoothing_profile,
    }
    return fields.get(field_id)


def _processes(listed: tuple[tuple[int, int | None], ...]) -> list[Any]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in listed]
