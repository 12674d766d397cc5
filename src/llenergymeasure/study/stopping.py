"""How many cycles each experiment of a study needs for the interval that is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from llenergymeasure.analyse.study.stopping import cycles_needed
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.plan import FIRST_STAGE_CYCLES, Plan
from llenergymeasure.schema.experiment import ExperimentResult


def second_stage(plan: Plan, outcomes: Mapping[int, ExperimentResult | Failure]) -> Mapping[int, int]:
    """Cycles by point, from the first stage alone: whenever it is asked again, also after a resume, it says the same.

    Energy per output token decides, tokens per second where an experiment has no energy. Empty without ``target_rel_ci``. A
    point with fewer than two results is left as it is.
    """
    target = plan.execution.target_rel_ci
    if target is None:
        return {}
    first_stage = max(plan.execution.n_cycles, FIRST_STAGE_CYCLES)
    found: dict[int, list[ExperimentResult]] = {}
    for trial in plan.trials:
        outcome = outcomes.get(trial.number)
        if trial.cycle < first_stage and isinstance(outcome, ExperimentResult) and outcome.validity.valid:
            found.setdefault(trial.point, []).append(outcome)
    wanted = {}
    for point, results in found.items():
        values = _values(results)
        if len(values) > 1:
            without = first_stage - len(values)  # cycles that gave nothing are made up for
            needed = cycles_needed(values, target, plan.execution.max_cycles) + without
            wanted[point] = min(needed, plan.execution.max_cycles)
    return wanted


def _values(results: list[ExperimentResult]) -> list[float]:
    energies = [result.energy_per_output_token_j.value for result in results]
    known = [value for value in energies if value is not None]
    if len(known) == len(energies):
        return known
    return [rate for result in results if (rate := result.tokens_per_second.value) is not None]
