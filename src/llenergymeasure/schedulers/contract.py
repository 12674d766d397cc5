"""The seam that starts trial drivers: as a child here, or as a job of a cluster.

``submit(folder)`` starts the driver of a trial folder and returns at once. ``poll(within_s)`` is its exit status, ``None`` when
it has not ended within that time; ``cancel()`` asks it to finish its batch and stop; ``kill()`` ends it now. ``ahead(trials)``
says that a trial whose folder is in ``trials`` will be submitted next, and that nothing is being measured: its driver may start.
``close()`` ends one that got no trial. All calls come from one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Handle(Protocol):
    """A driver that was started."""

    def poll(self, within_s: float = 0.0) -> int | None: ...

    def cancel(self) -> None: ...

    def kill(self) -> None: ...


class Scheduler(Protocol):
    """Starts trial drivers."""

    def submit(self, folder: Path) -> Handle: ...

    def ahead(self, trials: Path) -> None: ...

    def close(self) -> None: ...
