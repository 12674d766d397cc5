"""A running trial seen from outside: what its files say so far, for the screen alone."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.clock import Clock, Ticker
from llenergymeasure.meter.binary import ReadingsTail
from llenergymeasure.model.event import Event, EventTail, Metered, SessionFacts, WarmupDone, WindowDone
from llenergymeasure.model.folder import METER_EVENTS, METER_READINGS, STAMPS
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Readings, Readout
from llenergymeasure.model.stamps import count_stamps
from llenergymeasure.report.observer import Live
from llenergymeasure.units import NS_PER_S, ns_to_s

# Figures change no more often: a person reads them.
_EVERY_S = 1.0

# The newest readings are left out: a sensor may not have published yet what they stand for.
_TAIL_NS = NS_PER_S // 2

# With less of the window than this nothing is said about its energy.
_LEAST_S = 1.0


class LiveTrial:
    """Follows one trial's folder. ``concurrency``: the requests of a full batch."""

    def __init__(self, folder: Path, concurrency: int, clock: Clock) -> None:
        self._folder = folder
        self._concurrency = concurrency
        self._clock = clock
        self._began_ns = clock.now_ns()
        self._ticker = Ticker(clock, _EVERY_S)
        self._meter = EventTail(folder / METER_EVENTS)
        self._tail = ReadingsTail(folder / METER_READINGS)
        self._metered: Metered | None = None
        self._readings = Readings()
        self._session: SessionFacts | None = None
        self._window_ns: int | None = None
        self._stamps_before = 0
        self._watts: tuple[float, bool] | None = None

    def event(self, event: Event) -> None:
        """Take note of what the worker says. The window's own mark is held back until its end: it begins after the warm-up."""
        if isinstance(event, SessionFacts):
            self._session = event
        elif isinstance(event, WarmupDone):
            self._window_ns = self._clock.now_ns()
            self._stamps_before = count_stamps(self._folder / STAMPS)
        elif isinstance(event, WindowDone):
            self._window_ns = None

    def look(self) -> Live:
        """What can be said now."""
        seconds = ns_to_s(self._clock.now_ns() - self._began_ns)
        if self._window_ns is None or self._session is None:
            return Live(seconds)
        static = self._session.batching == "static"
        tokens = count_stamps(self._folder / STAMPS) - self._stamps_before
        tokens *= self._concurrency if static else 1
        if self._ticker.due():
            self._watts = self._power(self._session, self._window_ns)
        if self._watts is None or not tokens:
            return Live(seconds, tokens, static)
        power_w, estimated = self._watts
        spent_s = ns_to_s(self._clock.now_ns() - self._window_ns)
        return Live(seconds, tokens, static, power_w, power_w * spent_s / tokens, estimated)

    def _power(self, session: SessionFacts, begin_ns: int) -> tuple[float, bool] | None:
        """Mean power of the window so far, and whether it is estimated."""
        self._metered = self._metered or next((e for e in self._meter.new() if isinstance(e, Metered)), None)
        self._readings.extend(self._tail.new())
        if self._metered is None or not len(self._readings):
            return None
        window = Interval(begin_ns, self._readings.t_ns[-1] - _TAIL_NS)
        if window.duration_s < _LEAST_S:
            return None
        readout = Readout(self._metered.channels, self._metered.verdicts, self._readings, session.device_ids)
        total_j = energy_of_window(readout, window).total_j
        return None if total_j.value is None else (total_j.value / window.duration_s, total_j.estimated)
