"""A study from its configuration to its result, and its continuation after a stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from llenergymeasure import plugins
from llenergymeasure._version import __version__
from llenergymeasure.clock import MonotonicClock, utc_now
from llenergymeasure.config.expand import Skipped
from llenergymeasure.config.hashing import study_design_hash
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.errors import ConfigError, PreFlightError, StoreError
from llenergymeasure.machine.git_state import git_state
from llenergymeasure.models.cache import use_hub_cache
from llenergymeasure.plan.order import order
from llenergymeasure.plan.plan import Execution, Plan, PlannedExperiment, SkippedPoint
from llenergymeasure.plan.resolve import resolve
from llenergymeasure.report.log import Logged, StudyLog
from llenergymeasure.report.observer import Observer, Several
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.columns import write_tables
from llenergymeasure.store.layout import (
    INPUTS_FOLDER,
    JOURNAL,
    LOCK,
    LOG,
    STUDY,
    SUMMARY,
    new_study_folder,
    place_problem,
)
from llenergymeasure.study.gather import Gathered, gather
from llenergymeasure.study.inputs import prepare_inputs
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal
from llenergymeasure.study.loop import Loop
from llenergymeasure.study.manifest import read_manifest, write_manifest
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.site import settings_of, site_of
from llenergymeasure.study.summary import summarise


def start(study: StudyConfig, results_dir: Path, options: RunOptions, observer: Observer) -> StudyResult:
    """Plan a study, prepare it, run it. Raises ``ConfigError`` or ``PreFlightError`` before anything is written."""
    problem = place_problem(results_dir)  # before anything is looked for, or downloaded
    if problem is not None:
        raise PreFlightError(
            (f"{results_dir}: results cannot be written there: {problem} (choose another place with -o)",)
        )
    use_hub_cache(options.settings.values.output.model_cache_dir)
    with StudyLog() as log:
        observer = Several((observer, Logged()))
        plan, gathered = make_plan(study, options, observer)
        name = single_name(plan.experiments[0]) if options.single else plan.name
        folder = new_study_folder(results_dir, name, utc_now())
        log.write_to(folder / LOG)
        prepare_inputs(gathered.inputs, folder / INPUTS_FOLDER, options.settings.values.runners, observer.say)
        if options.source is not None:
            write_text(folder / STUDY, options.source)
        write_manifest(folder, plan)
        return _run(plan, folder, options, observer)


def single_name(experiment: PlannedExperiment) -> str:
    """``smollm2-135m_llamacpp_as_stored``: how the folder of a single experiment begins."""
    model, backend, precision, *_ = experiment.label.split(" / ")
    return f"{model}_{backend}_{precision.replace(' ', '_')}"


def resume(folder: Path, options: RunOptions, observer: Observer) -> StudyResult:
    """Go on with a study that was stopped. Completed trials stay. Raises ``StoreError`` for a folder without a study."""
    plan = read_manifest(folder)
    with StudyLog() as log:
        log.write_to(folder / LOG)
        return _run(plan, folder, options, Several((observer, Logged())))


def make_plan(study: StudyConfig, options: RunOptions, observer: Observer) -> tuple[Plan, Gathered]:
    """The plan of a study and the facts behind it. Raises ``ConfigError`` when no point is valid."""
    expansion = study.expansion
    if not expansion.points:
        reasons = "\n".join(f"  - {_name(point)}: {point.reason}" for point in expansion.skipped)
        raise ConfigError(f"no valid experiment in {study.name}:\n{reasons}", hint="correct the points listed")
    gathered = gather(expansion.points, options, observer.say)
    execution = study.execution
    experiments = tuple(
        resolve(
            config, point.varied, facts, gathered.host, quick=options.quick, run_seconds=execution.trial_timeout_seconds
        )
        for point, config, facts in zip(expansion.points, gathered.configs, gathered.facts, strict=True)
    )
    design = study_design_hash((found.measurement_config_hash, found.environment) for found in experiments)
    seed = execution.order_seed if execution.order_seed is not None else int(design[:8], 16)
    pauses = options.settings.values.execution.model_copy(
        update={name: getattr(execution, name) for name in execution.model_fields_set if name.endswith("_gap_seconds")}
    )
    cycles = 1 if options.quick and "n_cycles" not in execution.model_fields_set else execution.n_cycles
    trials = order(len(experiments), cycles, execution.cycle_order, seed)
    plan = Plan(
        name=study.name,
        study_design_hash=design,
        experiments=experiments,
        trials=trials,
        skipped=tuple(SkippedPoint(_name(point), point.reason) for point in expansion.skipped),
        merged=expansion.merged,
        execution=Execution(
            n_cycles=cycles,
            cycle_order=execution.cycle_order,
            order_seed=seed,
            config_gap_seconds=pauses.config_gap_seconds,
            cycle_gap_seconds=pauses.cycle_gap_seconds,
            max_seconds=execution.max_seconds,
            max_consecutive_failures=execution.max_consecutive_failures,
        ),
        created_at=utc_now().isoformat(),
        llenergymeasure_version=__version__,
        site=site_of(options.settings),
        settings=settings_of(options.settings),
        energy=gathered.energy,
        study_git=None if options.source_name is None else git_state(options.base / options.source_name),
    )
    return plan, gathered


def _run(plan: Plan, folder: Path, options: RunOptions, observer: Observer) -> StudyResult:
    """Run what is left of a plan, under the folder's lock, and write what came of it."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"{folder}: another llem is running this study", hint="wait for it, or stop it") from error
    with lock, _resumable(folder), Interrupts() as interrupts:
        loop = Loop(
            folder,
            plan,
            plugins.load("schedulers", "local")(),
            MonotonicClock(),
            observer,
            retry_failed=options.retry_failed,
        )
        left = loop.take_stock()
        observer.planned(plan, str(folder), len(left))
        record = loop.run(left, interrupts)
        result = summarise(plan, record, folder, _started_at(folder, plan), utc_now())
        write_text(folder / SUMMARY, result.to_json())
        write_tables(folder, result.results)
    observer.study_ends(result)
    return result


@contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """A study that cannot be written any more says how to go on."""
    try:
        yield
    except StoreError as error:
        hint = f"{error.hint or 'correct that'}; what finished is kept: llem run --resume {folder}"
        raise StoreError(str(error), hint=hint) from error


def _started_at(folder: Path, plan: Plan) -> datetime:
    entries = Journal(folder / JOURNAL).entries()
    return datetime.fromisoformat(entries[0].at if entries else plan.created_at)


def _name(point: Skipped) -> str:
    return ", ".join(f"{key}={value}" for key, value in point.varied.items()) or "the experiment"
