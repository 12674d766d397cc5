from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from llenergymeasure.analyse.statistics import (
    holm,
    log_mean_interval,
    log_ratio_interval,
    log_ratio_p,
    quantile_ranks,
    ratio_interval,
    t_975,
)


def test_quantiles_of_students_t() -> None:
    """Against a table of the distribution."""
    assert t_975(3) == pytest.approx(3.182, abs=5e-4)
    assert t_975(9) == pytest.approx(2.262, abs=5e-4)
    assert t_975(1e6) == pytest.approx(1.960, abs=5e-4)


# --- ratio of sums within a trial


def test_ratio_of_sums_is_not_the_mean_of_ratios() -> None:
    """Joules over tokens: a slice with few tokens does not count like one with many."""
    ratio, interval = ratio_interval([1.0, 9.0], [1.0, 1.0 / 9])
    assert ratio == pytest.approx(10 / (10 / 9)) and interval is None


@pytest.mark.parametrize(("n", "given"), [(9, False), (10, True)])
def test_below_ten_slices_there_is_no_interval(n: int, given: bool) -> None:
    """Few slices say nothing about their own spread."""
    ratio, interval = ratio_interval([2.0] * n, [1.0] * n)
    assert ratio == 2.0 and (interval is not None) is given


def test_equal_slices_have_an_interval_of_no_width() -> None:
    """No spread, no width."""
    _, interval = ratio_interval([2.0] * 12, [4.0] * 12)
    assert interval is not None and interval.low == interval.high == 0.5


def test_with_equal_denominators_it_is_the_t_interval_of_a_mean() -> None:
    """The jackknife of a mean is the mean's own interval."""
    values = list(np.random.default_rng(3).normal(5, 1, 12))
    ratio, interval = ratio_interval(values, [1.0] * 12)
    low, high = stats.t.interval(0.95, 11, np.mean(values), stats.sem(values))
    assert interval is not None
    assert (ratio, interval.low, interval.high) == pytest.approx((np.mean(values), low, high))


@pytest.mark.parametrize("slices", [10, 30])
def test_ratio_intervals_cover_the_truth(slices: int) -> None:
    """Nineteen of twenty intervals over noisy slices hold the true ratio."""
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(1000):
        tokens = generator.poisson(200, slices) + 1.0
        joules = 0.3 * tokens + generator.normal(0, 4, slices)
        _, interval = ratio_interval(list(joules), list(tokens))
        assert interval is not None
        covered += interval.low <= 0.3 <= interval.high
    assert 0.935 <= covered / 1000 <= 0.975


# --- over cycles


def test_one_value_has_no_interval_and_two_have_their_range() -> None:
    """Below three cycles there is nothing to compute an interval from."""
    assert log_mean_interval([4.0]) == (pytest.approx(4.0), None)
    mean, interval = log_mean_interval([8.0, 2.0])
    assert mean == pytest.approx(4.0) and interval is not None and (interval.low, interval.high) == (2.0, 8.0)


def test_from_three_values_on_the_interval_is_on_the_log_scale() -> None:
    """It lies around the geometric mean, as far above as below in ratio."""
    values = [1.0, 1.1, 1.3, 0.9]
    mean, interval = log_mean_interval(values)
    assert interval is not None
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 3, np.mean(logs), stats.sem(logs))
    assert (mean, interval.low, interval.high) == pytest.approx(
        (math.exp(np.mean(logs)), math.exp(low), math.exp(high))
    )
    assert interval.high / mean == pytest.approx(mean / interval.low)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_log_intervals_cover_the_truth(n: int) -> None:
    """Nineteen of twenty intervals over cycles hold the true value."""
    generator = np.random.default_rng(n)
    covered = 0
    for _ in range(1000):
        _, interval = log_mean_interval(list(np.exp(generator.normal(math.log(0.05), 0.02, n))))
        assert interval is not None
        covered += interval.low <= 0.05 <= interval.high
    assert 0.935 <= covered / 1000 <= 0.975


def test_ratios_are_paired() -> None:
    """What both of a pair share cancels: the interval of a constant ratio has no width."""
    mean, low, high = log_ratio_interval([(2.0, 1.0), (20.0, 10.0), (0.2, 0.1)])
    assert (mean, low, high) == pytest.approx((math.log(2),) * 3)


def test_p_and_interval_agree_with_each_other_and_with_scipy() -> None:
    """A p below α is an interval of confidence 1 − α without 0."""
    generator = np.random.default_rng(5)
    for _ in range(50):
        pairs = [(math.exp(value), 1.0) for value in generator.normal(0.02, 0.02, 5)]
        p = log_ratio_p(pairs)
        assert p == pytest.approx(stats.ttest_1samp(np.log([a for a, _ in pairs]), 0).pvalue)
        _, low, high = log_ratio_interval(pairs, 1 - p * 1.01)
        assert low > 0 or high < 0
        _, low, high = log_ratio_interval(pairs, 1 - p * 0.99)
        assert low < 0 < high


def test_pairs_without_spread() -> None:
    """Equal pairs are not distinct; a constant difference is, beyond all doubt."""
    assert log_ratio_p([(1.0, 1.0)] * 3) == 1.0
    assert log_ratio_p([(2.0, 1.0)] * 3) == 0.0


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([], []),
        ([0.04], [True]),
        ([0.06], [False]),
        ([0.04, 0.03], [False, False]),
        ([0.04, 0.01], [True, True]),
        ([0.01, 0.04, 0.03], [True, False, False]),
        ([0.6, 0.001, 0.012, 0.02], [False, True, True, True]),
    ],
)
def test_holms_correction(p_values: list[float], rejected: list[bool]) -> None:
    """The smallest p must be below α/m, the next below α/(m − 1), and after the first that is not, none counts."""
    assert holm(p_values) == tuple(rejected)


@pytest.mark.parametrize(
    ("n", "p", "ranks"),
    [
        (5, 0.5, None),
        (6, 0.5, (1, 6)),
        (10, 0.5, (2, 9)),
        (100, 0.5, (40, 61)),
        (35, 0.9, None),
        (1000, 0.99, (983, 997)),
    ],
)
def test_ranks_around_a_quantile(n: int, p: float, ranks: tuple[int, int] | None) -> None:
    """As in printed tables of distribution-free intervals."""
    assert quantile_ranks(n, p) == ranks


@pytest.mark.parametrize(("n", "p"), [(20, 0.5), (100, 0.9), (400, 0.99)])
def test_intervals_between_ranks_cover_the_quantile(n: int, p: float) -> None:
    """In 95 % of samples of a skewed distribution or more, whatever it is."""
    low, high = quantile_ranks(n, p) or (0, 0)
    samples = np.sort(np.random.default_rng(1).lognormal(size=(4000, n)), axis=1)
    truth = math.exp(float(ndtri(p)))
    covered = float(np.mean((samples[:, low - 1] <= truth) & (truth <= samples[:, high - 1])))
    assert 0.945 <= covered <= 0.99
