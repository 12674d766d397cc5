"""The GPUs of this machine as the NVIDIA driver describes them. What the driver does not answer is ``None``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from llenergymeasure.model.machine import Gpu

T = TypeVar("T")


def gpus() -> tuple[Gpu, ...]:
    """All GPUs that the driver shows; none without a driver or without the vendor's binding."""
    try:
        import pynvml
    except ImportError:
        return ()
    return gpus_of(pynvml)


def gpus_of(nvml: Any) -> tuple[Gpu, ...]:
    """The GPUs that ``nvml`` (the module ``pynvml``, or an object with its functions) shows."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        driver = _answer(nvml, nvml.nvmlSystemGetDriverVersion)
        handles = (_answer(nvml, nvml.nvmlDeviceGetHandleByIndex, index) for index in range(nvml.nvmlDeviceGetCount()))
        return tuple(_gpu(nvml, handle, driver) for handle in handles if handle is not None)
    except nvml.NVMLError:
        return ()
    finally:
        _answer(nvml, nvml.nvmlShutdown)


def _gpu(nvml: Any, handle: Any, driver: Any) -> Gpu:
    def ask(function: Callable[..., T], *arguments: Any) -> T | None:
        return _answer(nvml, function, handle, *arguments)

    memory, capability = ask(nvml.nvmlDeviceGetMemoryInfo), ask(nvml.nvmlDeviceGetCudaComputeCapability)
    persistence, ecc, mig = (
        ask(nvml.nvmlDeviceGetPersistenceMode),
        ask(nvml.nvmlDeviceGetEccMode),
        ask(nvml.nvmlDeviceGetMigMode),
    )
    return Gpu(
        uuid=_text(ask(nvml.nvmlDeviceGetUUID)) or "unknown",
        name=_text(ask(nvml.nvmlDeviceGetName)) or "unknown",
        memory_bytes=None if memory is None else int(memory.total),
        driver_version=_text(driver),
        vbios_version=_text(ask(nvml.nvmlDeviceGetVbiosVersion)),
        compute_capability=None if capability is None else ".".join(map(str, capability)),
        power_limit_w=_watts(ask(nvml.nvmlDeviceGetEnforcedPowerLimit)),
        power_limit_default_w=_watts(ask(nvml.nvmlDeviceGetPowerManagementDefaultLimit)),
        sm_clock_max_mhz=ask(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_SM),
        memory_clock_max_mhz=ask(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_MEM),
        application_sm_clock_mhz=ask(nvml.nvmlDeviceGetApplicationsClock, nvml.NVML_CLOCK_SM),
        application_memory_clock_mhz=ask(nvml.nvmlDeviceGetApplicationsClock, nvml.NVML_CLOCK_MEM),
        persistence_mode=None if persistence is None else bool(persistence),
        ecc=None if ecc is None else bool(ecc[0]),
        mig=None if mig is None else bool(mig[0]),
        virtualization=_word(_VIRTUALIZATION, ask(nvml.nvmlDeviceGetVirtualizationMode)),
        compute_mode=_word(_COMPUTE_MODES, ask(nvml.nvmlDeviceGetComputeMode)),
        performance_state=ask(nvml.nvmlDeviceGetPerformanceState),
        fan_percent=ask(nvml.nvmlDeviceGetFanSpeed),
        temperature_c=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU) or None,
        memory_temperature_c=_field(nvml, handle, "NVML_FI_DEV_MEMORY_TEMP") or None,
        pcie_generation=ask(nvml.nvmlDeviceGetCurrPcieLinkGeneration),
        pcie_width=ask(nvml.nvmlDeviceGetCurrPcieLinkWidth),
        power_smoothing_profile=_field(nvml, handle, "NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE"),
    )


# What the driver answers by number.
_VIRTUALIZATION = {0: "none", 1: "passthrough", 2: "vgpu", 3: "vgpu host", 4: "vsga host"}
_COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}


def _word(words: Mapping[int, str], number: int | None) -> str | None:
    return None if number is None else words.get(number, str(number))


def _field(nvml: Any, handle: Any, name: str) -> int | None:
    """A field by the name of its constant; ``None`` where the binding, the driver or the board does not have it."""
    field = getattr(nvml, name, None)
    answer = None if field is None else _answer(nvml, nvml.nvmlDeviceGetFieldValues, handle, [field])
    if answer is None or answer[0].nvmlReturn != nvml.NVML_SUCCESS:
        return None
    wide = answer[0].valueType == nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
    return int(answer[0].value.ullVal if wide else answer[0].value.uiVal)


def _answer(nvml: Any, function: Callable[..., T], *arguments: Any) -> T | None:
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _watts(milliwatts: int | None) -> float | None:
    """A limit in W; the 0 that some boards answer is no limit."""
    return milliwatts / 1000 if milliwatts else None
