"""Two experiments by one quantity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.analyse.compare import Block, Difference, difference, verdicts


def _values(*values: float, machine: str = "", first: int = 0) -> dict[Block, float]:
    return {(cycle, machine): value for cycle, value in enumerate(values, first)}


def _difference(a: dict[Block, float], b: dict[Block, float], **how: object) -> Difference:
    found = difference(a, b, **{"blocks": True, **how})  # type: ignore[arg-type]
    assert isinstance(found, Difference)
    return found


A, B = (1.10, 1.33, 0.86, 1.21, 0.77), (1.00, 1.20, 0.80, 1.10, 0.71)


def test_pairs_are_tested_as_one_sample_of_log_ratios() -> None:
    """p and interval are those of scipy's t test."""
    found = _difference(_values(*A), _values(*B))
    expected = stats.ttest_1samp(np.log(np.divide(A, B)), 0)
    assert (found.method, found.n) == ("paired", 5)
    assert found.p_equal == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.ratio_95 == pytest.approx((math.exp(found.mean), math.exp(low), math.exp(high)))


def test_without_blocks_the_means_are_tested_by_welch() -> None:
    """Drift that pairs would cancel stays in; p and interval are those of scipy."""
    found = _difference(_values(*A), _values(*B[:4]), blocks=False)
    expected = stats.ttest_ind(np.log(A), np.log(B[:4]), equal_var=False)
    assert (found.method, found.n) == ("unpaired", 4)
    assert found.p_equal == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.ratio_95[1:] == pytest.approx((math.exp(low), math.exp(high)))


def test_equivalence_is_two_one_sided_tests() -> None:
    """The larger of the two p against both margins."""
    near = tuple(
        value * 1.001 * (1 + error) for value, error in zip(B, (0.001, -0.002, 0.0, 0.003, -0.001), strict=True)
    )
    found = _difference(_values(*near), _values(*B))
    logs, margin = np.log(np.divide(near, B)), math.log(1.02)
    both = (
        stats.ttest_1samp(logs, margin, alternative="less").pvalue,
        stats.ttest_1samp(logs, -margin, alternative="greater").pvalue,
    )
    assert found.p_apart == pytest.approx(max(both)) and found.p_apart < 0.05
    assert _difference(_values(*A), _values(*B)).p_apart > 0.9


def test_a_block_is_a_cycle_on_one_machine() -> None:
    """Two cycles on another board make no pairs with those of this one."""
    a = _values(1.1, 1.2, 1.3) | _values(1.1, 1.2, machine="other", first=3)
    assert _difference(a, _values(1.0, 1.1, 1.2, 1.0, 1.1)).n == 3
    assert _difference(a, _values(1.0, 1.1) | _values(1.0, machine="other", first=3)).method == "paired"
    assert _difference(a, _values(1.0, 1.1, 1.0, machine="third")).method == "unpaired"


@pytest.mark.parametrize("blocks", [True, False])
def test_fewer_than_three_cycles_are_not_compared(blocks: bool) -> None:
    """The reason says how many there must be."""
    assert difference(_values(1, 2), _values(1, 2, 3), blocks=blocks) == "needs at least 3 cycles of both"


def test_values_without_spread() -> None:
    """Equal ones are equal and equivalent; a constant difference is one, beyond all doubt; just at the margin it is open."""
    for blocks in (True, False):
        equal = _difference(_values(1, 1, 1), _values(1, 1, 1), blocks=blocks)
        assert (equal.p_equal, equal.p_apart) == (1.0, 0.0)
        double = _difference(_values(2, 2, 2), _values(1, 1, 1), blocks=blocks)
        assert (double.p_equal, double.p_apart) == (0.0, 1.0)
    assert Difference("paired", 3, math.log1p(0.02), 0.0, 2).p_apart == 0.5


@pytest.mark.parametrize("blocks", [True, False])
def test_the_first_stage_gives_the_spread(blocks: bool) -> None:
    """Later cycles move the mean and shrink its error; the spread and its freedom are of the first ones."""
    a, b = _values(*A, *A, 9.9), _values(*B, *B, 5.0)
    early = _difference(_values(*A), _values(*B), blocks=blocks)
    found = _difference(a, b, blocks=blocks, first_stage=5)
    assert found.degrees_of_freedom == pytest.approx(early.degrees_of_freedom)
    assert found.error == pytest.approx(early.error * math.sqrt(5 / 11)) and found.mean > early.mean
    whole = _difference(a, b, blocks=blocks)
    assert _difference(a, b, blocks=blocks, first_stage=2) == whole  # too few of them to say


def _found(mean: float, error: float, n: int = 5) -> Difference:
    return Difference("paired", n, mean, error, n - 1)


def test_four_verdicts() -> None:
    """Better, worse, equivalent, undecided; 1 % for sure is equivalent too."""
    found = [_found(-0.2, 0.01), _found(0.2, 0.01), _found(0.01, 0.0005), _found(0.05, 0.05)]
    assert verdicts(found) == ("better", "worse", "equivalent", "undecided")
    assert verdicts([]) == ()


def test_both_kinds_of_claims_are_corrected() -> None:
    """What is worse, or equivalent, alone is undecided among many like it."""
    for found, alone in ((_found(0.05, 0.015), "worse"), (_found(0.0, 0.008), "equivalent")):
        assert verdicts([found]) == (alone,)
        assert set(verdicts([found] * 10)) == {"undecided"}
