"""How values are read from NVML, with the checks that it leaves to its callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llenergymeasure.model.reading import Channel, ChannelKind, Domain
from llenergymeasure.units import NS_PER_S

FAST_HZ, MEAN_HZ, SLOW_HZ = 50.0, 10.0, 1.0
# The vendor states ±5 % for power; nothing is stated for the energy counter, which integrates the same sensor.
_STATED_ERROR = 0.05
# A sample that its own timestamp shows to be older than this is stale. Boards publish at least ten times a second.
_STALE_NS = 2 * NS_PER_S
# Which member of the value union a field's type names (nvmlValueType_t).
_UNION_MEMBER = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")

Read = Callable[[int], float]


class BadValue(Exception):
    """A read succeeded and gave what cannot be true: a zero where there is none, a stale sample, a partitioned GPU."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A channel (its id not yet given) and how to read it: ``read(now_ns)`` returns a value in its unit, or raises."""

    channel: Channel
    read: Read


@dataclass(frozen=True, slots=True)
class Board:
    """One device, and how its channels are made."""

    nvml: Any
    handle: Any
    uuid: str
    name: str

    @property
    def superchip(self) -> bool:
        """Grace Hopper: its counter covers the module, CPU and memory too (github.com/ml-energy/zeus/issues/172)."""
        return "GH200" in self.name

    def field(self, name: str, scope: int = 0, *, sampled: bool = False) -> Read:
        """A field by the name of its constant; ``sampled``: the driver stamps it with the time of a sample."""
        return _Field(self.nvml, self.handle, getattr(self.nvml, name, None), scope, sampled)

    def quantity(
        self,
        kind: ChannelKind,
        unit: str,
        read: Read,
        *,
        rate_hz: float = SLOW_HZ,
        domain: Domain = "gpu",
        detail: str = "",
        resolution: float | None = None,
        averaging_s: float | None = None,
    ) -> Quantity:
        """A channel of this board."""
        channel = Channel(
            id=0,
            source="nvml",
            domain=domain,
            device=self.uuid,
            device_name=self.name,
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


class _Field:
    """The answer as a whole may succeed while the field has an error of its own, or stands still."""

    def __init__(self, nvml: Any, handle: Any, field: int | None, scope: int, sampled: bool) -> None:
        self._nvml = nvml
        self._handle = handle
        self._field = field
        self._scope = scope
        self._sampled = sampled
        self._timestamp_us = 0
        self._moved_ns = 0

    def __call__(self, now_ns: int) -> float:
        nvml = self._nvml
        if self._field is None:  # a field that this binding does not know
            raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
        sample = nvml.nvmlDeviceGetFieldValues(self._handle, [(self._field, self._scope)])[0]
        if sample.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(sample.nvmlReturn)
        if sample.timestamp != self._timestamp_us:
            self._timestamp_us, self._moved_ns = sample.timestamp, now_ns
        elif self._sampled and sample.timestamp > 0 and now_ns - self._moved_ns > _STALE_NS:
            raise BadValue("the sample is stale")
        if not 0 <= sample.valueType < len(_UNION_MEMBER):
            raise BadValue(f"a value of type {sample.valueType}")
        return float(getattr(sample.value, _UNION_MEMBER[sample.valueType]))


def never_zero(read: Read, divisor: float = 1.0) -> Read:
    """A quantity that is never 0 on a board that works: NVML reports some failures as a success with the value 0."""

    def checked(now_ns: int) -> float:
        value = read(now_ns)
        if value <= 0:
            raise BadValue(f"the value {value}")
        return value / divisor

    return checked


def divided(read: Read, divisor: float) -> Read:
    """A quantity that may be 0, in another unit."""
    return lambda now_ns: read(now_ns) / divisor


def text(value: str | bytes) -> str:
    """What the binding gives as text, whatever its version."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
