"""The uncertainty budget: relative terms, how they combine, and the two intervals that they make (JCGM 100:2008)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llenergymeasure.analyse.statistics import t_975
from llenergymeasure.schema.quantity import Interval

# What is the same in everything that one board measures: it cancels between two configurations.
SHARED = ("u_gain",)
_ALIAS = "u_alias"
# Half-widths below this are not worth a warning: differences are judged by 2 %.
_COUNTS = 0.005


@dataclass(frozen=True, slots=True)
class Term:
    """A relative standard uncertainty; ``degrees_of_freedom`` of ``None`` is many."""

    name: str
    relative: float
    kind: Literal["A", "B"] = "B"
    degrees_of_freedom: float | None = None

    @property
    def shared(self) -> bool:
        """Whether it is part of the absolute interval only."""
        return self.name in SHARED


def half_width(terms: Iterable[Term]) -> float:
    """t₀.₉₇₅(ν)·u: u the root of the sum of squares, ν by Welch and Satterthwaite (JCGM 100:2008, G.4.1)."""
    known = tuple(terms)
    u = math.sqrt(math.fsum(term.relative**2 for term in known))
    if u == 0:
        return 0.0
    doubt = math.fsum(
        (term.relative / u) ** 4 / term.degrees_of_freedom for term in known if term.degrees_of_freedom is not None
    )
    return t_975(1 / doubt if doubt > 0 else math.inf) * u


def repeatability(value: float, terms: Iterable[Term]) -> Interval:
    """The 95 % interval without what a board's measurements share."""
    return _around(value, half_width(term for term in terms if not term.shared))


def absolute(value: float, terms: Iterable[Term]) -> Interval:
    """The 95 % interval of everything."""
    return _around(value, half_width(terms))


def of_sum(parts: Sequence[tuple[float, Sequence[Term]]]) -> tuple[Term, ...]:
    """The terms of a sum of energies, each given with its own, relative to the sum.

    What boards share may be shared by boards of one make as well: it is added as it is, all else by squares. Of the degrees of
    freedom the fewest count.
    """
    total = math.fsum(energy for energy, _ in parts)
    found: dict[str, list[tuple[float, Term]]] = {}
    for energy, terms in parts:
        for term in terms:
            found.setdefault(term.name, []).append((energy * term.relative / total, term))
    return tuple(_summed(same) for same in found.values())


def most_is_alias(terms: Sequence[Term]) -> float | None:
    """The relative 95 % half-width of aliasing, where it is more than all else of the repeatability together, and counts."""
    alias = [term for term in terms if term.name == _ALIAS]
    others = [term for term in terms if term.name != _ALIAS and not term.shared]
    half = half_width(alias)
    return half if half > max(half_width(others), _COUNTS) else None


def _summed(same: Sequence[tuple[float, Term]]) -> Term:
    shares, first = [share for share, _ in same], same[0][1]
    known = [term.degrees_of_freedom for _, term in same if term.degrees_of_freedom is not None]
    relative = math.fsum(shares) if first.shared else math.hypot(*shares)
    return Term(first.name, relative, first.kind, min(known, default=None))


def _around(value: float, relative: float) -> Interval:
    half = abs(value) * relative
    return Interval(low=value - half, high=value + half)
