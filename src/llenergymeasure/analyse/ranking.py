"""Experiments in order of what they cost: the best, the others against it, and who shares a place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.compare import Block, Difference, difference, verdicts
from llenergymeasure.schema.study import Tier, Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """An experiment that can be ranked: its place in the study, and what it costs in each block, the smaller the better."""

    place: int
    costs: Mapping[Block, float]

    @property
    def score(self) -> float:
        """Mean of ln(cost)."""
        return math.fsum(map(math.log, self.costs.values())) / len(self.costs)


@dataclass(frozen=True, slots=True)
class Compared:
    """One experiment against the best: a verdict with what it comes from, or the reason for none."""

    verdict: Verdict | None
    reason: str | None = None
    difference: Difference | None = None


def rank(
    candidates: Sequence[Candidate], *, blocks: bool = True, first_stage: int | None = None
) -> tuple[tuple[Tier, ...], dict[int, Compared]]:
    """The tiers, and by place how each experiment compares with the best of all.

    A tier is the best of those that are left with all that are not worse than it. Errors are bounded within each tier.
    """
    left = sorted(candidates, key=lambda candidate: candidate.score)
    tiers: list[Tier] = []
    against_best: dict[int, Compared] = {}
    while left:
        best, *others = left
        compared = _compared(best, others, blocks, first_stage)
        if not tiers:
            against_best = compared
        verdict = {other.place: compared[other.place].verdict for other in others}
        equivalent = tuple(place for place in verdict if verdict[place] == "equivalent")
        undecided = tuple(place for place in verdict if verdict[place] not in ("equivalent", "worse"))
        tiers.append(Tier(best=best.place, equivalent=equivalent, undecided=undecided))
        left = [other for other in others if verdict[other.place] == "worse"]
    return tuple(tiers), against_best


def _compared(
    best: Candidate, others: Sequence[Candidate], blocks: bool, first_stage: int | None
) -> dict[int, Compared]:
    found = {
        other.place: difference(other.costs, best.costs, blocks=blocks, first_stage=first_stage) for other in others
    }
    tested = {place: one for place, one in found.items() if isinstance(one, Difference)}
    decided = dict(zip(tested, verdicts(list(tested.values())), strict=True))
    return {
        place: Compared(None, one) if isinstance(one, str) else Compared(decided[place], None, one)
        for place, one in found.items()
    }
