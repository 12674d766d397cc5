from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from llenergymeasure.analyse.statistics import (
    holm,
    holm_against_chosen,
    log_mean_interval,
    neighbours_correlate,
    quantile_ranks,
    ratio_interval,
    ratio_of,
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


def test_slices_that_do_not_hang_together_have_the_t_interval_of_a_mean() -> None:
    """The jackknife of a mean is the mean's own interval, as long as neighbours are not alike."""
    values = [5.0, 6.0, 4.2, 5.9, 4.1, 6.1, 5.2, 5.8, 4.4, 5.5, 4.7, 5.6]
    ratio, interval = ratio_interval(values, [1.0] * 12)
    low, high = stats.t.interval(0.95, 11, np.mean(values), stats.sem(values))
    assert interval is not None
    assert (ratio, interval.low, interval.high) == pytest.approx((np.mean(values), low, high))


def test_slices_that_hang_together_count_for_fewer() -> None:
    """The same values in an order in which neighbours are alike say less."""
    values = [5.0, 6.0, 4.2, 5.9, 4.1, 6.1, 5.2, 5.8, 4.4, 5.5, 4.7, 5.6]
    _, mixed = ratio_interval(values, [1.0] * 12)
    _, drifting = ratio_interval(sorted(values), [1.0] * 12)
    assert mixed is not None and drifting is not None
    assert drifting.high - drifting.low > 3 * (mixed.high - mixed.low)


# --- over cycles


def test_slices_without_any_denominator_have_no_ratio() -> None:
    """Neither where all are 0 nor where one slice has everything: without it there is nothing to divide by."""
    assert ratio_of([1.0] * 12, [0.0] * 12) is None
    assert ratio_of([1.0] * 12, [5.0] + [0.0] * 11) is None


@pytest.mark.parametrize(
    ("wave", "correlate"),
    [(([1] * 6 + [-1] * 6) * 2, True), ([1, -1] * 12, True), ([1, -1, -1, 1] * 6, False), ([0] * 24, False)],
    ids=["alike", "opposite", "neither", "rounding only"],
)
def test_neighbours_that_depend_on_each_other_are_seen(wave: list[int], correlate: bool) -> None:
    """Whether they are alike or opposite; what the arithmetic leaves of equal ratios is nothing."""
    tokens = [100.0 + 0.1 * place for place in range(24)]
    energies = [0.05 * count * (1 + 0.02 * sign) for count, sign in zip(tokens, wave, strict=True)]
    assert neighbours_correlate(energies, tokens) is correlate


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


def test_the_first_stage_gives_the_spread() -> None:
    """All values give the mean, and the number that it is a mean of; the freedom is the first stage's."""
    values = [1.0, 1.1, 0.9, 3.0, 0.2, 1.0]
    mean, interval = log_mean_interval(values, 3)
    assert interval is not None
    half = stats.t.ppf(0.975, 2) * np.std(np.log(values[:3]), ddof=1) / math.sqrt(6)
    assert mean == pytest.approx(math.exp(np.mean(np.log(values))))
    assert (interval.low, interval.high) == pytest.approx((mean * math.exp(-half), mean * math.exp(half)))


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
    ("p_values", "rejected"),
    [
        ([], []),
        ([0.04], [True]),
        ([0.016, 0.04], [True, True]),
        ([0.017, 0.001], [True, True]),
        ([0.017, 0.02], [False, False]),
        ([0.02, 0.008, 0.016], [True, True, True]),
        ([0.02, 0.009, 0.016], [False, False, False]),
    ],
)
def test_against_one_that_was_chosen(p_values: list[float], rejected: list[bool]) -> None:
    """The smallest p must be below α over all pairs of m + 1, the next over those of m, and so on."""
    assert holm_against_chosen(p_values) == tuple(rejected)


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
