"""What the statistics promise, as simulations: how often an interval holds the truth, how often a verdict is wrong or right.

The functions that are simulated are those that make results. Everything is on the log scale: ``cv`` is the standard deviation of
one cycle's logarithm, 0.02 is 2 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from llenergymeasure.analyse.statistics import log_mean_interval, ratio_interval
from llenergymeasure.analyse.study.aggregate import Group, aggregate
from llenergymeasure.analyse.study.compare import EQUIVALENCE_MARGIN, Costs, Difference
from llenergymeasure.analyse.study.ranking import Candidate, Compared, rank
from llenergymeasure.analyse.study.stopping import cycles_needed
from llenergymeasure.schema.energy import EnergyGroup
from llenergymeasure.schema.quantity import Interval
from llenergymeasure.testing.builders import experiment_result, joules
from llenergymeasure.testing.single_run import TRUE_J, autoregression, single_run

_FIRST_STAGE, _MAX_CYCLES = 5, 20
_GATE_MARGIN = 0.03


@dataclass(frozen=True, slots=True)
class Promise:
    """What is counted in one simulated study or trial, and the share of them between which it must lie."""

    what: str
    low: float
    high: float
    once: Callable[[np.random.Generator], bool]

    def share(self, runs: int, seed: int) -> float:
        """The share in so many runs."""
        generator = np.random.default_rng(seed)
        return sum(self.once(generator) for _ in range(runs)) / runs


def promises() -> Iterator[Promise]:
    """All that the measurement protocol demands of intervals and verdicts."""
    for n in (3, 5, 10):
        yield Promise(f"repeatability over {n} cycles covers", 0.935, 0.975, partial(_over_cycles, n))
    for n in (10, 30, 60):
        yield Promise(f"within a run, {n} slices, cover", 0.935, 0.975, partial(_within_run, n, 0.0))
    for phi, n in product((0.3, 0.6), (10, 30, 60)):
        yield Promise(f"within a run, {n} slices correlated by {phi}, cover", 0.92, 1.0, partial(_within_run, n, phi))
    for n in (3, 5):
        yield Promise(f"absolute over {n} cycles, gain ±5 %, covers", 0.94, 1.0, partial(_absolute, n))
    for cv in (0.01, 0.02, 0.03, 0.05):
        yield Promise(f"after two stages for ±2 %, spread {cv:.0%}, covers", 0.94, 1.0, partial(_two_stages, cv, 0.02))
    for n in (3, 5, 10):
        yield Promise(f"two equals, {n} pairs, told apart", 0.0, 0.06, partial(_apart, [0.0] * 2, n))
    yield Promise("two equals, 5 cycles unpaired, told apart", 0.0, 0.06, partial(_apart, [0.0] * 2, 5, blocks=False))
    yield Promise("two equals after two stages, told apart", 0.0, 0.06, _apart_after_two_stages)
    for n in (3, 5, 10):
        yield Promise(f"8 equals, {n} cycles, any told apart", 0.0, 0.06, partial(_apart, [0.0] * 8, n))
    four = [0.0] * 4 + [0.5] * 4
    yield Promise("4 equals and 4 others, 5 cycles, any equal told apart", 0.0, 0.06, partial(_apart, four, 5))
    for k in (2, 8):
        what = f"{k - 1} at 2 % from the best, 5 cycles, any called equivalent"
        yield Promise(what, 0.0, 0.06, partial(_false_equivalence, k))
    yield Promise("3 % worse, 5 pairs with spread 1 %, is called so", 0.80, 1.0, _power)
    for length_s in (10.0, 30.0):
        yield Promise(
            f"one run of {length_s:g} s, repeatability covers", 0.935, 0.975, partial(_one_run, length_s, 0.0)
        )
        for phi in (0.3, 0.6):
            what = f"one run of {length_s:g} s, half seconds correlated by {phi}, repeatability covers"
            yield Promise(what, 0.92, 1.0, partial(_one_run, length_s, phi))
    yield Promise("one run of 10 s, gain ±5 %, absolute covers", 0.95, 1.0, _one_run_absolute)
    yield Promise("ratio of two equals, 6 cycles begun within ±5 °C, covers", 0.93, 0.98, _ratio_when_warm)
    yield Promise("ratio of two configurations of one board, 5 cycles, covers", 0.93, 0.98, _ratio_on_one_board)
    for effect in (0.0, _GATE_MARGIN):
        what = f"{effect:.0%} worse, a gate at {_GATE_MARGIN:.0%}: 5 pairs and 5 fresh ones both above it"
        yield Promise(what, 0.0, 0.01, partial(_gate_alarms, effect))


def _over_cycles(n: int, generator: np.random.Generator) -> bool:
    _, interval = log_mean_interval(list(TRUE_J * np.exp(generator.normal(0, 0.02, n))))
    return _holds(interval, TRUE_J)


def _within_run(n: int, phi: float, generator: np.random.Generator) -> bool:
    """Slices with 200 tokens each or so, whose joules per token wander as a first-order autoregression."""
    noise = autoregression(n, phi, generator)
    tokens = generator.poisson(200, n) + 1.0
    return _holds(ratio_interval(list(tokens * TRUE_J * (1 + 0.03 * noise)), list(tokens))[1], TRUE_J)


def _one_run(length_s: float, phi: float, generator: np.random.Generator) -> bool:
    return _holds(single_run(length_s, phi, 1.0, generator).repeatability_95, TRUE_J)


def _one_run_absolute(generator: np.random.Generator) -> bool:
    return _holds(single_run(10.0, 0.0, 1 + generator.uniform(-0.05, 0.05), generator).absolute_95, TRUE_J)


def _ratio_on_one_board(generator: np.random.Generator) -> bool:
    """Two whose cycles are read with the same wrong gain, and drift together; one takes 4 % more than the other."""
    gain, effect = generator.uniform(0.95, 1.05), math.log(1.04)
    drift, noise = generator.normal(0, 0.05, 5), generator.normal(0, 0.01, (2, 5))
    candidates = [
        Candidate(
            place, {(cycle, ""): gain * math.exp(more + drift[cycle] + noise[place, cycle]) for cycle in range(5)}
        )
        for place, more in enumerate((0.0, effect))
    ]
    tiers, compared = rank(candidates)
    best, (other, found) = tiers[0].best, next(iter(compared.items()))
    assert found.difference is not None
    _, low, high = found.difference.ratio_95
    return low <= math.exp(effect if other > best else -effect) <= high


def _ratio_when_warm(generator: np.random.Generator) -> bool:
    """Each cycle begins at a temperature of its own and takes 0.2 % more a kelvin."""
    groups = []
    for label in "ab":
        begun_c = generator.uniform(45, 55, 6)
        values = TRUE_J * np.exp(0.002 * (begun_c - 50) + generator.normal(0, 0.004, 6))
        results = tuple(
            experiment_result(
                per_token_j=float(value), cycle=cycle, energy=EnergyGroup(start_temperature_c={"GPU": float(at_c)})
            )
            for cycle, (value, at_c) in enumerate(zip(values, begun_c, strict=True))
        )
        groups.append(Group(label, {}, results))
    (ratio,) = [one.ratio_to_best for one in aggregate(groups).aggregates if one.ratio_to_best is not None]
    return _holds(ratio.repeatability_95, 1.0)


def _absolute(n: int, generator: np.random.Generator) -> bool:
    """Every cycle is read with the same wrong gain."""
    gain, half = generator.uniform(-0.05, 0.05), 1.96 * 0.05 / math.sqrt(3)
    results = []
    for cycle, value in enumerate(TRUE_J * (1 + gain) * np.exp(generator.normal(0, 0.01, n))):
        bounds = Interval(low=value * (1 - half), high=value * (1 + half))
        energy = joules(float(value), "J/token", absolute_95=bounds)
        results.append(experiment_result(per_token_j=float(value), cycle=cycle, energy_per_output_token_j=energy))
    (found,) = aggregate([Group("a", {}, tuple(results))]).aggregates
    return _holds(found.energy_per_output_token_j.absolute_95, TRUE_J)


def _two_stages(cv: float, target: float, generator: np.random.Generator) -> bool:
    values = list(TRUE_J * np.exp(generator.normal(0, cv, _MAX_CYCLES)))
    n = cycles_needed(values[:_FIRST_STAGE], target, _MAX_CYCLES)
    return _holds(log_mean_interval(values[:n], _FIRST_STAGE if n > _FIRST_STAGE else None)[1], TRUE_J)


def _holds(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    return interval.low <= truth <= interval.high


def _study(
    effects: Sequence[float], n: int, spread: float, generator: np.random.Generator, *, blocks: bool = True
) -> tuple[int, dict[int, Compared]]:
    """(the best, how the others compare with it). ``spread``: of a difference of two; all of a block share a drift of 5 %."""
    drift = generator.normal(0, 0.05 if blocks else 0.0, n)
    noise = generator.normal(0, spread / math.sqrt(2), (len(effects), n))
    candidates = [
        Candidate(place, {(cycle, ""): math.exp(effect + drift[cycle] + noise[place, cycle]) for cycle in range(n)})
        for place, effect in enumerate(effects)
    ]
    tiers, compared = rank(candidates, blocks=blocks)
    return tiers[0].best, compared


def _apart(effects: Sequence[float], n: int, generator: np.random.Generator, *, blocks: bool = True) -> bool:
    """Whether any that equals the best is called better or worse. The spread leaves no room for *equivalent*."""
    best, compared = _study(effects, n, 0.05, generator, blocks=blocks)
    return any(
        found.verdict in ("better", "worse") for place, found in compared.items() if effects[place] == effects[best]
    )


def _apart_after_two_stages(generator: np.random.Generator) -> bool:
    """Two equals, each with as many cycles as its own first stage asks for."""
    candidates = []
    for place in range(2):
        values = np.exp(generator.normal(0, 0.02, _MAX_CYCLES))
        n = cycles_needed(list(values[:_FIRST_STAGE]), 0.015, _MAX_CYCLES)
        candidates.append(Candidate(place, {(cycle, ""): float(values[cycle]) for cycle in range(n)}))
    _, compared = rank(candidates, first_stage=_FIRST_STAGE)
    return any(found.verdict in ("better", "worse") for found in compared.values())


def _false_equivalence(k: int, generator: np.random.Generator) -> bool:
    """One is better than all others by just the margin; whether it and another are called equivalent."""
    effects = [0.0] + [math.log1p(EQUIVALENCE_MARGIN)] * (k - 1)
    best, compared = _study(effects, 5, 0.003, generator)
    return any(found.verdict == "equivalent" for place, found in compared.items() if effects[place] != effects[best])


def _gate_alarms(effect: float, generator: np.random.Generator) -> bool:
    """Whether the lower end of the ratio is above the margin in five blocks, and again in five that were made anew."""
    return all(_lowest_ratio(effect, generator) > 1 + _GATE_MARGIN for _ in range(2))


def _lowest_ratio(effect: float, generator: np.random.Generator) -> float:
    drift = generator.normal(0, 0.05, 5)
    noise = generator.normal(0, 0.01 / math.sqrt(2), (2, 5))
    values = [
        {(cycle, ""): math.exp(level + drift[cycle] + noise[place, cycle]) for cycle in range(5)}
        for place, level in enumerate((0.0, math.log1p(effect)))
    ]
    found = Costs(values, blocks=True).against(0, [1]).at(0)
    assert isinstance(found, Difference)
    return found.ratio_95[1]


def _power(generator: np.random.Generator) -> bool:
    _, compared = _study([0.0, math.log(1.03)], 5, 0.01, generator)
    return compared.get(1, Compared(None)).verdict == "worse"
