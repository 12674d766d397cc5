"""From the outcomes of a study's trials to ``StudyResult``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from llenergymeasure.analyse.study.aggregate import Design, Group, aggregate
from llenergymeasure.analyse.study.phase_pairs import phase_splits
from llenergymeasure.model.codec import encode
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.plan import FIRST_STAGE_CYCLES, Plan
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import FailedTrial, SkippedPoint, StudyResult, UsedEnvironment
from llenergymeasure.store.layout import RESULT, TRIALS_FOLDER
from llenergymeasure.study.loop import Record


def summarise(plan: Plan, record: Record, folder: Path, started_at: datetime, completed_at: datetime) -> StudyResult:
    """The result of a study as far as it went."""
    groups = _groups(plan, record)
    found = aggregate(groups, _design(plan))
    failed = tuple(_failed(plan, record))
    results = tuple(outcome for outcome in record.outcomes.values() if isinstance(outcome, ExperimentResult))
    return StudyResult(
        study_id=folder.name,
        name=plan.name,
        study_design_hash=plan.study_design_hash,
        started_at=started_at,
        completed_at=completed_at,
        measurement_protocol=encode(plan.execution),
        source_file=plan.source_file,
        environments=tuple(_environments(plan, record)),
        outcome=_outcome(record, bool(failed)),
        planned=len(plan.trials),
        ran=len(results),
        merged=plan.merged,
        failed=failed,
        skipped=tuple(SkippedPoint(label=point.label, reason=point.reason) for point in plan.skipped),
        ranked_by=found.ranked_by,
        aggregates=found.aggregates,
        tiers=found.tiers,
        comparability=found.comparability,
        phases=phase_splits(groups),
        result_files=tuple(
            f"{TRIALS_FOLDER}/{record.folders[number]}/{RESULT}"
            for number, outcome in record.outcomes.items()
            if isinstance(outcome, ExperimentResult)
        ),
        results=results,
        folder=str(folder),
    )


def _environments(plan: Plan, record: Record) -> Iterator[UsedEnvironment]:
    """Each place where experiments of the plan run, with the engine as the results from there name it."""
    places = {one.environment or one.backend.name: one for one in plan.experiments}
    versions: dict[str, dict[str, str | None]] = {name: {} for name in places}
    for trial in plan.trials:
        experiment, outcome = plan.experiment_of(trial), record.outcomes.get(trial.number)
        if isinstance(outcome, ExperimentResult) and outcome.environment.engine_version is not None:
            name = experiment.environment or experiment.backend.name
            versions[name][outcome.environment.engine_version] = outcome.environment.engine
    for name, experiment in places.items():
        yield UsedEnvironment(
            name=name,
            backend=experiment.backend.name,
            at=experiment.runner,
            engine=next(iter(versions[name].values()), None),
            versions=tuple(versions[name]),
        )


def _design(plan: Plan) -> Design:
    """A cycle is a block unless each experiment ran all of its own in a row."""
    return Design(
        blocks=plan.execution.cycle_order != "sequential",
        first_stage=None if plan.execution.target_rel_ci is None else max(plan.execution.n_cycles, FIRST_STAGE_CYCLES),
    )


def _groups(plan: Plan, record: Record) -> list[Group]:
    results: dict[int, list[ExperimentResult]] = {}
    for trial in plan.trials:
        outcome = record.outcomes.get(trial.number)
        if isinstance(outcome, ExperimentResult):
            results.setdefault(trial.point, []).append(outcome)
    return [
        Group(label=experiment.label, varied=experiment.varied, results=tuple(results.get(point, ())))
        for point, experiment in enumerate(plan.experiments)
    ]


def _failed(plan: Plan, record: Record) -> list[FailedTrial]:
    failed = []
    for trial in plan.trials:
        outcome = record.outcomes.get(trial.number)
        if isinstance(outcome, Failure):
            experiment = plan.experiment_of(trial)
            failed.append(
                FailedTrial(
                    trial=trial.number,
                    label=f"{experiment.label}, cycle {trial.cycle + 1}",
                    kind=outcome.kind,
                    message=outcome.message,
                    hint=outcome.hint,
                    log_tail=outcome.log_tail,
                    folder=f"{TRIALS_FOLDER}/{record.folders[trial.number]}",
                    config=experiment.config,
                )
            )
    return failed


def _outcome(record: Record, any_failed: bool) -> Literal["complete", "failed_trials", "limit", "interrupted"]:
    if record.interrupted:
        return "interrupted"
    if record.stopped:
        return "limit"
    return "failed_trials" if any_failed else "complete"
