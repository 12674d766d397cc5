"""Which prompts a warm-up uses: one batch of the window's shape, so that its batches differ by nothing but time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from llenergymeasure.model.inputs import Inputs

WarmupSource = Literal["pool", "permuted"]

# The row of the inputs and its ids.
Prompt = tuple[int, tuple[int, ...]]


def warmup_prompts(inputs: Inputs, size: int) -> tuple[tuple[Prompt, ...], WarmupSource]:
    """``size`` prompts whose lengths are spread as the window's are, and where they come from.

    They are those of the pool after the window's that come nearest in length; when the pool holds fewer than one batch, the
    window's own, whose ids are never used in their order (``permuted``).
    """
    first = len(inputs.window)
    pool = [(first + place, ids) for place, ids in enumerate(inputs.warmup)]
    source: WarmupSource = "pool"
    if len(pool) < size:
        pool, source = list(enumerate(inputs.window)), "permuted"
    lengths = sorted(map(len, inputs.window))
    chosen = []
    for place in range(size):
        wanted = lengths[(2 * place + 1) * len(lengths) // (2 * size)]
        nearest = min(range(len(pool)), key=lambda index: abs(len(pool[index][1]) - wanted))
        chosen.append(pool.pop(nearest))
    return tuple(chosen), source


def permuted(prompts: Sequence[Prompt], seed: int, batch: int) -> list[Prompt]:
    """The prompts with their ids in an order of this batch's own: the same lengths, nothing that a prefix cache knows."""
    shuffler = random.Random(f"{seed}:{batch}")
    return [(row, tuple(shuffler.sample(ids, len(ids)))) for row, ids in prompts]
