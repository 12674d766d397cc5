"""How many cycles an interval of a given width needs, decided once, from a first stage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llenergymeasure.analyse.statistics import t_975


def cycles_needed(values: Sequence[float], target_rel_ci: float, max_cycles: int) -> int:
    """Cycles after which the 95 % interval of the mean of ln(value) is within ±``target_rel_ci``; at most ``max_cycles``.

    Stein's two-stage rule: n = max(n0, ⌈(t·s/h)²⌉) with s and t of the first stage's n0 values (C. Stein, A two-sample test for
    a linear hypothesis whose power is independent of the variance, Annals of Mathematical Statistics 16, 1945). Looking at the
    interval after every cycle and stopping when it is narrow would cover less than it says.
    """
    n0 = len(values)
    deviation = float(np.std(np.log(np.asarray(values, dtype=float)), ddof=1))
    half = math.log1p(target_rel_ci)
    return min(max_cycles, max(n0, math.ceil((t_975(n0 - 1) * deviation / half) ** 2)))
