"""Things done again and again on one clock, each at its own pace, by one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.units import NS_PER_S, ns_to_s

# A wish to stop is seen after this time at the latest.
_LONGEST_SLEEP_NS = NS_PER_S // 10


class Pace(Protocol):
    """When something is due next."""

    def after(self, now_ns: int) -> int:
        """The first instant later than ``now_ns``."""


@dataclass(frozen=True, slots=True)
class Every:
    """Instants ``period_ns`` apart, from ``origin_ns`` on. Those that passed while it was busy are not made up for."""

    period_ns: int
    origin_ns: int

    def after(self, now_ns: int) -> int:
        return now_ns + self.period_ns - (now_ns - self.origin_ns) % self.period_ns


@dataclass(frozen=True, slots=True)
class Task:
    """What to do, and when."""

    act: Callable[[], None]
    pace: Pace


def repeat(tasks: Sequence[Task], clock: Clock, stopped: Callable[[], bool]) -> None:
    """Do every task now and then whenever it is due, in the order given, until ``stopped()``."""
    due_ns = [clock.now_ns()] * len(tasks)
    while not stopped():
        for place, task in enumerate(tasks):
            if due_ns[place] <= clock.now_ns():
                task.act()
                due_ns[place] = task.pace.after(clock.now_ns())
        next_ns = min(due_ns, default=clock.now_ns() + _LONGEST_SLEEP_NS)
        wait_ns = min(next_ns - clock.now_ns(), _LONGEST_SLEEP_NS)
        if wait_ns > 0:
            clock.sleep(ns_to_s(wait_ns))
