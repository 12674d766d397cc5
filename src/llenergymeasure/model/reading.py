"""Channels and readings: what an energy source can read and what was read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from llenergymeasure.model.profile import Calibration, SensorProfile

Domain = Literal["gpu", "module", "package", "dram", "node", "wall"]

# ``counter``: cumulative joules. ``power_*``: watts. ``model``: cumulative CPU seconds of the process tree, from which a
# power model makes an interval of joules. The others are no energy of a window and serve validity and plots; some have details
# (``throttle_time`` by cause, ``processes`` and ``cpu_time`` by whose they are), ``clock_reasons`` is a mask of NVML's bits.
# ``witness``: what another tool says of the whole trial, cumulative joules or grams, kept apart from energy that is ours.
ChannelKind = Literal[
    "counter",
    "power_instant",
    "power_mean",
    "model",
    "temperature",
    "sm_clock",
    "memory_clock",
    "utilisation",
    "memory",
    "throttle_time",
    "clock_reasons",
    "power_limit",
    "part_power",
    "energy_field",
    "pcie",
    "processes",
    "foreign_memory",
    "cpu_time",
    "on_battery",
    "witness",
]

# The kinds from which energy is computed, the best first.
ENERGY_KINDS: tuple[ChannelKind, ...] = ("counter", "power_instant", "power_mean", "model")


class Status(IntEnum):
    """How one read went. Only ``OK`` readings have a value; the others hold NaN and say why."""

    OK = 0
    FAILED = 1
    NOT_SUPPORTED = 2
    DEVICE_LOST = 3


@dataclass(frozen=True, slots=True)
class CpuPowerModel:
    """Bounds of P = P_max·(s + (1 − s)·u^γ) for the CPUs this process may use, u their utilisation by the process tree.

    ``p_max_w``, ``idle_share`` (s) and ``gamma`` (γ) are (low, high); ``basis`` says where P_max comes from.
    """

    logical_cpus: int
    p_max_w: tuple[float, float]
    idle_share: tuple[float, float]
    gamma: tuple[float, float]
    basis: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One readable quantity of one device.

    ``device`` is a stable id (a GPU's UUID, ``cpu``). ``update_period_s`` (time between two ticks), ``averaging_s``, ``lag_s``
    and ``duty`` (share of the time that the sensor looks at, 1 for all of it) describe the sensor and are ``None`` when not
    known. ``resolution`` is in ``unit``; ``stated_error`` is relative (0.05 = ±5 %); ``covers`` names the domains included in
    this one, so that sums never count a joule twice; ``detail`` tells channels of one device, domain and kind apart (the cause
    of throttling). ``profile`` and ``calibration`` are what was found out about it on this board.
    """

    id: int
    source: str
    domain: Domain
    device: str
    device_name: str
    kind: ChannelKind
    unit: str
    rate_hz: float
    resolution: float | None = None
    update_period_s: float | None = None
    averaging_s: float | None = None
    lag_s: float | None = None
    duty: float | None = None
    stated_error: float | None = None
    covers: tuple[Domain, ...] = ()
    cpu_power_model: CpuPowerModel | None = None
    detail: str = ""
    profile: SensorProfile | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One value: ``t_ns`` when the read returned, ``call_ns`` how long it took, ``value`` in the channel's unit."""

    t_ns: int
    call_ns: int
    channel: int
    value: float
    status: Status = Status.OK


@dataclass(frozen=True, slots=True)
class SourceVerdict:
    """Whether an energy source can be used here and why; printed by ``llem config`` and kept in every result."""

    source: str
    usable: bool
    reason: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings in columns, in the order in which they were taken."""

    t_ns: array[int] = field(default_factory=lambda: array("q"))
    call_ns: array[int] = field(default_factory=lambda: array("q"))
    channel: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> Readings:
        columns = cls()
        for reading in readings:
            columns.append(reading)
        return columns

    def append(self, reading: Reading) -> None:
        self.t_ns.append(reading.t_ns)
        self.call_ns.append(reading.call_ns)
        self.channel.append(reading.channel)
        self.value.append(reading.value)
        self.status.append(int(reading.status))

    def extend(self, later: Readings) -> None:
        """Take the readings of another, which come after these."""
        self.t_ns.extend(later.t_ns)
        self.call_ns.extend(later.call_ns)
        self.channel.extend(later.channel)
        self.value.extend(later.value)
        self.status.extend(later.status)

    def __len__(self) -> int:
        return len(self.t_ns)

    def __iter__(self) -> Iterator[Reading]:
        for t_ns, call_ns, channel, value, status in zip(
            self.t_ns, self.call_ns, self.channel, self.value, self.status, strict=True
        ):
            yield Reading(t_ns, call_ns, channel, value, Status(status))


@dataclass(frozen=True, slots=True)
class Readout:
    """What was read, of which channels, and the devices whose energy counts: all that an energy is computed from."""

    channels: tuple[Channel, ...]
    verdicts: tuple[SourceVerdict, ...]
    readings: Readings
    device_ids: tuple[str, ...]
