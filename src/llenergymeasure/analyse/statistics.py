"""Intervals: Student's t over slices of a trial, and on the log scale over cycles; and many tests at one time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, ndtri, stdtrit

from llenergymeasure.schema.quantity import Interval

# What slices hold, in order of time.
Slice = Sequence[float] | npt.NDArray[np.float64]

# Below ten slices a within-run interval is not given (measurement protocol, "Uncertainty").
MINIMUM_SLICES = 10
# Differences below this share are left by the arithmetic.
_ROUNDING = 1e-9
# Slices that hang together more than this say too little to tell by how much.
_MOST_CORRELATION = 0.95


# The 97.5 % quantile of the normal distribution.
Z_975 = float(ndtri(0.975))


def t_975(degrees_of_freedom: float) -> float:
    """The 97.5 % quantile of Student's t."""
    return float(stdtrit(degrees_of_freedom, 0.975))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Σa/Σb, its standard error, and how many degrees of freedom that has."""

    value: float
    error: float
    degrees_of_freedom: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        half = t_975(self.degrees_of_freedom) * self.error
        return Interval(low=self.value - half, high=self.value + half)


def ratio_of(numerators: Slice, denominators: Slice) -> Ratio | None:
    """Σa/Σb over slices in order of time with its jackknife error; ``None`` below ``MINIMUM_SLICES``, or where Σb is 0.

    Delete-one jackknife of the ratio of sums (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 11). Slices that
    follow each other are alike, so n of them count as n/τ, with τ = (1 + φ)/(1 − φ) for the correlation φ of neighbours: the
    variance grows by τ, and by what a mean over dependent values takes from their own spread, (n − 1)/(n − τ).
    """
    a, b = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    n = len(a)
    if n < MINIMUM_SLICES or not (b.sum() - b > 0).all():
        return None
    ratio = float(a.sum() / b.sum())
    left_out = (a.sum() - a) / (b.sum() - b)
    variance = (n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum())
    phi = _correlation(a - ratio * b)
    tau = (1 + phi) / (1 - phi)
    error = math.sqrt(variance * tau * (n - 1) / max(n - tau, 1.0))
    return Ratio(ratio, error, max(n / tau - 1, 1.0))


def ratio_interval(numerators: Slice, denominators: Slice) -> tuple[float, Interval | None]:
    """Σa/Σb with its jackknife-t 95 % interval over slices in order of time; no interval below ``MINIMUM_SLICES``."""
    found = ratio_of(numerators, denominators)
    if found is None:
        return math.fsum(numerators) / math.fsum(denominators), None
    return found.value, found.interval


def neighbours_correlate(numerators: Slice, denominators: Slice) -> bool:
    """Whether neighbouring slices of Σa/Σb are alike, or opposite, by more than chance makes them one in twenty times."""
    a, b = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    residuals = a - a.sum() / b.sum() * b
    squares = float((residuals**2).sum())
    if squares <= len(a) * (_ROUNDING * float(np.abs(a).mean())) ** 2:
        return False
    return abs(float((residuals[1:] * residuals[:-1]).sum())) / squares > Z_975 / math.sqrt(len(a))


def _correlation(residuals: npt.NDArray[np.float64]) -> float:
    """Correlation of neighbours, 0 to ``_MOST_CORRELATION``.

    The usual estimate r is too small by (1 + 4φ)/n (Kendall, Biometrika 41, 1954), which gives (n·r + 1)/(n − 4). The half added
    to the 1 errs towards dependence: with it intervals of ten slices still cover what they say (``benchmarks.coverage``).
    """
    n, squares = len(residuals), float((residuals**2).sum())
    if squares == 0:
        return 0.0
    r = float((residuals[1:] * residuals[:-1]).sum()) / squares
    return min(max((n * r + 1.5) / (n - 4), 0.0), _MOST_CORRELATION)


def log_mean_interval(values: Sequence[float], first_stage: int | None = None) -> tuple[float, Interval | None]:
    """Geometric mean of positive values with its 95 % t interval on the log scale; the range for two, none for one.

    ``first_stage``: how many of the first values decided how many there are. The spread is theirs then, and the mean that of
    all (Stein 1945): their spread set the number, so with the spread of all it would cover 92 % (``benchmarks.coverage``).
    """
    logs = [math.log(value) for value in values]
    mean = math.fsum(logs) / len(logs)
    if len(logs) == 1:
        return math.exp(mean), None
    if len(logs) == 2:
        return math.exp(mean), Interval(low=min(values), high=max(values))
    spread = logs[:first_stage]
    half = t_975(len(spread) - 1) * float(np.std(spread, ddof=1)) / math.sqrt(len(logs))
    return math.exp(mean), Interval(low=math.exp(mean - half), high=math.exp(mean + half))


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses are rejected with a family-wise error of ``alpha`` (Holm 1979, step down)."""
    m = len(p_values)
    return _step_down(p_values, [m - rank for rank in range(m)], alpha)


def holm_against_chosen(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """As Holm, for comparisons of m others with one that was chosen by the same data, as the best is.

    Of m + 1 equal ones the best is that of all their pairs' differences which is largest, so as many tests were made as they have
    pairs; one that is told apart leaves the pairs of the others. Plain Holm calls one of 8 equals worse in 10 % of studies.
    """
    m = len(p_values)
    return _step_down(p_values, [math.comb(m + 1 - rank, 2) for rank in range(m)], alpha)


def _step_down(p_values: Sequence[float], tests: Sequence[int], alpha: float) -> tuple[bool, ...]:
    rejected = [False] * len(p_values)
    for count, index in zip(tests, sorted(range(len(p_values)), key=p_values.__getitem__), strict=True):
        if p_values[index] > alpha / count:
            break
        rejected[index] = True
    return tuple(rejected)


def quantile_ranks(n: int, p: float) -> tuple[int, int] | None:
    """Ranks (from 1) of two of ``n`` independent values in order of size that hold the ``p`` quantile between them at 95 %.

    Whatever the distribution: the values below the quantile are binomial, 2.5 % is left to either side (David and Nagaraja, Order
    Statistics, 3rd edition, section 7.1). ``None`` where ``n`` values are too few for both ends.
    """
    below = bdtr(np.arange(n), n, p)  # P(at most k of n below)
    low = int(np.searchsorted(below, 0.025, side="right"))
    high = int(np.searchsorted(below, 0.975, side="left")) + 1
    return (low, high) if low >= 1 and high <= n else None
