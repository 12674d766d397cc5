"""Experiments by one quantity against one of them: their ratio, how sure it is, and the verdicts of many such comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from llenergymeasure.analyse.statistics import holm, holm_against_chosen, t_975
from llenergymeasure.schema.study import ComparisonMethod, Verdict

# Two configurations within this ratio of each other are equivalent (TOST).
EQUIVALENCE_MARGIN = 0.02
# Fewer cycles say nothing about their own spread.
MINIMUM_CYCLES = 3

# A cycle on one machine: results of it were measured side by side.
Block = tuple[int, str]

Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True, slots=True)
class Differences:
    """What ``Difference`` holds of many experiments against one, an entry each; ``n`` is 0 where they cannot be compared."""

    paired: npt.NDArray[np.bool_]
    n: npt.NDArray[np.int_]
    mean: Floats
    error: Floats
    degrees_of_freedom: Floats

    def at(self, place: int) -> Difference | str:
        """One of them, or why there is none."""
        if not self.n[place]:
            return f"needs at least {MINIMUM_CYCLES} cycles of both"
        return Difference(
            "paired" if self.paired[place] else "unpaired",
            int(self.n[place]),
            float(self.mean[place]),
            float(self.error[place]),
            float(self.degrees_of_freedom[place]),
        )

    @property
    def p_equal(self) -> Floats:
        """Two-sided p of the t test that both are the same."""
        return 2 * self._p_below(-np.abs(self.mean))

    @property
    def p_apart(self) -> Floats:
        """The p of two one-sided t tests that both are apart by ``EQUIVALENCE_MARGIN`` or more (Schuirmann 1987)."""
        return self._p_below(np.abs(self.mean) - math.log1p(EQUIVALENCE_MARGIN))

    def _p_below(self, distance: Floats) -> Floats:
        sure = self.error == 0
        t = distance / np.where(sure, 1.0, self.error)
        return np.where(sure, np.heaviside(distance, 0.5), stdtr(self.degrees_of_freedom, t))

    def verdicts(self) -> tuple[Verdict | None, ...]:
        """What each comparison with the best comes to; a mean above 0 is worse. What is surely within 2 % is equivalent.

        Each kind of false claim, different where equal and equivalent where apart, is made in at most 5 % of studies. For the
        first the choice of the best by the same data counts (``holm_against_chosen``). For the second it does not: the chosen one
        looks further ahead than it is, which only makes equivalence harder to claim. ``None`` where nothing can be said.
        """
        compared = np.flatnonzero(self.n)
        distinct = holm_against_chosen(self.p_equal[compared].tolist())
        equivalent = holm(self.p_apart[compared].tolist())
        found: list[Verdict | None] = [None] * len(self.n)
        worse = (self.mean > 0).tolist()
        for place, apart, same in zip(compared.tolist(), distinct, equivalent, strict=True):
            found[place] = "equivalent" if same else "undecided" if not apart else "worse" if worse[place] else "better"
        return tuple(found)


class Costs:
    """Positive values of many experiments, compared with one of them at a time.

    In pairs over the blocks that both have: what a block's trials share, such as a warm room, cancels. Without ``blocks``, or
    with fewer than ``MINIMUM_CYCLES`` of both, by the two means alone (Welch 1947). ``first_stage``: the first so many cycles
    decided how many there are; the spread is theirs.
    """

    def __init__(
        self, values: Sequence[Mapping[Block, float]], *, blocks: bool, first_stage: int | None = None
    ) -> None:
        columns = {block: column for column, block in enumerate(sorted({block for one in values for block in one}))}
        self._logs = np.full((len(values), len(columns)), np.nan)
        for row, one in enumerate(values):
            self._logs[row, [columns[block] for block in one]] = [math.log(value) for value in one.values()]
        self._early = np.array([first_stage is None or cycle < first_stage for cycle, _ in columns], dtype=bool)
        self._in_blocks = blocks
        self._single = _spread(self._logs, self._early)

    @property
    def means(self) -> Floats:
        """Mean of ln(value) of each."""
        return self._single.mean

    def against(self, best: int, others: Sequence[int]) -> Differences:
        """How others differ from ``best``; all are places among the values."""
        rows = np.asarray(others, dtype=int)
        pairs = _spread(self._logs[rows] - self._logs[best], self._early)
        one = self._single.at(rows)
        share = one.variance / np.maximum(one.n, 1)
        own_share = self._single.variance[best] / max(int(self._single.n[best]), 1)
        total = share + own_share
        own_freedom = self._single.freedom[best]
        terms = share**2 / one.freedom + own_share**2 / own_freedom
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(terms > 0, total**2 / terms, np.minimum(one.freedom, own_freedom))
        fewer = np.minimum(one.n, self._single.n[best])
        paired = (pairs.n >= MINIMUM_CYCLES) & self._in_blocks
        return Differences(
            paired,
            np.where(paired, pairs.n, np.where(fewer >= MINIMUM_CYCLES, fewer, 0)),
            np.where(paired, pairs.mean, one.mean - self._single.mean[best]),
            np.sqrt(np.where(paired, pairs.variance / np.maximum(pairs.n, 1), total)),
            np.where(paired, pairs.freedom, freedom),
        )


@dataclass(frozen=True, slots=True)
class _Spread:
    """Of each row of a table: how many values, their mean, the variance of one value and its degrees of freedom (1 at least)."""

    n: npt.NDArray[np.int_]
    mean: Floats
    variance: Floats
    freedom: Floats

    def at(self, rows: npt.NDArray[np.int_]) -> _Spread:
        return _Spread(self.n[rows], self.mean[rows], self.variance[rows], self.freedom[rows])


def _spread(table: Floats, early: npt.NDArray[np.bool_]) -> _Spread:
    """The mean is of all values that are there, the variance of the ``early`` ones where they are enough."""
    there = ~np.isnan(table)
    some = there & early
    some = np.where((some.sum(axis=1) >= MINIMUM_CYCLES)[:, None], some, there)
    freedom = np.maximum(some.sum(axis=1) - 1, 1).astype(float)
    deviations = np.where(some, table - _mean(table, some)[:, None], 0.0)
    return _Spread(there.sum(axis=1), _mean(table, there), (deviations**2).sum(axis=1) / freedom, freedom)


def _mean(table: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    mean: Floats = np.where(there, table, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return mean
