"""Whose process is this? Those of the tree below the worker are the measurement's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

# ``True`` for a process of the measurement, ``False`` for one of others, ``None`` where it cannot be told.
IsOurs = Callable[[int], bool | None]


def cannot_tell(pid: int) -> bool | None:
    """Where nothing is known of processes."""
    return None


class OwnProcesses:
    """Whether a process descends from the worker, or did when it was first seen.

    A process that cannot be seen from here (a pid of another namespace, as a driver shows it in a container) may be anybody's.
    """

    def __init__(
        self,
        worker_pid: Callable[[], int | None],
        ancestors: Callable[[int], Iterable[int] | None] | None = None,
    ) -> None:
        self._worker_pid = worker_pid
        self._ancestors = ancestors or _ancestors
        self._ours: set[int] = set()

    def __call__(self, pid: int) -> bool | None:
        if pid in self._ours:
            return True
        above = self._ancestors(pid)
        if above is None:
            return None
        worker = self._worker_pid()
        if worker is None or worker not in (pid, *above):
            return False
        self._ours.add(pid)
        return True


def _ancestors(pid: int) -> list[int] | None:
    try:
        return [parent.pid for parent in psutil.Process(pid).parents()]
    except psutil.NoSuchProcess:
        return None
