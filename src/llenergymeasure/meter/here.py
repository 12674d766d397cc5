"""The energy sources' surroundings on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import select
from llenergymeasure.energy.contract import Surroundings
from llenergymeasure.machine.snapshot import cpu_model, visible_cpus
from llenergymeasure.model.event import Child, EventTail
from llenergymeasure.model.reading import SourceVerdict


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


def surroundings(worker_pid: Callable[[], int | None] = lambda: None) -> Surroundings:
    """This machine."""
    return Surroundings(MonotonicClock(), cpu_model(), visible_cpus(), worker_pid)


def source_verdicts(wish: Sequence[str] = (select.AUTO,)) -> tuple[SourceVerdict, ...]:
    """What each energy source could read on this machine, and which a meter would choose; no meter is started.

    Raises ``EnergyError`` when a source that ``wish`` names cannot be used.
    """
    return select.verdicts(wish, surroundings())
