"""A study from its configuration to its result, and its continuation after a stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from llenergymeasure import plugins
from llenergymeasure._version import __version__
from llenergymeasure.clock import MonotonicClock, utc_now
from llenergymeasure.config.hashing import study_design_hash
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.errors import ConfigError, PreFlightError, StoreError
from llenergymeasure.machine.engines import probe
from llenergymeasure.machine.fingerprint import differences, fingerprint
from llenergymeasure.machine.git_state import git_state
from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.model.event import Found
from llenergymeasure.models.cache import use_hub_cache
from llenergymeasure.plan.extend import Changes, changes, extended, identity
from llenergymeasure.plan.order import order
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.plan.resolve import first_of_each, resolve
from llenergymeasure.report.log import Logged, StudyLog
from llenergymeasure.report.observer import Observer, Several
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.layout import (
    INPUTS_FOLDER,
    JOURNAL,
    LOCK,
    LOG,
    STUDY,
    SUMMARY,
    new_file,
    new_study_folder,
    place_problem,
)
from llenergymeasure.study.devices import alone_on, devices_of
from llenergymeasure.study.execution import equal_once_resolved, execution_of, no_valid_point, skipped_points
from llenergymeasure.study.gather import Gathered, gather
from llenergymeasure.study.inputs import copy_inputs, prepare_inputs
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal, plan_with
from llenergymeasure.study.manifest import read_manifest, write_manifest
from llenergymeasure.study.memory import memory_warnings
from llenergymeasure.study.notify import notify
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.site import settings_of, site_of


def start(study: StudyConfig, results_dir: Path, options: RunOptions, observer: Observer) -> StudyResult:
    """Plan a study, prepare it, run it. Raises ``ConfigError`` or ``PreFlightError`` before anything is written."""
    problem = place_problem(results_dir)  # before anything is looked for, or downloaded
    if problem is not None:
        raise PreFlightError(
            (f"{results_dir}: results cannot be written there: {problem} (choose another place with -o)",)
        )
    use_hub_cache(options.settings.values.output.model_cache_dir)
    threading.Thread(target=_import_ahead, daemon=True).start()
    with StudyLog() as log:
        observer = Several((observer, Logged()))
        plan, gathered = make_plan(study, options, results_dir, observer)
        prepare_inputs(gathered.inputs, observer.say)
        name = single_name(plan.experiments[0]) if options.single else plan.name
        folder = new_study_folder(results_dir, name, utc_now())
        log.write_to(folder / LOG)
        copy_inputs(gathered.inputs, folder / INPUTS_FOLDER)
        if options.source is not None:
            write_text(folder / STUDY, options.source)
        if study.base is not None:
            write_text(new_file(folder / Path(study.base.name).name), study.base.text)
        write_manifest(folder, plan)
        for line in memory_warnings(plan, folder / INPUTS_FOLDER):
            observer.say(line)
        return _run(plan, folder, options, observer)


def single_name(experiment: PlannedExperiment) -> str:
    """``smollm2-135m_llamacpp_as_stored``: how the folder of a single experiment begins."""
    model, backend, precision, *_ = experiment.label.split(" / ")
    return f"{model}_{backend}_{precision.replace(' ', '_')}"


def resume(
    folder: Path,
    options: RunOptions,
    observer: Observer,
    study: StudyConfig | None = None,
    agree: Callable[[Changes], bool] = lambda changes: False,
) -> StudyResult:
    """Go on with a study that was stopped, or top it up with what ``study`` has more. Completed trials stay.

    When ``study`` differs from what was planned, ``agree`` is asked. Raises ``StoreError`` for a folder without a study,
    ``ConfigError`` when the difference is not agreed to.
    """
    use_hub_cache(options.settings.values.output.model_cache_dir)
    plan = plan_with(read_manifest(folder), Journal(folder / JOURNAL).entries())
    with StudyLog() as log:
        log.write_to(folder / LOG)
        observer = Several((observer, Logged()))
        if study is not None:
            plan = _topped_up(plan, folder, study, options, observer, agree)
        _tell_what_changed(plan, folder, observer)
        return _run(plan, folder, options, observer)


def _topped_up(
    plan: Plan,
    folder: Path,
    study: StudyConfig,
    options: RunOptions,
    observer: Observer,
    agree: Callable[[Changes], bool],
) -> Plan:
    """The plan with what ``study`` adds and leaves out, journalled."""
    wanted, gathered = make_plan(study, options, folder.parent, observer)
    found = changes(plan, wanted)
    if found.any and not agree(found):
        raise ConfigError(
            f"{folder}: the study has changed since it was planned", hint="--accept-changes to go on with it"
        )
    if found.planned:
        prepare_inputs(gathered.inputs, observer.say)
        copy_inputs(gathered.inputs, folder / INPUTS_FOLDER)
    journal = Journal(folder / JOURNAL)
    if found.planned:
        journal.planned(found.planned, "topped up")
    if found.dropped:
        journal.dropped(found.dropped, "withdrawn from the study")
    if found.any and options.source is not None:
        write_text(new_file(folder / STUDY), options.source)
    # The first stage of the stopping rule is the one that was planned: it decides, and is not decided anew.
    execution = replace(wanted.execution, n_cycles=plan.execution.n_cycles)
    return replace(extended(plan, found.planned, found.dropped), execution=execution)


def _tell_what_changed(plan: Plan, folder: Path, observer: Observer) -> None:
    """Boards, drivers and engines that are not those on which the study began: its pairs hold only on one of them."""
    found = list(differences(plan.fingerprint, _fingerprint_now(plan))) if plan.fingerprint else []
    for line in found:
        observer.say(f"not as when the study began: {line}")
    if found:
        observer.say("results from now on are compared with earlier ones with caveats")
        Journal(folder / JOURNAL).resumed("; ".join(found))


def _fingerprint_now(plan: Plan) -> dict[str, str]:
    places = {one.environment or one.backend.name: (one.backend.name, one.runner) for one in plan.experiments}
    answers = {name: probe(*place) for name, place in places.items()}
    return fingerprint(snapshot(), {name: found.version for name, found in answers.items() if isinstance(found, Found)})


def make_plan(study: StudyConfig, options: RunOptions, results_dir: Path, observer: Observer) -> tuple[Plan, Gathered]:
    """The plan of a study and the facts behind it. Raises ``ConfigError`` when no point is valid."""
    expansion = study.expansion
    if not expansion.points:
        raise no_valid_point(study)
    for notice in expansion.notices:
        observer.say(notice)
    gathered = gather(expansion.points, options, results_dir, observer.say)
    asked = study.execution
    resolved = [
        resolve(
            config,
            point.varied,
            facts,
            gathered.host,
            quick=options.quick,
            run_seconds=asked.trial_timeout_seconds,
            target_rel_ci=asked.target_rel_ci,
        )
        for point, config, facts in zip(expansion.points, gathered.configs, gathered.facts, strict=True)
    ]
    experiments = tuple(resolved[place] for place in first_of_each(map(identity, resolved)))
    equal = len(resolved) - len(experiments)
    if equal:
        observer.say(equal_once_resolved(equal))
    design = study_design_hash((found.measurement_config_hash, found.environment) for found in experiments)
    execution = execution_of(study, options, design)
    trials = order(len(experiments), execution.n_cycles, execution.cycle_order, execution.order_seed)
    plan = Plan(
        name=study.name,
        study_design_hash=design,
        experiments=experiments,
        trials=trials,
        skipped=skipped_points(expansion.skipped),
        merged=expansion.merged + equal,
        execution=execution,
        created_at=utc_now().isoformat(),
        llenergymeasure_version=__version__,
        site=site_of(options.settings),
        settings=settings_of(options.settings),
        energy=gathered.energy,
        fingerprint=fingerprint(snapshot(), gathered.engines),
        study_git=None if options.source_name is None else git_state(options.base / options.source_name),
        source_file=options.source_name,
    )
    return plan, gathered


def _import_ahead() -> None:
    """What running needs and planning does not: imported while the engines are asked, which takes longer."""
    import llenergymeasure.store.columns
    import llenergymeasure.study.loop
    import llenergymeasure.study.summary  # noqa: F401


def _run(plan: Plan, folder: Path, options: RunOptions, observer: Observer) -> StudyResult:
    """Run what is left of a plan, under the folder's lock, and write what came of it."""
    from llenergymeasure.store.columns import write_tables
    from llenergymeasure.study.loop import Loop
    from llenergymeasure.study.summary import summarise

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"{folder}: another llem is running this study", hint="wait for it, or stop it") from error
    clock = MonotonicClock()
    devices = devices_of((one.device for one in plan.experiments), snapshot(), os.environ) if options.lock else ()
    with (
        lock,
        alone_on(devices, clock, observer.say),
        _resumable(folder),
        Interrupts() as interrupts,
        closing(plugins.load("schedulers", "local")()) as scheduler,
    ):
        loop = Loop(folder, plan, scheduler, clock, observer, retry_failed=options.retry_failed)
        left = loop.take_stock()
        observer.planned(plan, str(folder), len(left))
        record = loop.run(left, interrupts)
        result = summarise(loop.plan, record, folder, _started_at(folder, plan), utc_now())
        write_text(folder / SUMMARY, result.to_json())
        write_tables(folder, result.results)
    observer.study_ends(result)
    notify(options.settings.values.notifications, result, observer.say, always=options.notify)
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
