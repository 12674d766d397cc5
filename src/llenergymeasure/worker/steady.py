"""Is the engine warm? A decision from the durations of the last warm-up batches, and from power where it is read."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.model.event import PowerTrend
from llenergymeasure.model.profile import LEAKAGE_PER_K

# The last batches that are looked at (measurement protocol, "steady").
WINDOW = 5

# Two-sided 95 % quantile of Student's t with WINDOW − 2 = 3 degrees of freedom (any table of the distribution).
_T_975_3 = 3.182

# Two adjacent 5 s of steady power differ by less (measurement protocol, "steady").
_POWER_CHANGE = 0.01


@dataclass(frozen=True, slots=True)
class Steadiness:
    """``cv`` is the coefficient of variation of the last batches, ``None`` while there are fewer than ``WINDOW``."""

    cv: float | None
    steady: bool


def steadiness(seconds_per_token: Sequence[float], cv_target: float) -> Steadiness:
    """Judge the last ``WINDOW`` batches: their spread is within ``cv_target`` and their trend is not distinct from none.

    The trend is the least-squares slope over the batch number; its 95 % interval must contain 0.
    """
    last = list(seconds_per_token[-WINDOW:])
    if len(last) < WINDOW:
        return Steadiness(None, False)
    mean = statistics.fmean(last)
    if mean <= 0:
        return Steadiness(None, False)
    cv = statistics.stdev(last) / mean
    return Steadiness(cv, cv <= cv_target and _slope_contains_zero(last))


def power_is_steady(trend: PowerTrend | None, most_drift: float, window_s: float) -> bool:
    """Whether power has come to rest: its last two 5 s agree, and the window will drift by no more than ``most_drift``.

    Drift is what the present heating will add by leakage over ``window_s``. Before there is a trend it has not; a power or
    temperature that the trend does not know, since nothing reads that of the devices that work, does not hold it up.
    """
    if trend is None:
        return False
    drift = LEAKAGE_PER_K * abs(trend.heating_c_per_s or 0.0) * window_s
    return (trend.change or 0.0) < _POWER_CHANGE and drift < most_drift


def _slope_contains_zero(values: Sequence[float]) -> bool:
    n = len(values)
    x_mean, y_mean = (n - 1) / 2, statistics.fmean(values)
    sxx = sum((x - x_mean) ** 2 for x in range(n))
    slope = sum((x - x_mean) * (y - y_mean) for x, y in enumerate(values)) / sxx
    residual = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in enumerate(values))
    standard_error = math.sqrt(residual / (n - 2) / sxx)
    return abs(slope) <= _T_975_3 * standard_error or math.isclose(slope, 0.0, abs_tol=1e-9 * y_mean)
