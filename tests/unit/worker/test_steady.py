from __future__ import annotations

import random

import pytest

from llenergymeasure.model.event import PowerTrend
from llenergymeasure.worker.steady import WINDOW, power_is_steady, steadiness


@pytest.mark.parametrize("n", range(WINDOW))
def test_too_few_batches_say_nothing(n: int) -> None:
    """Below five batches there is no coefficient of variation and no steadiness."""
    judged = steadiness([1.0] * n, 0.05)
    assert judged.cv is None and not judged.steady


def test_equal_batches_are_steady() -> None:
    """No spread and no trend."""
    judged = steadiness([0.3] * 5, 0.05)
    assert judged.steady and judged.cv == pytest.approx(0.0, abs=1e-12)


def test_only_the_last_five_count() -> None:
    """A slow begin is forgotten."""
    assert steadiness([9.0, 5.0, 3.0, 1.00, 1.01, 0.99, 1.01, 1.00], 0.05).steady


def test_spread_beyond_the_target_is_not_steady() -> None:
    """Without a trend, the spread alone decides."""
    values = [1.0, 1.2, 0.9, 1.2, 1.0]
    judged = steadiness(values, 0.05)
    assert judged.cv == pytest.approx(0.127, abs=0.001) and not judged.steady
    assert steadiness(values, 0.15).steady


@pytest.mark.parametrize("step", [-0.01, 0.01])
def test_a_trend_is_not_steady_however_small_the_spread(step: float) -> None:
    """Batches that become faster or slower in a line are not steady, though they differ by little."""
    judged = steadiness([1.0 + step * index for index in range(5)], 0.05)
    assert judged.cv is not None and judged.cv < 0.05
    assert not judged.steady


def test_batches_that_took_no_time_say_nothing() -> None:
    """A mean of zero has no coefficient of variation."""
    assert steadiness([0.0] * 5, 0.05).cv is None


def test_noise_without_a_trend_is_nearly_always_steady() -> None:
    """The test of the trend is wrong for one in twenty."""
    generator = random.Random(7)
    steady = sum(steadiness([generator.gauss(1, 0.01) for _ in range(5)], 0.05).steady for _ in range(1000))
    assert 930 <= steady <= 970


@pytest.mark.parametrize(
    ("trend", "steady"),
    [
        (None, False),
        (PowerTrend(None, 0.0), True),
        (PowerTrend(None, 0.3), False),
        (PowerTrend(0.009, 0.0), True),
        (PowerTrend(0.011, 0.0), False),
        (PowerTrend(0.0, None), True),
        (PowerTrend(0.0, 0.24), True),
        (PowerTrend(0.0, -0.26), False),
    ],
)
def test_power_is_steady_when_its_blocks_agree_and_the_window_will_not_drift(
    trend: PowerTrend | None, steady: bool
) -> None:
    """Less than 1 % between two 5 s; 0.25 °C/s at 0.2 % a degree is 0.5 % over 10 s. Before there is a trend, nothing is."""
    assert power_is_steady(trend, 0.005, 10.0) is steady
