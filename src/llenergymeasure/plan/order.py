"""In which order trials run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

CycleOrder = Literal["sequential", "interleaved", "shuffled"]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One (experiment, cycle). ``number`` counts from 1 in the order of running, ``point`` from 0 in the order of the plan."""

    number: int
    point: int
    cycle: int


def order(points: int, cycles: int, how: CycleOrder, seed: int) -> tuple[PlannedTrial, ...]:
    """All trials of ``points`` experiments over ``cycles`` cycles.

    ``sequential`` finishes one experiment before the next; ``interleaved`` passes over all of them in each cycle; ``shuffled``
    does so in an order of its own for each cycle, which makes every cycle a randomised complete block.
    """
    if how == "sequential":
        pairs = [(point, cycle) for point in range(points) for cycle in range(cycles)]
    else:
        pairs = [(point, cycle) for cycle in range(cycles) for point in block_order(points, cycle, how, seed)]
    return tuple(PlannedTrial(number, point, cycle) for number, (point, cycle) in enumerate(pairs, start=1))


def block_order(points: int, cycle: int, how: CycleOrder, seed: int) -> list[int]:
    """The order of one cycle's block."""
    block = list(range(points))
    if how == "shuffled":
        random.Random(f"{seed}:{cycle}").shuffle(block)
    return block
