"""How the power of a warm-up moves: what the worker, which reads no sensor, is told by its driver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.energy.series import series_of
from llenergymeasure.clock import Clock, Ticker
from llenergymeasure.meter.binary import ReadingsTail
from llenergymeasure.model.event import Event, Metered, PowerTrend, SessionFacts, read_events
from llenergymeasure.model.folder import METER_EVENTS, METER_READINGS
from llenergymeasure.model.mark import Interval, Mark
from llenergymeasure.model.reading import Channel, Readings, Readout
from llenergymeasure.units import NS_PER_S, s_to_ns

_EVERY_S = 1.0
_BLOCK_S = 5.0
# A sensor may not have published yet what the newest readings stand for.
_TAIL_S = 0.5


class PowerWatch:
    """Follows the readings of one trial during its warm-up, from ``begin_ns`` on; ``devices`` are those that work."""

    def __init__(self, folder: Path, metered: Metered, devices: tuple[str, ...], begin_ns: int, clock: Clock) -> None:
        self._tail = ReadingsTail(folder / METER_READINGS)
        self._readings = Readings()
        self._metered = metered
        self._devices = devices
        self._begin_ns = begin_ns
        self._ticker = Ticker(clock, _EVERY_S)

    def look(self) -> PowerTrend | None:
        """The trend once a second, as soon as there are two blocks; ``None`` in between."""
        if not self._ticker.due():
            return None
        self._readings.extend(self._tail.new())
        if not len(self._readings):
            return None
        end_ns = self._readings.t_ns[-1] - s_to_ns(_TAIL_S)
        if end_ns - s_to_ns(2 * _BLOCK_S) < self._begin_ns:
            return None
        readout = Readout(self._metered.channels, self._metered.verdicts, self._readings, self._devices)
        return trend_of(readout, end_ns)


def watch(folder: Path, events: Sequence[Event], clock: Clock) -> PowerWatch | None:
    """A watch over the warm-up of a trial whose worker wrote these events; ``None`` before it has begun."""
    session = next((event for event in events if isinstance(event, SessionFacts)), None)
    begin = next((event for event in events if isinstance(event, Mark) and event.name == "warmup.begin"), None)
    metered = next((event for event in read_events(folder / METER_EVENTS) if isinstance(event, Metered)), None)
    if session is None or begin is None or metered is None:
        return None
    return PowerWatch(folder, metered, session.device_ids, begin.t_ns, clock)


def trend_of(readout: Readout, end_ns: int) -> PowerTrend:
    """The trend over the 10 s before ``end_ns``."""
    middle_ns, begin_ns = end_ns - s_to_ns(_BLOCK_S), end_ns - s_to_ns(2 * _BLOCK_S)
    before_j, after_j = (
        energy_of_window(readout, block).total_j.value
        for block in (Interval(begin_ns, middle_ns), Interval(middle_ns, end_ns))
    )
    change = None if before_j is None or after_j is None else abs(after_j - before_j) / after_j
    return PowerTrend(change, _heating_c_per_s(readout, Interval(begin_ns, end_ns)))


def _heating_c_per_s(readout: Readout, over: Interval) -> float | None:
    """The fastest of the devices that work: the least-squares slope of its temperature."""
    warm = [one for one in readout.channels if one.kind == "temperature" and not one.detail]
    channels = [one for one in warm if one.device in readout.device_ids]
    slopes = [slope for channel in channels if (slope := _slope(readout, channel, over)) is not None]
    return max(slopes, key=abs, default=None)


def _slope(readout: Readout, channel: Channel, over: Interval) -> float | None:
    series = series_of(readout.readings, channel.id)
    inside = (series.t_ns >= over.begin_ns) & (series.t_ns <= over.end_ns)
    if inside.sum() < 3:
        return None
    slope = float(np.polyfit((series.t_ns[inside] - over.begin_ns) / NS_PER_S, series.value[inside], 1)[0])
    return slope if math.isfinite(slope) else None
