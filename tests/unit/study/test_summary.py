"""From outcomes to a study's result."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.plan import Plan
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.study.loop import Record
from llenergymeasure.study.summary import summarise
from llenergymeasure.testing.builders import experiment_result
from llenergymeasure.testing.plans import planned

_NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _outcome(point: int, cycle: int) -> ExperimentResult:
    return experiment_result(per_token_j=0.05 * (1 + point) * (1 + 0.001 * cycle), cycle=cycle)


def _summary(plan: Plan, failed: int | None = None, **record: object) -> StudyResult:
    """All trials ran, but ``failed``."""
    outcomes = {
        trial.number: Failure("out_of_memory", "too big")
        if trial.number == failed
        else _outcome(trial.point, trial.cycle)
        for trial in plan.trials
    }
    folders = {trial.number: f"f{trial.number}" for trial in plan.trials}
    return summarise(plan, Record(outcomes, folders, **record), Path("/somewhere"), _NOW, _NOW)  # type: ignore[arg-type]


def test_a_study_is_summed_up() -> None:
    """One aggregate an experiment, ranked in tiers, with a file a trial."""
    result = _summary(planned(2, 3))
    assert [found.label for found in result.aggregates] == ["point 0", "point 1"] and result.ranked_by
    assert [tier.best for tier in result.tiers] == [0, 1] and result.comparability == ()
    assert (
        result.result_files[0] == "trials/f1/result.json" and len(result.results) == result.ran == result.planned == 6
    )
    assert (result.outcome, result.failed, result.folder) == ("complete", (), "/somewhere")


def test_a_failure_is_told_with_its_experiment() -> None:
    """The others are there; the pair of the failed one is not."""
    result = _summary(planned(2, 4), failed=1)
    assert result.outcome == "failed_trials" and result.ran == 7
    (failed,) = result.failed
    assert (failed.label, failed.kind, failed.folder) == ("point 0, cycle 1", "out_of_memory", "trials/f1")
    ratio = result.aggregates[1].ratio_to_best
    assert ratio is not None and ratio.n == 3


@pytest.mark.parametrize(
    ("record", "outcome"), [({"interrupted": True}, "interrupted"), ({"stopped": "no time is left"}, "limit")]
)
def test_why_it_ended_early(record: dict[str, object], outcome: str) -> None:
    """Somebody stopped it, or a limit."""
    assert _summary(planned(1, 1), **record).outcome == outcome


@pytest.mark.parametrize(("order", "method"), [("shuffled", "paired"), ("sequential", "unpaired")])
def test_cycles_are_blocks_unless_each_experiment_ran_alone(order: str, method: str) -> None:
    """Pairs need trials that ran side by side."""
    result = _summary(planned(2, 3, cycle_order=order))  # type: ignore[arg-type]
    assert result.aggregates[1].comparison_method == method


@pytest.mark.parametrize(
    ("target", "reason"), [(0.01, "by the spread of the first 5 cycles, which set their number"), (None, None)]
)
def test_a_target_makes_the_first_stage_the_spread(target: float | None, reason: str | None) -> None:
    """Without one all cycles give it."""
    plan = planned(1, 8, target_rel_ci=target)
    result = _summary(replace(plan, execution=replace(plan.execution, n_cycles=5)))
    assert result.aggregates[0].energy_per_output_token_j.interval_reason == reason


def test_where_its_engines_ran() -> None:
    """Each environment, or backend without one, with its place and the versions that the results name; and the study's file."""
    plan = planned(3, 1)
    named = replace(plan.experiments[2], environment="newer", runner="venv:~/newer")
    plan = replace(plan, experiments=(*plan.experiments[:2], named), source_file="study.yaml")
    engine = EnvironmentGroup(engine="an engine", engine_version="1.2")
    outcomes = {trial.number: _outcome(0, 0).model_copy(update={"environment": engine}) for trial in plan.trials[:2]}
    record = Record({**outcomes, 3: Failure("no_hello", "gone")}, {number: f"f{number}" for number in (1, 2, 3)})
    result = summarise(plan, record, Path("/somewhere"), _NOW, _NOW)
    here, newer = result.environments
    assert (here.name, here.backend, here.at) == ("simulated", "simulated", "local")
    assert (here.engine, here.versions) == ("an engine", ("1.2",))
    assert (newer.name, newer.at, newer.engine, newer.versions) == ("newer", "venv:~/newer", None, ())
    assert result.source_file == "study.yaml"
    assert StudyResult.model_validate_json(result.to_json()).environments == result.environments


def test_a_study_as_a_person_reads_it() -> None:
    """The table with which a run ends, and what it comes to."""
    text = _summary(planned(2, 3)).summary()
    assert "against the best" in text and "Best by " in text
