"""How the power of the warm-up moves, as the trial's driver sees it."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.model.event import EventTail, PowerTrend
from llenergymeasure.model.folder import DRIVER_EVENTS


class PowerOfDriver:
    """The newest trend that the driver wrote into a trial's folder; ``None`` before there is one."""

    def __init__(self, folder: Path) -> None:
        self._tail = EventTail(folder / DRIVER_EVENTS)
        self._last: PowerTrend | None = None

    def __call__(self) -> PowerTrend | None:
        for event in self._tail.new():
            if isinstance(event, PowerTrend):
                self._last = event
        return self._last
