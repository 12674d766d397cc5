"""Marks: named instants that a process writes, and the phases they bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llenergymeasure.units import ns_to_s

Phase = Literal["idle", "load", "idle_loaded", "warmup", "window", "quiet", "close"]
Edge = Literal["begin", "end"]

# The order in which a trial passes through its phases; ``idle`` is the driver's, all others are the worker's.
PHASES: tuple[Phase, ...] = ("idle", "load", "idle_loaded", "warmup", "window", "quiet", "close")


@dataclass(frozen=True, slots=True)
class Mark:
    """One edge of one phase, on the monotonic clock."""

    phase: Phase
    edge: Edge
    t_ns: int

    @property
    def name(self) -> str:
        return f"{self.phase}.{self.edge}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open piece of monotonic time."""

    begin_ns: int
    end_ns: int

    @property
    def duration_s(self) -> float:
        return ns_to_s(self.end_ns - self.begin_ns)


def interval_of(marks: tuple[Mark, ...], phase: Phase) -> Interval | None:
    """The interval between the two edges of ``phase``, or ``None`` when the trial did not pass through it whole."""
    edges = {mark.edge: mark.t_ns for mark in marks if mark.phase == phase}
    if len(edges) < 2:
        return None
    return Interval(edges["begin"], edges["end"])
