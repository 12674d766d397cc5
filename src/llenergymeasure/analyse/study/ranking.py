"""Experiments in order of what they cost: the best, the others against it, and who shares a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.study.compare import Block, Costs, Difference
from llenergymeasure.schema.study import Tier, Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """An experiment that can be ranked: its place in the study, and what it costs in each block, the smaller the better."""

    place: int
    costs: Mapping[Block, float]


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

    The order is that of the mean of ln(cost). A tier is the best of those that are left with all that are not worse than it.
    Errors are bounded within each tier.
    """
    costs = Costs([candidate.costs for candidate in candidates], blocks=blocks, first_stage=first_stage)
    scores = costs.means.tolist()
    left = sorted(range(len(candidates)), key=scores.__getitem__)
    places = [candidate.place for candidate in candidates]
    tiers: list[Tier] = []
    against_best: dict[int, Compared] = {}
    while left:
        best, *others = left
        found = costs.against(best, others)
        verdicts = dict(zip(others, found.verdicts(), strict=True))
        if not tiers:
            against_best = {
                places[other]: _compared(verdicts[other], found.at(entry)) for entry, other in enumerate(others)
            }
        equivalent = tuple(places[other] for other in others if verdicts[other] == "equivalent")
        undecided = tuple(places[other] for other in others if verdicts[other] not in ("equivalent", "worse"))
        tiers.append(Tier(best=places[best], equivalent=equivalent, undecided=undecided))
        left = [other for other in others if verdicts[other] == "worse"]
    return tuple(tiers), against_best


def _compared(verdict: Verdict | None, found: Difference | str) -> Compared:
    return Compared(None, found) if isinstance(found, str) else Compared(verdict, None, found)
