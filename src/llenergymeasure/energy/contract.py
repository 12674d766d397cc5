"""What an energy source is: something that says which quantities it can read here, and reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.model.reading import Channel, Reading


def _no_worker() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a source may need to know and does not look up itself.

    ``cpu_model`` is the processor's name as the system gives it, ``visible_cpus`` the logical CPUs that may be used;
    ``worker_pid()`` is the process whose tree does the work, ``None`` before there is one. ``asked_for``: the source was
    named, and not merely tried to see what is here.
    """

    clock: Clock
    cpu_model: str
    visible_cpus: int
    worker_pid: Callable[[], int | None] = _no_worker
    asked_for: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why a source can read nothing here, and what would help."""

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason


class EnergySource(Protocol):
    """Reads quantities of devices.

    Order of calls: ``channels`` once, then ``read`` any number of times, then ``close``. After ``Unavailable`` only ``close``
    follows. ``close`` may be called twice and in any state.

    Threads: ``read`` may run in two threads at once, never for the same channel; all else comes from one thread.

    Exceptions: none after the source was opened. What keeps a whole source from reading is ``Unavailable``; a read that fails
    is a reading whose status says so and whose value is NaN, never a zero and never an old value. A source that breaks this is
    read on, and what it answered against it counts as failed (``Guarded``).

    Rates: a channel is read ``rate_hz`` times a second. A counter or instant power that asks for 50 or more, and is not known to
    be updated faster than each 10 ms, is read less often, but up to 600 times a second around the instants at which it is
    updated: one behind a network asks for less.
    """

    def channels(self) -> Sequence[Channel] | Unavailable:
        """What can be read here, ids counting from 0.

        Devices that are not used are included: they show other work on the machine. A quantity that a device does not
        support is left out; one that fails at the moment is not.
        """

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        """One reading for each of ``channels``, in their order, now.

        The caller gives channels ids of its own: readings carry those, and a source finds the quantity by device, domain,
        kind and detail. Energy counters are in J and never fall but when they are reset; power is in W.
        """

    def close(self) -> None:
        """Give back what was opened."""


# What a source's entry point names: opens it, cheaply, or raises ``EnergyError`` where it cannot even be tried.
OpenSource = Callable[[Surroundings], EnergySource]
