"""Our own source and our own meter, reading virtual boards under the virtual clock."""

from __future__ import annotations

from collections.abc import Iterable

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import Unavailable
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.own_processes import IsOurs, cannot_tell
from llenergymeasure.energy.select import Reads
from llenergymeasure.errors import EnergyError
from llenergymeasure.meter.loop import batches_of, read_until
from llenergymeasure.model.reading import Reading, Readings, Readout
from llenergymeasure.testing.virtual_gpu.device import VirtualNvml
from llenergymeasure.units import s_to_ns


class _Kept:
    """A sink that keeps the readings."""

    def __init__(self) -> None:
        self.readings = Readings()

    def append(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self.readings.append(reading)


def metered(nvml: VirtualNvml, clock: Clock, length_s: float, is_ours: IsOurs = cannot_tell) -> Readout:
    """What the meter reads in ``length_s`` from now, of every board; all of them are said to work.

    ``clock`` is the one that ``nvml`` was made with, turned by this thread only. Raises ``EnergyError`` when no board can be
    read.
    """
    source = NvmlSource(nvml, clock, is_ours)
    channels = source.channels()
    if isinstance(channels, Unavailable):
        raise EnergyError(str(channels))
    until_ns = clock.now_ns() + s_to_ns(length_s)
    kept = _Kept()
    batches = batches_of([Reads(source, tuple(channels))])
    read_until(lambda: clock.now_ns() >= until_ns, batches, kept, clock, threads=False)
    source.close()
    devices = dict.fromkeys(channel.device for channel in channels)
    return Readout(tuple(channels), (), kept.readings, tuple(devices))
