"""Was anybody else on the devices that worked? What is not known is never called exclusive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Series, series_of
from llenergymeasure.model.mark import Interval, Phase, interval_of
from llenergymeasure.model.reading import Channel, ChannelKind
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.contention import Contention, DeviceContention
from llenergymeasure.units import s_to_ns

# Memory that belongs to nobody is less than this: what a driver needs for a context that it does not list.
_FOREIGN_BYTES = 300 * 2**20
# Utilisation is a mean over the last second at most: what it says of an idle begins so much later.
_UTILISATION_LAG_S = 1.0
_IDLE_PERCENT = 1.0
# Shares of the CPUs that a quiet system uses for itself.
_OTHERS_CPU = 0.05
_RESTS: tuple[Phase, ...] = ("idle_loaded",)
_MIB = 2**20


def contention(trace: Trace, window: Interval) -> Contention:
    """The verdict on each device that worked, and on all of them together."""
    devices = tuple(_Device(trace, window, name).judged() for name in trace.head.session.device_ids)
    verdicts = {found.verdict for found in devices}
    for verdict in ("shared", "unknown", "exclusive"):
        if verdict in verdicts:
            return Contention(verdict=verdict, devices=devices)
    return Contention()


@dataclass(frozen=True, slots=True)
class _Device:
    """One device with its readings."""

    trace: Trace
    window: Interval
    name: str

    def judged(self) -> DeviceContention:
        shared = tuple(self._cpu() if self.name == "cpu" else self._gpu())
        if shared:
            return DeviceContention(device=self.name, verdict="shared", evidence=shared)
        unsure = self._why_unsure_cpu() if self.name == "cpu" else self._why_unsure_gpu()
        if unsure:
            return DeviceContention(device=self.name, verdict="unknown", evidence=(unsure,))
        seen = "no other load on its CPUs" if self.name == "cpu" else "no other process, no memory of others"
        return DeviceContention(device=self.name, verdict="exclusive", evidence=(seen,))

    def _gpu(self) -> Iterator[str]:
        """What shows others on a GPU."""
        foreign = _within(self._series("processes", "foreign"), self._all)
        if foreign.max(initial=0.0) > 0:
            often = f"in {int((foreign > 0).sum())} of {len(foreign)} readings"
            yield f"processes of others, up to {foreign.max():.0f} at a time, {often}"
        held = self._others_bytes()
        if held > _FOREIGN_BYTES:
            yield f"{held / _MIB:,.0f} MiB of memory are not ours"
        idle = interval_of(self.trace.head.marks, "idle")
        if idle is not None:
            settled = Interval(idle.begin_ns + s_to_ns(_UTILISATION_LAG_S), idle.end_ns)
            busy = _within(self._series("utilisation"), settled).max(initial=0.0)
            if busy > _IDLE_PERCENT:
                yield f"{busy:.0f} % utilisation while nothing of ours was there"

    def _others_bytes(self) -> float:
        """The most memory of others, read while our own was listed, or before there was any."""
        held, own = self._series("foreign_memory"), self._series("processes", "own")
        listed_ns = own.t_ns[own.value > 0].min(initial=self._all.end_ns)
        known = (held.t_ns < self._began_ns) | ((held.t_ns >= listed_ns) & (held.t_ns < self._all.end_ns))
        return float(held.value[known].max(initial=0.0))

    def _why_unsure_gpu(self) -> str:
        """Why it is not sure that a GPU was ours alone, or an empty string."""
        own, foreign = (_within(self._series("processes", whose), self.window) for whose in ("own", "foreign"))
        if not self._has("processes"):
            return "no channel reads which processes use it"
        if not len(own) or not len(foreign):
            return "its processes could not be told apart in the window"
        if not own.max() > 0:
            return "our own process is not listed: the driver hides processes from a container"
        if not len(_within(self._series("foreign_memory"), self.window)):
            return "whose memory is in use could not be told in the window"
        return ""

    def _cpu(self) -> Iterator[str]:
        """What shows others on the CPUs, at rest and at work."""
        for phase, over in self._phases():
            others, stolen = self._others_share(over), self._share(over, "stolen")
            if others is not None and others > _OTHERS_CPU:
                yield f"other processes took {others * 100:.0f} % of the CPUs in {phase}"
            if stolen is not None and stolen > _OTHERS_CPU:
                yield f"the hypervisor took {stolen * 100:.0f} % of the CPUs in {phase}"

    def _why_unsure_cpu(self) -> str:
        if not self._has("cpu_time"):
            return "no meter read the load of the machine"
        if self._others_share(self.window) is None:
            return "the readings of the machine's load do not cover the window"
        return ""

    def _others_share(self, over: Interval) -> float | None:
        """What neither the work nor the meter took of the CPUs' time and somebody did."""
        busy, worker, meter = (self._share(over, part) for part in ("busy", "worker", "meter"))
        if busy is None or worker is None or meter is None:
            return None
        # A system that does not count everybody's time says nothing of others.
        return None if busy < worker / 2 else busy - worker - meter

    def _share(self, over: Interval, part: str) -> float | None:
        spent_s, whole = self._spent_s(over, part), [self._spent_s(over, one) for one in ("busy", "idle", "stolen")]
        all_s = sum(filter(None, whole))
        return None if spent_s is None or all_s <= 0 else spent_s / all_s

    def _spent_s(self, over: Interval, part: str) -> float | None:
        series = self._series("cpu_time", part)
        if not len(series.t_ns) or series.t_ns[0] > over.begin_ns or series.t_ns[-1] < over.end_ns:
            return None
        begin_s, end_s = np.interp([over.begin_ns, over.end_ns], series.t_ns, series.value)
        return float(end_s - begin_s)

    def _phases(self) -> Iterator[tuple[str, Interval]]:
        marks = self.trace.head.marks
        yield from ((f"the {phase} rest", over) for phase in _RESTS if (over := interval_of(marks, phase)) is not None)
        yield "the window", self.window

    @property
    def _began_ns(self) -> int:
        """When something of ours can be on the device for the first time."""
        load = interval_of(self.trace.head.marks, "load")
        return self.window.begin_ns if load is None else load.begin_ns

    @property
    def _all(self) -> Interval:
        """From the first idle to the end of the window."""
        first_ns = min((mark.t_ns for mark in self.trace.head.marks), default=self.window.begin_ns)
        return Interval(first_ns, self.window.end_ns)

    def _has(self, kind: ChannelKind) -> bool:
        return any(self._is(channel, kind, channel.detail) for channel in self.trace.head.channels)

    def _is(self, channel: Channel, kind: ChannelKind, detail: str) -> bool:
        return (channel.device, channel.kind, channel.detail) == (self.name, kind, detail)

    def _series(self, kind: ChannelKind, detail: str = "") -> Series:
        for channel in self.trace.head.channels:
            if self._is(channel, kind, detail):
                return series_of(self.trace.readings, channel.id)
        return series_of(self.trace.readings, -1)


def _within(series: Series, over: Interval) -> Floats:
    return series.value[(series.t_ns >= over.begin_ns) & (series.t_ns <= over.end_ns)]
