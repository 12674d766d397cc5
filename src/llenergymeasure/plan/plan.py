"""The plan: everything decided before anything runs. The manifest on disk is this, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llenergymeasure.model.codec import JsonValue
from llenergymeasure.model.job import BackendChoice, Decoder, Identity, Limits, Metering, ModelRef, Protocol, TrialJob
from llenergymeasure.plan.order import PlannedTrial


@dataclass(frozen=True, slots=True)
class PlannedExperiment:
    """One resolved experiment. ``inputs`` names its folder below the study's; ``config`` runs alone as it is."""

    label: str
    config: Mapping[str, JsonValue]
    measurement_config_hash: str
    environment: str | None
    varied: Mapping[str, JsonValue]
    backend: BackendChoice
    concurrency: int
    model: ModelRef
    precision: str
    device: str
    runner: str
    inputs: str
    n: int
    seed: int
    decoder: Decoder
    protocol: Protocol
    metering: Metering
    limits: Limits


@dataclass(frozen=True, slots=True)
class SkippedPoint:
    """A point of the sweep that is not valid, and why."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it runs."""

    name: str
    study_design_hash: str
    experiments: tuple[PlannedExperiment, ...]
    trials: tuple[PlannedTrial, ...]
    skipped: tuple[SkippedPoint, ...]
    merged: int
    execution: Mapping[str, JsonValue]
    created_at: str
    llenergymeasure_version: str
    schema_version: str = "2.0"

    def experiment_of(self, trial: PlannedTrial) -> PlannedExperiment:
        """The experiment that a trial repeats."""
        return self.experiments[trial.point]


def job_for(plan: Plan, trial: PlannedTrial, *, attempt: int, experiment_id: str, inputs_root: str) -> TrialJob:
    """The job of one attempt at one trial. Sampling uses the seed plus the cycle."""
    experiment = plan.experiment_of(trial)
    return TrialJob(
        identity=Identity(
            experiment_id=experiment_id,
            trial=trial.number,
            cycle=trial.cycle,
            attempt=attempt,
            measurement_config_hash=experiment.measurement_config_hash,
            study_design_hash=plan.study_design_hash,
            environment=experiment.environment,
            config=experiment.config,
            llenergymeasure_version=plan.llenergymeasure_version,
        ),
        backend=experiment.backend,
        model=experiment.model,
        precision=experiment.precision,
        device=experiment.device,
        seed=experiment.seed + trial.cycle,
        decoder=experiment.decoder,
        inputs=f"{inputs_root}/{experiment.inputs}",
        n=experiment.n,
        protocol=experiment.protocol,
        metering=experiment.metering,
        limits=experiment.limits,
        runner=experiment.runner,
    )
