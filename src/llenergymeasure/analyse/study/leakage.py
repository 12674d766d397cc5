"""What a kelvin of start temperature costs, from the cycles of a study on one board: the covariate of its comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llenergymeasure.schema.experiment import ExperimentResult

# So many degrees of freedom, so much spread of temperature, and so good a slope must there be.
_LEAST_FREEDOM, _LEAST_SPREAD_K, _MOST_ERROR_PER_K = 8, 1.0, 0.001
# What the slope's error may do to the difference of two experiments, in standard errors of their means.
_MOST_BIAS = 0.15


@dataclass(frozen=True, slots=True)
class Leakage:
    """Energy per token rises by ``per_k`` of itself a kelvin of start temperature; ``mean_c`` is that of all cycles."""

    per_k: float
    u_per_k: float
    mean_c: float

    def at_mean(self, value: float, start_c: float) -> float:
        """A value as it would have been with the mean start temperature."""
        return value * math.exp(-self.per_k * (start_c - self.mean_c))


def start_c(result: ExperimentResult) -> float | None:
    """The mean start temperature of the devices that worked; ``None`` where none was read."""
    found = result.energy.start_temperature_c.values()
    return math.fsum(found) / len(found) if found else None


def fitted(experiments: Sequence[Sequence[ExperimentResult]]) -> Leakage | None:
    """Analysis of covariance: one slope for ln(J/token) against start temperature within all experiments.

    ``None`` when the data do not carry it: other boards, energies or temperatures that are missing, too few cycles, too little
    spread of temperature, or experiments that started at temperatures so different that the slope's own error would decide.
    """
    results = [result for cycles in experiments for result in cycles]
    if len({tuple(sorted(result.energy.start_temperature_c)) for result in results}) != 1:
        return None
    points = [
        [(start_c(result), result.energy_per_output_token_j) for result in cycles] for cycles in experiments if cycles
    ]
    known = [
        np.array([(at_c, math.log(energy.value)) for at_c, energy in cycles if at_c is not None and energy.value])
        for cycles in points
    ]
    if any(len(found) < len(cycles) for found, cycles in zip(known, points, strict=True)):
        return None
    freedom = len(results) - len(known) - 1
    if freedom < _LEAST_FREEDOM or any(energy.estimated for cycles in points for _, energy in cycles):
        return None
    within = np.concatenate([found - found.mean(axis=0) for found in known])
    squares = float((within[:, 0] ** 2).sum())
    if math.sqrt(squares / len(results)) < _LEAST_SPREAD_K:
        return None
    per_k = float((within[:, 0] * within[:, 1]).sum()) / squares
    deviation = math.sqrt(float(((within[:, 1] - per_k * within[:, 0]) ** 2).sum()) / freedom)
    u_per_k = deviation / math.sqrt(squares)
    means_c = [float(found[:, 0].mean()) for found in known]
    fewest = min(len(found) for found in known)
    # The slope's error times the difference of means, over the error of a mean: the deviation cancels.
    bias = (max(means_c) - min(means_c)) / math.sqrt(squares) * math.sqrt(fewest)
    if u_per_k > _MOST_ERROR_PER_K or bias > _MOST_BIAS:
        return None
    return Leakage(per_k, u_per_k, float(np.concatenate(known)[:, 0].mean()))
