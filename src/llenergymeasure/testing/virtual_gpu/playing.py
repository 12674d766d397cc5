"""What our meter reads of one channel that was played, fast: its loop runs where it matters."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from llenergymeasure.energy.contract import Unavailable
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.loop import batches_of, read_until
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Reading, Readings, Status
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.sensor import Published
from llenergymeasure.testing.virtual_gpu.workload import Ints
from llenergymeasure.units import NS_PER_S, s_to_ns

_CALL_NS = 30_000
# The loop runs from the begin until so long into the window, and again from so long before its end: it then knows the ticks
# again. In between reads lie as close around each tick as those of the loop.
_AFTER_NS, _BEFORE_NS, _CLOSE_NS = s_to_ns(1.5), s_to_ns(2.0), 400_000


class Player:
    """An energy source of one channel: its values as they were published, in thousandths of their unit."""

    def __init__(self, channel: Channel, shown: Published, clock: VirtualClock) -> None:
        self._channel = channel
        self._t_ns = shown.t_ns.tolist()
        self._milli = shown.milli.tolist()
        self._clock = clock

    def channels(self) -> Sequence[Channel] | Unavailable:
        return (self._channel,)

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        self._clock.sleep(_CALL_NS / NS_PER_S)
        now_ns = self._clock.now_ns()
        milli = self._milli[bisect_right(self._t_ns, now_ns) - 1]
        return [Reading(now_ns, _CALL_NS, channel.id, milli / 1000) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""


def played(channel: Channel, shown: Published, begin_ns: int, end_ns: int, window: Interval) -> Readings:
    """The readings between two instants; the middle of a long window is filled in without the loop."""
    until_ns, from_ns = window.begin_ns + _AFTER_NS, window.end_ns - _BEFORE_NS
    if batches_of([Reads(Player(channel, shown, VirtualClock()), (channel,))])[0].step_ns is None:
        return _at(channel, shown, np.arange(begin_ns, end_ns, round(NS_PER_S / channel.rate_hz)) + _CALL_NS)
    if from_ns <= until_ns:
        return looped(channel, shown, begin_ns, end_ns)
    whole = looped(channel, shown, begin_ns, until_ns)
    ticks_ns = shown.t_ns[(shown.t_ns > whole.t_ns[-1] + _CLOSE_NS) & (shown.t_ns < from_ns - _CLOSE_NS)]
    whole.extend(_at(channel, shown, np.stack((ticks_ns - _CLOSE_NS, ticks_ns + _CLOSE_NS)).T.ravel()))
    whole.extend(looped(channel, shown, from_ns, end_ns))
    return whole


def looped(channel: Channel, shown: Published, begin_ns: int, end_ns: int) -> Readings:
    """What the meter's own loop reads from one instant to another."""
    clock = VirtualClock(begin_ns)
    kept = _Kept()
    batches = batches_of([Reads(Player(channel, shown, clock), (channel,))])
    read_until(lambda: clock.now_ns() >= end_ns, batches, kept, clock, threads=False)
    return kept.readings


class _Kept:
    """A sink that keeps the readings."""

    def __init__(self) -> None:
        self.readings = Readings()

    def append(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self.readings.append(reading)


def _at(channel: Channel, shown: Published, t_ns: Ints) -> Readings:
    """Reads that return at these instants."""
    same = np.ones(len(t_ns), dtype=np.int64)
    return Readings(
        array("q", t_ns.tobytes()),
        array("q", (same * _CALL_NS).tobytes()),
        array("q", (same * channel.id).tobytes()),
        array("d", (shown.at(t_ns) / 1000).tobytes()),
        array("q", (same * int(Status.OK)).tobytes()),
    )
