"""Things done again and again on one clock, each at its own pace, by one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.units import NS_PER_S, ns_to_s

# A wish to stop is seen after this time at the latest.
LONGEST_SLEEP_NS = NS_PER_S // 10
# What is due within this time is done at once: to sleep and wake again costs more than the act.
TOGETHER_NS = 500_000
# What is repeated at a fixed pace may be this share of its period early, when something else is done then.
_EARLY = 0.75


class Pace(Protocol):
    """When something is due next, and by how much it may be early to be done together with something else."""

    @property
    def slack_ns(self) -> int:
        """The most by which it may be early."""

    def after(self, now_ns: int) -> int:
        """The next instant, given that what was due has been done at ``now_ns``."""


@dataclass(frozen=True, slots=True)
class Every:
    """Instants ``period_ns`` apart, one of them at ``origin_ns``. Those that passed while it was busy are not made up for.

    Paces of one origin meet: what is due once a second is done together with what is due four times.
    """

    period_ns: int
    origin_ns: int = 0

    @property
    def slack_ns(self) -> int:
        return round(_EARLY * self.period_ns)

    def after(self, now_ns: int) -> int:
        """The first instant later than ``now_ns``."""
        return now_ns + self.period_ns - (now_ns - self.origin_ns) % self.period_ns


@dataclass(frozen=True, slots=True)
class Task:
    """What to do, and when."""

    act: Callable[[], None]
    pace: Pace


def repeat(
    tasks: Sequence[Task], clock: Clock, stopped: Callable[[], bool], longest_sleep_ns: int = LONGEST_SLEEP_NS
) -> None:
    """Do every task now and then whenever it is due, in the order given, until ``stopped()``."""
    due_ns, slack_ns = [clock.now_ns()] * len(tasks), [task.pace.slack_ns for task in tasks]
    while not stopped():
        for place, task in enumerate(tasks):
            if due_ns[place] <= clock.now_ns() + slack_ns[place]:
                task.act()
                due_ns[place] = task.pace.after(max(clock.now_ns(), due_ns[place]))
        next_ns = min(due_ns, default=clock.now_ns() + longest_sleep_ns)
        wait_ns = min(next_ns - clock.now_ns(), longest_sleep_ns)
        if wait_ns > 0:
            clock.sleep(ns_to_s(wait_ns))
