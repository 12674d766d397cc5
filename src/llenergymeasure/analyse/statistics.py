"""Intervals: Student's t over slices of a trial, and on the log scale over cycles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

from llenergymeasure.schema.quantity import Interval

# Below ten slices a within-run interval is not given (measurement protocol, "Uncertainty").
MINIMUM_SLICES = 10


def t_975(degrees_of_freedom: float) -> float:
    """The 97.5 % quantile of Student's t."""
    return float(stdtrit(degrees_of_freedom, 0.975))


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, Interval | None]:
    """Σa/Σb with its jackknife-t 95 % interval over slices; no interval below ``MINIMUM_SLICES``.

    Delete-one jackknife of the ratio of sums (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 11).
    """
    a, b = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    ratio = float(a.sum() / b.sum())
    n = len(a)
    if n < MINIMUM_SLICES:
        return ratio, None
    left_out = (a.sum() - a) / (b.sum() - b)
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    half = t_975(n - 1) * error
    return ratio, Interval(low=ratio - half, high=ratio + half)


def log_mean_interval(values: Sequence[float]) -> tuple[float, Interval | None]:
    """Geometric mean of positive values with its 95 % t interval on the log scale; the range for two, none for one."""
    logs = [math.log(value) for value in values]
    mean = math.fsum(logs) / len(logs)
    if len(logs) == 1:
        return math.exp(mean), None
    if len(logs) == 2:
        return math.exp(mean), Interval(low=min(values), high=max(values))
    half = _half_width(logs)
    return math.exp(mean), Interval(low=math.exp(mean - half), high=math.exp(mean + half))


def log_ratio_interval(pairs: Sequence[tuple[float, float]], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and interval of ln(a/b) over pairs of one block each, at ``confidence``. Needs two pairs or more."""
    logs = [math.log(a / b) for a, b in pairs]
    mean = math.fsum(logs) / len(logs)
    half = _half_width(logs, confidence)
    return mean, mean - half, mean + half


def log_ratio_p(pairs: Sequence[tuple[float, float]]) -> float:
    """Two-sided p of the paired t test that the mean of ln(a/b) is 0. Needs two pairs or more."""
    logs = [math.log(a / b) for a, b in pairs]
    mean, n = math.fsum(logs) / len(logs), len(logs)
    error = float(np.std(np.asarray(logs), ddof=1)) / math.sqrt(n)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(n - 1, -abs(mean) / error))


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses are rejected with a family-wise error of ``alpha`` (Holm 1979, step down)."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
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


def _half_width(values: Sequence[float], confidence: float = 0.95) -> float:
    n = len(values)
    deviation = float(np.std(np.asarray(values), ddof=1))
    return float(stdtrit(n - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(n)
