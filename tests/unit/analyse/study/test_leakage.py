"""Start temperature as a covariate: fitted where the cycles carry it, and taken out of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from llenergymeasure.analyse.study.aggregate import Group, aggregate
from llenergymeasure.analyse.study.leakage import fitted
from llenergymeasure.schema.energy import EnergyGroup
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.testing.builders import experiment_result

_PER_K = 0.002


def _cycles(
    base_j: float, temperatures: Sequence[float], *, noise: Sequence[float] | None = None, device: str = "GPU-1"
) -> tuple[ExperimentResult, ...]:
    """Cycles of an experiment that takes ``base_j`` at 50 °C, and 0.2 % more a kelvin."""
    noise = noise if noise is not None else [0.0] * len(temperatures)
    return tuple(
        experiment_result(
            per_token_j=base_j * math.exp(_PER_K * (at_c - 50) + more),
            cycle=cycle,
            energy=EnergyGroup(start_temperature_c={device: at_c}),
        )
        for cycle, (at_c, more) in enumerate(zip(temperatures, noise, strict=True))
    )


_A, _B = [44.0, 47.0, 50.0, 53.0, 56.0, 50.0], [55.0, 45.0, 52.0, 48.0, 51.0, 49.5]


def test_the_slope_is_that_within_experiments() -> None:
    """Experiments that take more are no sign of warmth."""
    found = fitted([_cycles(0.05, _A), _cycles(0.09, _B)])
    assert found is not None
    assert found.per_k == pytest.approx(_PER_K) and found.mean_c == pytest.approx(50.0, abs=0.1)
    assert found.u_per_k == pytest.approx(0.0, abs=1e-9)
    assert found.at_mean(0.05 * math.exp(_PER_K * 6), found.mean_c + 6) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "experiments",
    [
        [_cycles(0.05, _A[:4]), _cycles(0.09, _B[:4])],
        [_cycles(0.05, [50.0, 50.4] * 4), _cycles(0.09, [50.2, 50.6] * 4)],
        [_cycles(0.05, [t - 8 for t in _A]), _cycles(0.09, [t + 8 for t in _B])],
        [_cycles(0.05, _A), _cycles(0.09, _B, device="GPU-2")],
        [_cycles(0.05, _A, noise=[0.1, -0.1] * 3), _cycles(0.09, _B, noise=[-0.1, 0.1] * 3)],
        [tuple(experiment_result(cycle=cycle) for cycle in range(6))] * 2,
        [],
    ],
    ids=["few cycles", "no spread", "far apart", "two boards", "noise", "no temperature", "nothing"],
)
def test_what_does_not_carry_a_slope_gives_none(experiments: Sequence[Sequence[ExperimentResult]]) -> None:
    """A guess would add more doubt than it takes away."""
    assert fitted(experiments) is None


def test_comparisons_are_at_one_start_temperature() -> None:
    """What warmth did to each cycle is taken out of the ratio, which says so; the numbers of experiments stay as they are."""
    generator = np.random.default_rng(3)
    noise = generator.normal(0, 0.0005, (2, 6))
    cycles = _cycles(0.05, _A, noise=noise[0].tolist()), _cycles(0.05 * 1.01, _B, noise=noise[1].tolist())
    warm = aggregate([Group("a", {}, cycles[0]), Group("b", {}, cycles[1])]).aggregates
    assert [one.energy_per_k for one in warm] == [pytest.approx(_PER_K, rel=0.2)] * 2
    ratio = warm[1].ratio_to_best
    assert ratio is not None and ratio.value == pytest.approx(1.01, abs=0.001) and ratio.repeatability_95 is not None
    assert ratio.repeatability_95.high - ratio.repeatability_95.low < 0.004
    assert warm[0].energy_per_output_token_j.value == pytest.approx(
        sum(one.energy_total_j.value or 0 for one in cycles[0]) / sum(one.tokens.output_tokens for one in cycles[0])
    )
    bare = [tuple(one.model_copy(update={"energy": EnergyGroup()}) for one in experiment) for experiment in cycles]
    plain = aggregate([Group("a", {}, bare[0]), Group("b", {}, bare[1])]).aggregates[1].ratio_to_best
    assert plain is not None and plain.repeatability_95 is not None
    assert plain.repeatability_95.high - plain.repeatability_95.low > 0.015
