"""A channel that ticks at given instants, read as our meter would read it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llenergymeasure.meter.ticks import TickTracker
from llenergymeasure.model.reading import Reading, Status
from llenergymeasure.units import NS_PER_S

# What a read and a sleep took on ordinary machines.
_CALL_NS = 30_000
_LATE_NS = 110_000

PLAIN_NS = NS_PER_S // 50


@dataclass(frozen=True, slots=True)
class Ticking:
    """Instants in ascending order from which the values 1, 2, … stand; ``value`` makes others of them.

    ``call_ns`` and ``status`` say of each instant of a read how long it takes and how it goes, ``late_ns`` by how much a
    sleep is too long.
    """

    ticks_ns: Sequence[int]
    value: Callable[[int], float] = float
    call_ns: Callable[[int], int] = lambda t_ns: _CALL_NS
    late_ns: Callable[[int], int] = lambda t_ns: _LATE_NS
    status: Callable[[int], Status] = lambda t_ns: Status.OK

    def read_until(self, end_ns: int, tracker: TickTracker, begin_ns: int = 0) -> list[Reading]:
        """The readings that ``tracker`` asks for between two instants."""
        readings, t_ns = [], begin_ns
        while t_ns < end_ns:
            if tracker.due_ns > t_ns:
                t_ns = tracker.due_ns + self.late_ns(t_ns)
            call_ns, status = self.call_ns(t_ns), self.status(t_ns)
            value = self.value(bisect_right(self.ticks_ns, t_ns + call_ns // 2))
            t_ns += call_ns
            reading = Reading(t_ns, call_ns, 0, value if status is Status.OK else float("nan"), status)
            tracker.saw(reading)
            readings.append(reading)
        return readings


def brackets_ms(readings: Sequence[Reading]) -> list[float]:
    """For each tick that the good readings show, how far apart the reads around it are."""
    good = [reading for reading in readings if reading.status is Status.OK]
    return [
        (later.t_ns - earlier.t_ns + earlier.call_ns) / 1e6
        for earlier, later in itertools.pairwise(good)
        if later.value != earlier.value
    ]
