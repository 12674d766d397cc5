"""What one NVIDIA device offers and how each quantity is read, with the checks that NVML leaves to its callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llenergymeasure.model.reading import Channel, ChannelKind, Domain
from llenergymeasure.units import NS_PER_S

_FAST_HZ, _MEAN_HZ, _SLOW_HZ = 50.0, 10.0, 1.0
# The vendor states ±5 % for power; nothing is stated for the energy counter, which integrates the same sensor.
_STATED_ERROR = 0.05
# A sample that its own timestamp shows to be older than this is stale. Boards publish at least ten times a second.
_STALE_NS = 2 * NS_PER_S
# Which member of the value union a field's type names (nvmlValueType_t).
_UNION_MEMBER = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


class BadValue(Exception):
    """A read succeeded and gave what cannot be true: a zero where there is none, a stale sample, a partitioned GPU."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A channel (its id not yet given) and how to read it: ``read(now_ns)`` returns a value in its unit, or raises."""

    channel: Channel
    read: Callable[[int], float]


def quantities_of(nvml: Any, handle: Any) -> Iterator[Quantity]:
    """All that this source knows to read of one device, whether or not the device supports it.

    What can be read in two ways comes twice, the better way first. Raises ``BadValue`` for a device in MIG mode: its meters are
    the whole board's.
    """
    if _in_mig_mode(nvml, handle):
        raise BadValue("MIG mode is on: energy and power are the whole board's and cannot be told apart by instance")
    uuid, name = _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle))
    # Grace Hopper's counter covers the module: CPU and memory too (github.com/ml-energy/zeus/issues/172).
    superchip = "GH200" in name

    def quantity(
        kind: ChannelKind,
        unit: str,
        rate_hz: float,
        read: Callable[[int], float],
        *,
        domain: Domain = "gpu",
        detail: str = "",
        resolution: float | None = None,
        averaging_s: float | None = None,
    ) -> Quantity:
        channel = Channel(
            id=0,
            source="nvml",
            domain=domain,
            device=uuid,
            device_name=name,
            kind=kind,
            unit=unit,
            rate_hz=rate_hz,
            resolution=resolution,
            averaging_s=averaging_s,
            stated_error=_STATED_ERROR if unit in ("J", "W") else None,
            covers=("gpu", "package", "dram") if domain == "module" else (),
            detail=detail,
        )
        return Quantity(channel, read)

    yield quantity(
        "counter",
        "J",
        _FAST_HZ,
        lambda now_ns: _true(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000,
        domain="module" if superchip else "gpu",
        resolution=0.001,
    )
    instant = _FieldWatts(nvml, handle, nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_POWER_SCOPE_GPU)
    yield quantity("power_instant", "W", _FAST_HZ, instant, resolution=0.001)
    if superchip:
        module = _FieldWatts(nvml, handle, nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_POWER_SCOPE_MODULE)
        yield quantity("power_instant", "W", _FAST_HZ, module, domain="module", resolution=0.001)

    def power_usage(now_ns: int) -> float:
        return _true(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000

    if _usage_is_a_mean(nvml, handle):
        yield quantity("power_mean", "W", _MEAN_HZ, power_usage, resolution=0.001, averaging_s=1.0)
    else:
        yield quantity("power_instant", "W", _FAST_HZ, power_usage, resolution=0.001)
    yield quantity(
        "temperature",
        "°C",
        _SLOW_HZ,
        lambda now_ns: _true(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )
    yield quantity(
        "sm_clock",
        "MHz",
        _SLOW_HZ,
        lambda now_ns: _true(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
    )
    yield quantity("utilisation", "%", _SLOW_HZ, lambda now_ns: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
    yield quantity(
        "utilisation",
        "%",
        _SLOW_HZ,
        lambda now_ns: float(nvml.nvmlDeviceGetUtilizationRates(handle).memory),
        detail="memory",
    )
    yield quantity("memory", "B", _SLOW_HZ, lambda now_ns: float(nvml.nvmlDeviceGetMemoryInfo(handle).used))
    for cause, policy in (
        ("power", nvml.NVML_PERF_POLICY_POWER),
        ("thermal", nvml.NVML_PERF_POLICY_THERMAL),
        ("board_limit", nvml.NVML_PERF_POLICY_BOARD_LIMIT),
        ("reliability", nvml.NVML_PERF_POLICY_RELIABILITY),
    ):
        yield quantity("throttle_time", "s", _SLOW_HZ, _violation(nvml, handle, policy), detail=cause)


class _FieldWatts:
    """Power by field id: the answer as a whole may succeed while the field has an error of its own, or stands still."""

    def __init__(self, nvml: Any, handle: Any, field: int, scope: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self._which = (field, scope)
        self._timestamp_us = 0
        self._moved_ns = 0

    def __call__(self, now_ns: int) -> float:
        sample = self._nvml.nvmlDeviceGetFieldValues(self._handle, [self._which])[0]
        if sample.nvmlReturn != self._nvml.NVML_SUCCESS:
            raise self._nvml.NVMLError(sample.nvmlReturn)
        if sample.timestamp != self._timestamp_us:
            self._timestamp_us, self._moved_ns = sample.timestamp, now_ns
        elif sample.timestamp > 0 and now_ns - self._moved_ns > _STALE_NS:
            raise BadValue("the sample is stale")
        if not 0 <= sample.valueType < len(_UNION_MEMBER):
            raise BadValue(f"a value of type {sample.valueType}")
        return _true(getattr(sample.value, _UNION_MEMBER[sample.valueType])) / 1000


def _violation(nvml: Any, handle: Any, policy: int) -> Callable[[int], float]:
    def read(now_ns: int) -> float:
        return float(nvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime / NS_PER_S)

    return read


def _true(value: float) -> float:
    """A quantity that is never 0 on a board that works: NVML reports some failures as a success with the value 0."""
    if value <= 0:
        raise BadValue(f"the value {value}")
    return float(value)


def _usage_is_a_mean(nvml: Any, handle: Any) -> bool:
    """PowerUsage is a 1 s mean on Ampere (except GA100, capability 8.0) and newer, instantaneous before."""
    try:
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    except nvml.NVMLError:
        return True
    return capability > (8, 0)


def _in_mig_mode(nvml: Any, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:
        return False


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
