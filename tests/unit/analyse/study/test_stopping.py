"""How many cycles an interval of a given width needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.analyse.statistics import log_mean_interval
from llenergymeasure.analyse.study.stopping import cycles_needed

_FIRST = (0.050, 0.052, 0.049, 0.051, 0.048)


def test_steins_rule() -> None:
    """(t·s/h)² of the first stage, rounded up, on the log scale."""
    expected = (stats.t.ppf(0.975, 4) * np.std(np.log(_FIRST), ddof=1) / math.log(1.015)) ** 2
    assert cycles_needed(_FIRST, 0.015, 100) == math.ceil(expected) > 5


@pytest.mark.parametrize(("target", "most", "cycles"), [(0.5, 20, 5), (0.001, 20, 20), (0.02, 30, 20)])
def test_the_first_stage_is_the_least_and_the_limit_the_most(target: float, most: int, cycles: int) -> None:
    """Wide intervals need no second stage, narrow ones no more than is allowed."""
    assert cycles_needed(_FIRST, target, most) == cycles


def test_equal_values_need_no_more() -> None:
    """No spread, no second stage."""
    assert cycles_needed([0.05] * 5, 0.01, 20) == 5


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_is_as_narrow_as_asked(seed: int) -> None:
    """Whatever the later cycles are: its width is fixed by the first stage."""
    values = list(np.exp(np.random.default_rng(seed).normal(-3, 0.03, 1000)))
    n = cycles_needed(values[:5], 0.01, 1000)
    mean, interval = log_mean_interval(values[:n], 5)
    assert interval is not None and interval.high / mean - 1 <= 0.01 + 1e-12


def test_a_scale_does_not_matter() -> None:
    """Joules or millijoules, tokens or their inverse: the number is the same."""
    for other in ([value * 1000 for value in _FIRST], [1 / value for value in _FIRST]):
        assert cycles_needed(other, 0.015, 100) == cycles_needed(_FIRST, 0.015, 100)
