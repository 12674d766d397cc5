"""The GPUs of this machine as the NVIDIA driver describes them. What the driver does not answer is ``None``."""

from __future__ import annotations

from collections.abc import Callable
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
    )


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
