"""A trial loads nothing before its meter reads: what loading costs is part of it."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.clock import Clock
from llenergymeasure.model.event import EventTail, Metered
from llenergymeasure.model.folder import METER_EVENTS

_POLL_S = 0.01


def wait_until_metered(folder: Path, clock: Clock) -> None:
    """Return when the meter of a trial's folder has read every channel. The driver ends this process when that never comes."""
    tail = EventTail(folder / METER_EVENTS)
    while not any(isinstance(event, Metered) for event in tail.new()):
        clock.sleep(_POLL_S)
