"""The pid of the process that is measured."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.model.event import Child, EventTail


class WorkerPid:
    """The worker's pid, as soon as the driver has told it in ``driver.jsonl``."""

    def __init__(self, driver_events: Path) -> None:
        self._tail = EventTail(driver_events)
        self._pid: int | None = None

    def __call__(self) -> int | None:
        if self._pid is None:
            for event in self._tail.new():
                if isinstance(event, Child) and event.role == "worker":
                    self._pid = event.pid
        return self._pid
