"""The energy sources' surroundings on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import select
from llenergymeasure.energy.contract import Surroundings
from llenergymeasure.machine.snapshot import cpu_model, visible_cpus
from llenergymeasure.model.reading import SourceVerdict


def surroundings(worker_pid: Callable[[], int | None] = lambda: None) -> Surroundings:
    """This machine."""
    return Surroundings(MonotonicClock(), cpu_model(), visible_cpus(), worker_pid)


def source_verdicts(wish: Sequence[str] = (select.AUTO,)) -> tuple[SourceVerdict, ...]:
    """What each energy source could read on this machine, and which a meter would choose; no meter is started.

    Raises ``EnergyError`` when a source that ``wish`` names cannot be used.
    """
    return select.verdicts(wish, surroundings())
