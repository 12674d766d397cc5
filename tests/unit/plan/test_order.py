from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.plan.order import CycleOrder, PlannedTrial, order

_POINTS, _CYCLES = st.integers(0, 12), st.integers(1, 6)


@given(points=_POINTS, cycles=_CYCLES, how=st.sampled_from(get_args(CycleOrder)), seed=st.integers())
def test_every_trial_once_and_numbered(points: int, cycles: int, how: CycleOrder, seed: int) -> None:
    """Each experiment runs once a cycle, in an order of numbers from 1, the same for the same seed."""
    trials = order(points, cycles, how, seed)
    assert [trial.number for trial in trials] == list(range(1, points * cycles + 1))
    assert Counter((trial.point, trial.cycle) for trial in trials) == Counter(
        (point, cycle) for point in range(points) for cycle in range(cycles)
    )
    assert order(points, cycles, how, seed) == trials


@given(points=_POINTS, cycles=_CYCLES, how=st.sampled_from(["interleaved", "shuffled"]), seed=st.integers())
def test_cycles_are_complete_blocks(points: int, cycles: int, how: CycleOrder, seed: int) -> None:
    """A cycle is over before the next begins, so that whatever drifts meets all experiments."""
    cycles_in_order = [trial.cycle for trial in order(points, cycles, how, seed)]
    assert cycles_in_order == sorted(cycles_in_order)


def test_sequential_and_interleaved() -> None:
    """One experiment after the other, or one cycle after the other."""
    assert [(trial.point, trial.cycle) for trial in order(2, 2, "sequential", 0)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert order(2, 2, "interleaved", 0)[:3] == (PlannedTrial(1, 0, 0), PlannedTrial(2, 1, 0), PlannedTrial(3, 0, 1))


def test_shuffled_cycles_differ_and_seeds_differ() -> None:
    """Each block has an order of its own, and another seed gives another."""
    blocks = [
        tuple(trial.point for trial in order(8, 3, "shuffled", seed) if trial.cycle == cycle)
        for seed in (1, 2)
        for cycle in range(3)
    ]
    assert len(set(blocks)) == 6


def test_more_cycles_leave_the_first_as_they_were() -> None:
    """Topping up a shuffled study repeats none of what ran."""
    assert order(5, 4, "shuffled", 3)[:10] == order(5, 2, "shuffled", 3)


def test_the_order_of_a_seed_is_the_same_everywhere() -> None:
    """A plan made on another machine or a later Python has this order."""
    assert [trial.point for trial in order(5, 2, "shuffled", 42)] == [2, 1, 4, 3, 0, 0, 4, 2, 3, 1]


@pytest.mark.parametrize("how", get_args(CycleOrder))
def test_nothing_to_order(how: CycleOrder) -> None:
    """No experiment, no trial."""
    assert order(0, 3, how, 0) == ()
