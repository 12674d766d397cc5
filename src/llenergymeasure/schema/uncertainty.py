"""The lines of an uncertainty budget, as a result keeps them."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.schema.quantity import Record


class BudgetLine(Record):
    """One term of the uncertainty of energy per output token, as a relative standard uncertainty.

    ``kind`` is A for what was seen to repeat and B for what is known otherwise (JCGM 100:2008, 4.2 and 4.3);
    ``degrees_of_freedom`` is ``None`` for many. ``intervals`` says which 95 % intervals the term is part of: with u the root of
    the squares of an interval's terms and ν = u⁴/Σ(uᵢ⁴/νᵢ), its half-width is t(ν)·u. ``net`` is the repeatability of net
    energy, its terms relative to gross energy; the sensor's gain is the same share of a difference.
    """

    term: str
    relative: float
    kind: Literal["A", "B"] = "B"
    degrees_of_freedom: float | None = None
    intervals: tuple[Literal["repeatability", "absolute", "net"], ...] = ()
