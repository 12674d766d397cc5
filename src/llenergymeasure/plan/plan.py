"""The plan: everything decided before anything runs. The manifest on disk is this, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llenergymeasure.model.codec import JsonValue
from llenergymeasure.model.job import (
    BackendChoice,
    Decoder,
    Identity,
    Limits,
    Lora,
    Metering,
    ModelRef,
    PowerKnobs,
    Protocol,
    Setting,
    Site,
    TrialJob,
)
from llenergymeasure.model.machine import GitState
from llenergymeasure.plan.order import CycleOrder, PlannedTrial

# Where an interval of a given width is asked for, its first stage has at least so many cycles.
FIRST_STAGE_CYCLES = 5


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
    weights: Literal["real", "random"] = "real"
    draft_model: ModelRef | None = None
    lora: Lora | None = None
    cold_start: bool = False
    power: PowerKnobs | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class SkippedPoint:
    """A point of the sweep that is not valid, and why."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Execution:
    """How often, in which order, with which pauses, and when to stop; the order's seed as used."""

    n_cycles: int
    cycle_order: CycleOrder
    order_seed: int
    config_gap_seconds: float = 0.0
    cycle_gap_seconds: float = 0.0
    max_seconds: float | None = None
    max_consecutive_failures: int | None = None
    target_rel_ci: float | None = None
    max_cycles: int = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it runs. ``energy`` says in words what the meter will read.

    ``source_file`` is the name of the file it was read from. ``fingerprint`` names what results depend on and a study cannot
    change: boards, drivers, engines with their versions.
    """

    name: str
    study_design_hash: str
    experiments: tuple[PlannedExperiment, ...]
    trials: tuple[PlannedTrial, ...]
    skipped: tuple[SkippedPoint, ...]
    merged: int
    execution: Execution
    created_at: str
    llenergymeasure_version: str
    site: Site = field(default_factory=Site)
    settings: tuple[Setting, ...] = ()
    study_git: GitState | None = None
    source_file: str | None = None
    energy: str = ""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
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
        weights=experiment.weights,
        draft_model=experiment.draft_model,
        lora=experiment.lora,
        cold_start=experiment.cold_start,
        power=experiment.power,
        trust_remote_code=experiment.trust_remote_code,
        site=plan.site,
        settings=plan.settings,
        study_git=plan.study_git,
        runner=experiment.runner,
    )
