"""Read channels in a thread of this process while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from llenergymeasure.clock import Clock
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.loop import batches_of, read_until
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Reading, Readings

# Sensors are read for so long before and after, so that edges lie between readings and late values are seen.
_AROUND_S = 1.5


class Kept:
    """A sink that keeps readings in memory."""

    def __init__(self) -> None:
        self.readings = Readings()
        self._lock = threading.Lock()

    def append(self, readings: Iterable[Reading]) -> None:
        with self._lock:
            for reading in readings:
                self.readings.append(reading)


def read_beside(reads: Sequence[Reads], clock: Clock, act: Callable[[], None]) -> tuple[Readings, Interval]:
    """All readings from before ``act`` to after it, and when it began and ended."""
    kept, ended = Kept(), threading.Event()
    reader = threading.Thread(
        target=read_until, args=(ended.is_set, batches_of(reads), kept, clock), name="meter", daemon=True
    )
    reader.start()
    try:
        clock.sleep(_AROUND_S)
        begin_ns = clock.now_ns()
        act()
        window = Interval(begin_ns, clock.now_ns())
        clock.sleep(_AROUND_S)
    finally:
        ended.set()
        reader.join()
    return kept.readings, window
