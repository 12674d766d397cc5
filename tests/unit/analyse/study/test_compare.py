"""Two experiments by one quantity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.analyse.study.compare import Block, Costs, Difference, Differences


def _values(*values: float, machine: str = "", first: int = 0) -> dict[Block, float]:
    return {(cycle, machine): value for cycle, value in enumerate(values, first)}


def _differences(a: dict[Block, float], b: dict[Block, float], **how: object) -> Differences:
    """``a`` against ``b``, an entry."""
    return Costs([a, b], **{"blocks": True, **how}).against(1, [0])  # type: ignore[arg-type]


def _difference(a: dict[Block, float], b: dict[Block, float], **how: object) -> Difference:
    found = _differences(a, b, **how).at(0)
    assert isinstance(found, Difference)
    return found


A, B = (1.10, 1.33, 0.86, 1.21, 0.77), (1.00, 1.20, 0.80, 1.10, 0.71)


def test_pairs_are_tested_as_one_sample_of_log_ratios() -> None:
    """p and interval are those of scipy's t test."""
    found = _difference(_values(*A), _values(*B))
    expected = stats.ttest_1samp(np.log(np.divide(A, B)), 0)
    assert (found.method, found.n) == ("paired", 5)
    assert _differences(_values(*A), _values(*B)).p_equal == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.ratio_95 == pytest.approx((math.exp(found.mean), math.exp(low), math.exp(high)))


def test_without_blocks_the_means_are_tested_by_welch() -> None:
    """Drift that pairs would cancel stays in; p and interval are those of scipy."""
    found = _difference(_values(*A), _values(*B[:4]), blocks=False)
    expected = stats.ttest_ind(np.log(A), np.log(B[:4]), equal_var=False)
    assert (found.method, found.n) == ("unpaired", 4)
    assert _differences(_values(*A), _values(*B[:4]), blocks=False).p_equal == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.ratio_95[1:] == pytest.approx((math.exp(low), math.exp(high)))


def test_equivalence_is_two_one_sided_tests() -> None:
    """The larger of the two p against both margins."""
    near = tuple(
        value * 1.001 * (1 + error) for value, error in zip(B, (0.001, -0.002, 0.0, 0.003, -0.001), strict=True)
    )
    found = _differences(_values(*near), _values(*B))
    logs, margin = np.log(np.divide(near, B)), math.log(1.02)
    both = (
        stats.ttest_1samp(logs, margin, alternative="less").pvalue,
        stats.ttest_1samp(logs, -margin, alternative="greater").pvalue,
    )
    assert found.p_apart == pytest.approx(max(both)) and found.p_apart < 0.05
    assert _differences(_values(*A), _values(*B)).p_apart > 0.9


def test_a_block_is_a_cycle_on_one_machine() -> None:
    """Two cycles on another board make no pairs with those of this one."""
    a = _values(1.1, 1.2, 1.3) | _values(1.1, 1.2, machine="other", first=3)
    assert _difference(a, _values(1.0, 1.1, 1.2, 1.0, 1.1)).n == 3
    assert _difference(a, _values(1.0, 1.1) | _values(1.0, machine="other", first=3)).method == "paired"
    assert _difference(a, _values(1.0, 1.1, 1.0, machine="third")).method == "unpaired"


@pytest.mark.parametrize("blocks", [True, False])
def test_fewer_than_three_cycles_are_not_compared(blocks: bool) -> None:
    """The reason says how many there must be."""
    found = _differences(_values(1, 2), _values(1, 2, 3), blocks=blocks)
    assert found.at(0) == "needs at least 3 cycles of both" and found.verdicts() == (None,)


def test_values_without_spread() -> None:
    """Equal ones are equal and equivalent; a constant difference is one, beyond all doubt; just at the margin it is open."""
    for blocks in (True, False):
        equal = _differences(_values(1, 1, 1), _values(1, 1, 1), blocks=blocks)
        assert (equal.p_equal.tolist(), equal.p_apart.tolist()) == ([1.0], [0.0])
        double = _differences(_values(2, 2, 2), _values(1, 1, 1), blocks=blocks)
        assert (double.p_equal.tolist(), double.p_apart.tolist()) == ([0.0], [1.0])
    assert _found((math.log1p(0.02), 0.0)).p_apart.tolist() == [0.5]


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


def _found(*means_and_errors: tuple[float, float], n: int = 5) -> Differences:
    mean, error = np.array(means_and_errors).reshape(-1, 2).T
    size = len(mean)
    return Differences(np.full(size, True), np.full(size, n), mean, error, np.full(size, n - 1.0))


def test_four_verdicts() -> None:
    """Better, worse, equivalent, undecided; 1 % for sure is equivalent too."""
    found = _found((-0.2, 0.01), (0.2, 0.01), (0.01, 0.0005), (0.05, 0.05))
    assert found.verdicts() == ("better", "worse", "equivalent", "undecided")
    assert _found().verdicts() == ()


def test_both_kinds_of_claims_are_corrected() -> None:
    """What is worse, or equivalent, alone is undecided among many like it."""
    for found, alone in (((0.05, 0.015), "worse"), ((0.0, 0.008), "equivalent")):
        assert _found(found).verdicts() == (alone,)
        assert set(_found(*[found] * 10).verdicts()) == {"undecided"}


def test_each_is_compared_with_one_of_all() -> None:
    """What is said of one does not depend on which others are in the table; blocks that it lacks are not its own."""
    values = [_values(*A), _values(1.0, 1.1), _values(*B[:3], first=7), _values(*B)]
    found = Costs(values, blocks=True).against(3, [2, 0, 1])
    alone = [_difference(values[0], values[3]), _difference(values[2], values[3])]
    for place, expected in zip((1, 0), alone, strict=True):
        one = found.at(place)
        assert isinstance(one, Difference) and (one.method, one.n) == (expected.method, expected.n)
        assert one.ratio_95 == pytest.approx(expected.ratio_95)
    assert [one.method for one in alone] == ["paired", "unpaired"]
    assert found.at(2) == "needs at least 3 cycles of both"
    assert found.verdicts()[2] is None
