"""The seam that starts trial drivers: as a child here, or as a job of a cluster.

``submit(folder)`` starts the driver of a trial folder and returns at once. ``poll()`` is its exit status or ``None``;
``cancel()`` asks it to finish its batch and stop; ``kill()`` ends it now. All calls come from one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Handle(Protocol):
    """A driver that was started."""

    def poll(self) -> int | None: ...

    def cancel(self) -> None: ...

    def kill(self) -> None: ...


class Scheduler(Protocol):
    """Starts trial drivers."""

    def submit(self, folder: Path) -> Handle: ...
