"""CPU time of a process and all its descendants, as a sum that never falls."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import psutil

from llenergymeasure.clock import Clock, Ticker

_WALK_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Times:
    """One process: what it used itself, and what descendants used that have ended and were waited for. In seconds.

    ``started`` tells a process from a later one with the same pid.
    """

    started: float
    own_s: float
    reaped_s: float


class ProcessTable(Protocol):
    """Where processes are looked up."""

    def times(self, pid: int) -> Times | None:
        """The times of a process; ``None`` when it is gone or may not be read."""

    def children(self, pid: int) -> Iterable[int]:
        """The processes it started that are still there; none when it is gone."""


class TreeCpuTime:
    """CPU seconds of the tree below ``root``, ended processes included.

    A process that ends either leaves its time to a parent in the tree, or what it had is kept: of the growth of "children
    that ended" only what exceeds the times of the processes known to have ended is new. Descendants are looked for once a
    second; one that ended before it was seen is in its parent's time.
    """

    def __init__(self, root: int, table: ProcessTable, clock: Clock) -> None:
        self._root = root
        self._table = table
        self._walk = Ticker(clock, _WALK_PERIOD_S)
        self._known: dict[int, Times] = {}
        self._total_s = 0.0
        self._seen = False

    def seconds(self) -> float | None:
        """The sum so far; ``None`` when the root could never be read."""
        if self._walk.due() or not self._known:
            self._find_descendants()
        grown_s = reaped_s = ended_s = 0.0
        for pid, before in list(self._known.items()):
            now = self._table.times(pid)
            if now is None or now.started != before.started:
                ended_s += before.own_s + before.reaped_s
                del self._known[pid]
                continue
            self._seen = True
            grown_s += max(0.0, now.own_s - before.own_s)
            reaped_s += max(0.0, now.reaped_s - before.reaped_s)
            self._known[pid] = now
        self._total_s += grown_s + max(0.0, reaped_s - ended_s)
        return self._total_s if self._seen else None

    def _find_descendants(self) -> None:
        queue = list({self._root, *self._known})
        while queue:
            pid = queue.pop()
            if pid not in self._known and not self._add(pid):
                continue
            # This process reads; it does none of the work that is read.
            queue += [child for child in self._table.children(pid) if child not in self._known and child != os.getpid()]

    def _add(self, pid: int) -> bool:
        """Follow a process; all it used so far counts, for it descends from the root."""
        now = self._table.times(pid)
        if now is None or (pid == self._root and self._seen):
            return False
        self._known[pid] = Times(now.started, 0.0, 0.0)
        return True


class ProcTable:
    """Linux: the kernel's own files."""

    def __init__(self) -> None:
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")

    def times(self, pid: int) -> Times | None:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                data = file.read()
        except OSError:
            return None
        # The second field is the program's name, which may hold anything; the third begins after its last parenthesis.
        fields = data[data.rfind(b")") + 2 :].split()
        user, system, reaped_user, reaped_system = map(int, fields[11:15])
        return Times(int(fields[19]), (user + system) * self._tick_s, (reaped_user + reaped_system) * self._tick_s)

    def children(self, pid: int) -> Iterable[int]:
        found: list[int] = []
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    found += map(int, file.read().split())
        except OSError:
            return found
        return found


class PsutilTable:
    """Any system that psutil knows; slower, for it looks at all processes to find children."""

    def times(self, pid: int) -> Times | None:
        try:
            process = psutil.Process(pid)
            used = process.cpu_times()
            return Times(process.create_time(), used.user + used.system, used.children_user + used.children_system)
        except psutil.Error:
            return None

    def children(self, pid: int) -> Iterable[int]:
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.Error:
            return []


def process_table() -> ProcessTable:
    """The table for this system."""
    own = os.getpid()
    return ProcTable() if os.path.exists(f"/proc/{own}/task/{own}/children") else PsutilTable()
