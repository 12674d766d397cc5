"""Joules from counters that begin at 0 again when they are full."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.clock import Clock
from llenergymeasure.energy.rapl_tree import BadCount, ReadFile, Zone
from llenergymeasure.units import NS_PER_S, ns_to_s

# No package or its memory takes so much: what asks for more power was a reset, not energy.
_MOST_W = 2000.0
# Two reads may lie on either side of an update.
_SLACK_S = 0.1
# A package that idles counts a thousand times in this time.
_STILL_NS = 2 * NS_PER_S


class CountedZones:
    """The joules of some zones together since they were first read.

    A zone that shows less than before went around its range once, if that takes no more power than a package can have.
    Otherwise it was reset. And after a gap in which a zone could have gone all the way around (``range / 2 kW``: half a minute
    with the smallest range there is, 65 kJ) nobody can tell how often it did. In both cases the sum begins at 0 again, which
    readers see as a counter that was reset.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.zones = tuple(zones)
        self._last_uj: list[int] = []
        self._moved_ns: list[int] = []
        self._asked_ns = 0
        self._total_uj = 0

    def read_j(self, read: ReadFile, clock: Clock) -> float:
        """The sum now. Raises ``OSError`` and ``BadCount``; what was not counted then is counted by the next read."""
        asked_ns = clock.now_ns()
        values_uj = [zone.read_uj(read) for zone in self.zones]
        answered_ns = clock.now_ns()
        if not self._last_uj:
            self._last_uj, self._asked_ns, self._moved_ns = values_uj, asked_ns, [answered_ns] * len(values_uj)
        self._count(values_uj, ns_to_s(answered_ns - self._asked_ns))
        self._moved_ns = [
            moved_ns if value == last else answered_ns
            for value, last, moved_ns in zip(values_uj, self._last_uj, self._moved_ns, strict=True)
        ]
        self._last_uj, self._asked_ns = values_uj, asked_ns
        for zone, moved_ns in zip(self.zones, self._moved_ns, strict=True):
            if asked_ns - moved_ns > _STILL_NS:
                raise BadCount(f"the {zone.domain} counter of {zone.package} stands still")
        return self._total_uj / 1e6

    def _count(self, values_uj: Sequence[int], elapsed_s: float) -> None:
        most_uj = _MOST_W * 1e6 * (elapsed_s + _SLACK_S)
        steps_uj = [
            (value - last) % zone.range_uj
            for zone, value, last in zip(self.zones, values_uj, self._last_uj, strict=True)
        ]
        known = all(step <= most_uj < zone.range_uj for zone, step in zip(self.zones, steps_uj, strict=True))
        self._total_uj = self._total_uj + sum(steps_uj) if known else 0
