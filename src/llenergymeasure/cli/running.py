"""What ``llem run`` does: from flags to a study, from its result to the last lines and the exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from llenergymeasure import plugins
from llenergymeasure.api import settings_here, study_of_one
from llenergymeasure.cli.main import EXIT_FAILED, EXIT_INTERRUPTED
from llenergymeasure.cli.overrides import Overrides, experiment_with, study_with
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.config.settings import Settings
from llenergymeasure.config.study import StudyConfig, is_study
from llenergymeasure.config.yaml_strict import Document, load_yaml
from llenergymeasure.report.log import debug_to
from llenergymeasure.report.observer import Observer, Several
from llenergymeasure.report.screen import screen_on
from llenergymeasure.report.study_table import study_lines
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.store.unfinished import unfinished_studies
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.run import resume as resume_study
from llenergymeasure.study.run import start


def run_as_asked(given: Mapping[str, Any]) -> int:
    """Run what the flags ask for and return the exit status. Raises ``LLEMError``."""
    settings = settings_here(_setting_flags(given))
    with _observer(given, settings) as observer:
        result = _run(given, settings, observer)
    return _end(result, given)


def _run(given: Mapping[str, Any], settings: Settings, observer: Observer) -> StudyResult:
    if given["resume"] is not None:
        return resume_study(given["resume"], RunOptions(settings, retry_failed=given["retry_failed"]), observer)
    study, options = _asked(given, settings)
    results_dir = Path(settings.values.output.results_dir)
    for folder in unfinished_studies(results_dir):
        observer.say(f"unfinished: {folder} (go on with: llem run --resume {folder})")
    return start(study, results_dir, options, observer)


def _asked(given: Mapping[str, Any], settings: Settings) -> tuple[StudyConfig, RunOptions]:
    """What is to be run: a study file, or a single experiment as a study of one."""
    document = load_yaml(given["config"]) if given["config"] is not None else None
    overrides = Overrides.of_flags(
        given["sets"],
        backend=given["backend"],
        batch_size=given["batch_size"],
        shared={
            "model": given["model"],
            "dataset": given["dataset"],
            "n": given["n"],
            "precision": given["precision"],
            "device": given["device"],
            "decoder.max_new_tokens": given["max_new_tokens"],
        },
        execution={"n_cycles": given["cycles"], "cycle_order": given["order"], "max_seconds": given["max_time"]},
    )
    single = document is None or not is_study(document.data)
    if single or document is None:
        whole = document or Document(Path("command line"), {})
        study = study_of_one(experiment_with(whole, overrides))
        study = study.changed(execution=overrides.execution_over(study.execution))
    else:
        study = study_with(document, overrides)
    return study, RunOptions(
        settings,
        base=document.path.parent if document else Path(),
        source=document.text if document else None,
        source_name=document.path.name if document else None,
        energy_source=given["energy"],
        quick=given["quick"],
        single=single,
    )


def _setting_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if given["output"] is not None:
        flags["output.results_dir"] = str(given["output"])
    for runner in given["runners"]:
        backend, is_for_one, at = runner.rpartition("=")
        for name in [backend] if is_for_one else plugins.built_in("backends"):
            flags[f"runners.{name}"] = at
    return flags


@contextmanager
def _observer(given: Mapping[str, Any], settings: Settings) -> Iterator[Observer]:
    verbosity = settings.values.ui.verbosity
    if given["verbose"] > 1:
        debug_to(sys.stderr)
    if given["quiet"] or (verbosity == "quiet" and not given["verbose"]):
        yield Several()
        return
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    verbose = bool(given["verbose"]) or verbosity == "verbose"
    with screen_on(sys.stderr, MonotonicClock(), verbose=verbose, plain=plain) as screen:
        yield screen


def _end(result: StudyResult, given: Mapping[str, Any]) -> int:
    """Print what came of it and return the exit status."""
    if given["as_json"]:
        document = json.loads(result.model_dump_json())
        click.echo(json.dumps({"outcome": result.outcome, "study": document}, indent=1))
    elif result.planned == 1 and result.results:
        click.echo(f"Result  {result.folder}/")
        click.echo("")
        click.echo(result.results[0].summary())
    else:
        click.echo(f"Result  {result.folder}/")
        click.echo("")
        width = os.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in study_lines(result, width):
            click.echo(line)
    if result.outcome == "interrupted":
        return EXIT_INTERRUPTED
    nothing_valid = not any(found.validity.valid for found in result.results)
    return EXIT_FAILED if result.outcome != "complete" or nothing_valid else 0
