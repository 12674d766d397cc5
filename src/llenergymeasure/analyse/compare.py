"""Two experiments by one quantity: their ratio, how sure it is, and the verdicts of many such comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from llenergymeasure.analyse.statistics import holm, holm_against_chosen, t_975
from llenergymeasure.schema.study import ComparisonMethod, Verdict

# Two configurations within this ratio of each other are equivalent (TOST).
EQUIVALENCE_MARGIN = 0.02
# Fewer cycles say nothing about their own spread.
MINIMUM_CYCLES = 3

# A cycle on one machine: results of it were measured side by side.
Block = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of ln(a/b), its standard error and the freedom of that; ``n`` pairs, or the cycles of the one with fewer."""

    method: ComparisonMethod
    n: int
    mean: float
    error: float
    degrees_of_freedom: float

    @property
    def ratio_95(self) -> tuple[float, float, float]:
        """a/b with the ends of its 95 % interval, for this comparison alone."""
        half = t_975(self.degrees_of_freedom) * self.error
        return math.exp(self.mean), math.exp(self.mean - half), math.exp(self.mean + half)

    @property
    def p_equal(self) -> float:
        """Two-sided p of the t test that both are the same."""
        return 2 * self._p_below(-abs(self.mean))

    @property
    def p_apart(self) -> float:
        """The p of two one-sided t tests that both are apart by ``EQUIVALENCE_MARGIN`` or more (Schuirmann 1987)."""
        return self._p_below(abs(self.mean) - math.log1p(EQUIVALENCE_MARGIN))

    def _p_below(self, distance: float) -> float:
        if self.error == 0:
            return float(np.heaviside(distance, 0.5))
        return float(stdtr(self.degrees_of_freedom, distance / self.error))


def difference(
    a: Mapping[Block, float], b: Mapping[Block, float], *, blocks: bool, first_stage: int | None = None
) -> Difference | str:
    """How ``a`` and ``b`` differ, or why that cannot be told. Values are positive.

    In pairs over the blocks that both have: what a block's trials share, such as a warm room, cancels. Without blocks, or with
    fewer than ``MINIMUM_CYCLES`` of both, by the two means alone (Welch 1947). ``first_stage``: the first so many cycles decided
    how many there are; the spread is theirs.
    """
    both = sorted(a.keys() & b.keys())
    if blocks and len(both) >= MINIMUM_CYCLES:
        logs = [math.log(a[block] / b[block]) for block in both]
        variance, freedom = _variance(dict(zip(both, logs, strict=True)), first_stage)
        return Difference("paired", len(both), _mean(logs), math.sqrt(variance / len(both)), freedom)
    if min(len(a), len(b)) < MINIMUM_CYCLES:
        return f"needs at least {MINIMUM_CYCLES} cycles of both"
    logs_of = [{block: math.log(value) for block, value in values.items()} for values in (a, b)]
    variances, freedoms = zip(*(_variance(logs, first_stage) for logs in logs_of), strict=True)
    shares = [variance / len(logs) for variance, logs in zip(variances, logs_of, strict=True)]
    total = math.fsum(shares)
    terms = math.fsum(share**2 / freedom for share, freedom in zip(shares, freedoms, strict=True))
    return Difference(
        "unpaired",
        min(len(a), len(b)),
        _mean(logs_of[0].values()) - _mean(logs_of[1].values()),
        math.sqrt(total),
        total**2 / terms if terms else min(freedoms),
    )


def verdicts(against_best: Sequence[Difference]) -> tuple[Verdict, ...]:
    """What each comparison with the best comes to; a mean above 0 is worse. What is surely within 2 % is equivalent.

    Each kind of false claim, different where equal and equivalent where apart, is made in at most 5 % of studies. For the first
    the choice of the best by the same data counts (``holm_against_chosen``). For the second it does not: the chosen one looks
    further ahead than it is, which only makes equivalence harder to claim.
    """
    distinct = holm_against_chosen([found.p_equal for found in against_best])
    equivalent = holm([found.p_apart for found in against_best])
    return tuple(
        "equivalent" if same else "undecided" if not apart else "worse" if found.mean > 0 else "better"
        for found, apart, same in zip(against_best, distinct, equivalent, strict=True)
    )


def _variance(logs: Mapping[Block, float], first_stage: int | None) -> tuple[float, int]:
    """Of one value, with its degrees of freedom; from the first stage where one decided how many values there are."""
    values = [value for (cycle, _), value in logs.items() if first_stage is None or cycle < first_stage]
    if len(values) < MINIMUM_CYCLES:
        values = list(logs.values())
    return float(np.var(values, ddof=1)), len(values) - 1


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)
