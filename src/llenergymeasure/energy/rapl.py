"""Energy counters of processor packages and their memory (RAPL), through Linux's powercap tree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.rapl_count import CountedZones
from llenergymeasure.energy.rapl_tree import BadCount, ReadFile, Zone, zones_of
from llenergymeasure.model.reading import Channel, Domain, Reading, Status

POWERCAP = Path("/sys/class/powercap")

# Registers are updated about each millisecond and hold 32 bits: what a read finds is at most so old.
_UPDATE_PERIOD_S = 0.001
_REGISTER_BITS = 32
# A few reads in the time of the shortest window; each wakes a core of the package, which takes energy itself. Wraps need far
# fewer: the smallest range is full after 33 s at 2 kW.
_RATE_HZ = 50.0
# How far the counters were found to be off: Intel's measure (Haswell and later), AMD's are the result of a model.
_INTEL_ERROR, _OTHER_ERROR = 0.05, 0.10
# A package counts on even when it idles: one that shows the same value for 50 updates is not counting.
_LOOKS = 25
_BETWEEN_LOOKS_S = 0.002

_NOT_HERE = "virtual machines have none; on hardware under Linux: sudo modprobe intel_rapl_msr"
_NOT_IN_CONTAINERS = "container engines hide it: run on the host, or start with --security-opt systempaths=unconfined"
_ROOT_ONLY = (
    "until the next boot: sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj; "
    "for good, a udev rule: docs/how-to/rapl-without-root.md"
)


class RaplSource:
    """One channel for all packages and one for all their DRAM, of the device ``cpu``: work moves between packages.

    ``root`` is the powercap tree. Memory is read only where every package has a counter for it: a sum that lacks one would
    quietly be smaller. Wraps are counted here as long as reads come often enough (``CountedZones``). The counters are updated
    more often than they are read, so that each read is a tick of its own.
    """

    def __init__(self, around: Surroundings, root: Path = POWERCAP, read: ReadFile = Path.read_bytes) -> None:
        self._clock: Clock = around.clock
        self._cpu_model = around.cpu_model
        self._root = root
        self._read_file = read
        self._counted: dict[Domain, CountedZones] = {}

    def channels(self) -> Sequence[Channel] | Unavailable:
        try:
            zones = zones_of(self._root, self._read_file)
            still = self._standing_still(zones)
        except PermissionError as error:
            return Unavailable(f"{error.filename or self._root} is readable by root only", _ROOT_ONLY)
        except FileNotFoundError as error:
            return Unavailable(f"{self._root} names what is not there: {error.filename}", _NOT_IN_CONTAINERS)
        except (OSError, BadCount) as error:
            return Unavailable(f"the processor's energy counters cannot be read: {error}")
        packages = [zone for zone in zones if zone.domain == "package"]
        memory = [zone for zone in zones if zone.domain == "dram"]
        if not packages:
            return Unavailable(f"no processor package with an energy counter in {self._root}", _NOT_HERE)
        dead = [zone.package for zone in packages if zone in still]
        if dead:
            return Unavailable(f"the energy counter of {', '.join(dead)} stands still")
        self._counted = {"package": CountedZones(packages)}
        if len(memory) == len(packages) and not still:
            self._counted["dram"] = CountedZones(memory)
        return tuple(self._channel(number, domain) for number, domain in enumerate(self._counted))

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""

    def _standing_still(self, zones: Sequence[Zone]) -> list[Zone]:
        """Those whose count is the same at every look."""
        first_uj = {zone: zone.read_uj(self._read_file) for zone in zones}
        still = list(zones)
        for _ in range(_LOOKS):
            if not still:
                break
            self._clock.sleep(_BETWEEN_LOOKS_S)
            still = [zone for zone in still if zone.read_uj(self._read_file) == first_uj[zone]]
        return still

    def _channel(self, number: int, domain: Domain) -> Channel:
        zones = self._counted[domain].zones
        return Channel(
            id=number,
            source="rapl",
            domain=domain,
            device="cpu",
            device_name=self._cpu_model,
            kind="counter",
            unit="J",
            rate_hz=_RATE_HZ,
            resolution=max(zone.range_uj for zone in zones) / 2**_REGISTER_BITS / 1e6,
            update_period_s=_UPDATE_PERIOD_S,
            duty=1.0,
            stated_error=_INTEL_ERROR if "intel" in self._cpu_model.lower() else _OTHER_ERROR,
            detail=" + ".join(zone.package for zone in zones),
        )

    def _read(self, channel: Channel) -> Reading:
        began_ns = self._clock.now_ns()
        try:
            value, status = self._counted[channel.domain].read_j(self._read_file, self._clock), Status.OK
        except FileNotFoundError:
            value, status = math.nan, Status.DEVICE_LOST
        except (OSError, BadCount):
            value, status = math.nan, Status.FAILED
        t_ns = self._clock.now_ns()
        return Reading(t_ns, t_ns - began_ns, channel.id, value, status)


def open_source(around: Surroundings) -> EnergySource:
    """The packages of this machine."""
    return RaplSource(around)
