"""What else the machine does: CPU time of everybody, of the work and of the meter, and whether a battery feeds it.

There is no energy in it. It is read beside the energy sources, whatever those are, and shows whether the machine was shared.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence

import psutil

from llenergymeasure.energy.contract import Surroundings
from llenergymeasure.energy.cpu_time import TreeCpuTime, process_table
from llenergymeasure.energy.select import Reads, Selection
from llenergymeasure.model.reading import Channel, Reading, Status

_RATE_HZ = 1.0


class HostLoad:
    """Cumulative CPU seconds, and the battery of a machine that has one.

    ``busy``, ``idle`` and ``stolen`` are of the CPUs that this process may run on, and add up to all their time; ``worker`` and
    ``meter`` are parts of what is busy.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._tree: TreeCpuTime | None = None
        self._reads: Mapping[tuple[str, str], Callable[[], float | None]] = {
            ("cpu_time", "busy"): _busy_s,
            ("cpu_time", "idle"): _idle_s,
            ("cpu_time", "worker"): self._worker_s,
            ("cpu_time", "meter"): time.process_time,
            ("cpu_time", "stolen"): _stolen_s,
            ("on_battery", ""): _on_battery,
        }

    def channels(self) -> Sequence[Channel]:
        """Those that this system gives."""
        named = Channel(0, "host", "package", "cpu", self._around.cpu_model, "cpu_time", "s", _RATE_HZ)
        found = [dataclasses.replace(named, detail=detail) for kind, detail in self._reads if kind == "cpu_time"]
        if _stolen_s() is None:
            found = [channel for channel in found if channel.detail != "stolen"]
        if _on_battery() is not None:
            found.append(dataclasses.replace(named, kind="on_battery", unit=""))
        return tuple(dataclasses.replace(channel, id=number) for number, channel in enumerate(found))

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""

    def _read(self, channel: Channel) -> Reading:
        began_ns = self._around.clock.now_ns()
        value = self._reads[channel.kind, channel.detail]()
        t_ns = self._around.clock.now_ns()
        if value is None:
            return Reading(t_ns, t_ns - began_ns, channel.id, math.nan, Status.FAILED)
        return Reading(t_ns, t_ns - began_ns, channel.id, value)

    def _worker_s(self) -> float | None:
        """Of the worker's process tree; truly 0 before there is a worker."""
        if self._tree is None:
            root = self._around.worker_pid()
            if root is None:
                return 0.0
            self._tree = TreeCpuTime(root, process_table(), self._around.clock)
        return self._tree.seconds()


def with_host_load(selection: Selection, around: Surroundings) -> Selection:
    """What was selected, and the load of the machine behind it."""
    load = HostLoad(around)
    first = len(selection.channels)
    channels = tuple(dataclasses.replace(channel, id=first + channel.id) for channel in load.channels())
    return dataclasses.replace(selection, reads=(*selection.reads, Reads(load, channels)))


def _visible() -> list[object]:
    """Times of each CPU that this process may run on; of all, where the system does not say which those are."""
    times: list[object] = list(psutil.cpu_times(percpu=True))
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(times))
    return [times[cpu] for cpu in allowed if cpu < len(times)] or times


def _busy_s() -> float | None:
    """Everything but idling, waiting and what was stolen; guests are in the time of the user."""
    return _sum(("user", "nice", "system", "irq", "softirq"))


def _idle_s() -> float | None:
    return _sum(("idle", "iowait"))


def _sum(names: Sequence[str]) -> float:
    return sum(float(getattr(cpu, name, 0.0)) for cpu in _visible() for name in names)


def _stolen_s() -> float | None:
    """Time in which the hypervisor ran something else; ``None`` where the system does not know such a thing."""
    return _sum(("steal",)) if hasattr(_visible()[0], "steal") else None


def _on_battery() -> float | None:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None or battery.power_plugged is None:
        return None
    return 0.0 if battery.power_plugged else 1.0
