"""What a sensor may have missed that does not look all the time."""

from __future__ import annotations

import numpy as np
import pytest

from llenergymeasure.analyse.energy.alias import Look, alias_w, keeps_pace

_QUARTER = Look(0.025, 0.1, True)


def _seen(step_s: float, looks: int, swing_w: float = 66.0, mean_w: float = 330.0) -> np.ndarray:
    """Mean power of the last quarter of each tick, of a square wave."""
    ends_s = 0.1 * np.arange(1, looks + 1)
    energy_j = [mean_w * at_s + swing_w * _risen_s(at_s, step_s) for at_s in (ends_s - 0.025, ends_s)]
    return (energy_j[1] - energy_j[0]) / 0.025


def _risen_s(at_s: np.ndarray, step_s: float) -> np.ndarray:
    """The integral of a wave of +1 and −1."""
    within_s = at_s % step_s
    return np.minimum(within_s, step_s - within_s)


def test_a_sensor_that_sees_all_misses_nothing() -> None:
    """Duty 1 has no alias, locked or not."""
    for step_s in (0.1, 0.031, None):
        assert alias_w(Look(0.1, 0.1, True), _seen(0.031, 50), 300.0, step_s) == 0.0


@pytest.mark.parametrize("step_s", [0.1, 0.05, 0.2 / 4])
def test_in_lock_all_that_was_not_seen_is_possible(step_s: float) -> None:
    """Three quarters of the range, rectangular: it holds what such a sensor is off by."""
    seen_w = _seen(step_s, 100)
    bound_w = alias_w(_QUARTER, seen_w, 280.0, step_s)
    assert bound_w == pytest.approx(0.75 * 280 / np.sqrt(3))
    assert abs(seen_w.mean() - 330) <= 1.96 * bound_w


@pytest.mark.parametrize("step_s", [0.0123, 0.0217, 0.0311, 0.0371, 0.0442, 0.0487])
def test_out_of_lock_the_error_is_small_and_within_what_is_stated(step_s: float) -> None:
    """Steps of a model beat with the ticks: over 20 s the mean is much better than in lock, and no worse than stated."""
    seen_w = _seen(step_s, 200)
    stated_w = alias_w(_QUARTER, seen_w, 280.0, step_s)
    assert abs(seen_w.mean() - 330) <= 2.5 * stated_w
    assert stated_w < 0.1 * 0.75 * 280


def test_more_looks_know_more() -> None:
    """Out of lock what is missed averages out."""
    few_w, many_w = (alias_w(_QUARTER, _seen(0.0371, looks), 280.0, 0.0371) for looks in (20, 500))
    assert many_w < few_w / 4


def test_without_steps_constant_power_may_be_a_lock_and_scatter_is_none() -> None:
    """What never changes to a sensor that sees a quarter may do so in between; what scatters was seen at other phases."""
    rng = np.random.default_rng(1)
    assert alias_w(_QUARTER, np.full(100, 300.0), 200.0, None) == pytest.approx(0.75 * 200 / np.sqrt(3))
    assert alias_w(_QUARTER, 300 + 30 * rng.standard_normal(100), 200.0, None) < 8.0


def test_a_guessed_duty_counts_scatter_only() -> None:
    """Of a counter that does not say how long it looks: nothing for constant power, √(1 − d)·s/√N for what scatters."""
    guess = Look(0.025, 0.1, False)
    rng = np.random.default_rng(2)
    assert alias_w(guess, np.full(100, 300.0), 200.0, 0.1) == 0.0
    assert alias_w(guess, 300 + 30 * rng.standard_normal(400), 200.0, 0.031) == pytest.approx(30 * 0.866 / 20, rel=0.2)


@pytest.mark.parametrize("step_s", [0.1, 0.0998, 0.1002, 0.05, 0.1 / 3, 0.2])
def test_steps_in_pace_are_seen_where_nobody_knows_how_long_a_sensor_looks(step_s: float) -> None:
    """Over 100 ticks, within 0.2 % of lock; where it is known how long it looks, the bound of aliasing says it instead."""
    assert keeps_pace(Look(0.025, 0.1, False), 100, step_s)
    assert not keeps_pace(_QUARTER, 100, step_s)


@pytest.mark.parametrize("step_s", [0.0123, 0.005, 0.03, 0.0371, 0.08, 0.11, 0.31, None])
def test_other_steps_are_not_in_pace(step_s: float | None) -> None:
    """Neither those that beat with the ticks, nor those of which many fit into a quarter of one."""
    assert not keeps_pace(Look(0.025, 0.1, False), 100, step_s)


def test_few_of_all_steps_are_in_pace() -> None:
    """Of steps of 5 to 300 ms, less than 3 % over 10 s."""
    steps_s = np.geomspace(0.005, 0.3, 5000)
    assert np.mean([keeps_pace(Look(0.025, 0.1, False), 100, step_s) for step_s in steps_s.tolist()]) < 0.03
