"""What ``llem run`` does: from flags to a study, from its result to the last lines and the exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from llenergymeasure.cli.asking import asked, settings_of_flags
from llenergymeasure.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED
from llenergymeasure.cli.show import show
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.config.settings import Settings
from llenergymeasure.plan.extend import Changes
from llenergymeasure.report.log import debug_to
from llenergymeasure.report.observer import Observer, Several
from llenergymeasure.report.screen import Screen, screen_on
from llenergymeasure.schema.numbers import counted
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.schema.study_table import study_lines
from llenergymeasure.store.unfinished import unfinished_studies
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.run import resume as resume_study
from llenergymeasure.study.run import start


def run_as_asked(given: Mapping[str, Any]) -> int:
    """Run what the flags ask for and return the exit status. Raises ``LLEMError``."""
    settings = settings_of_flags(given)
    with _observer(given, settings) as observer:
        result = _run(given, settings, observer)
    return _end(result, given)


def _run(given: Mapping[str, Any], settings: Settings, observer: Observer) -> StudyResult:
    if given["resume"] is not None:
        options = RunOptions(
            settings, retry_failed=given["retry_failed"], lock=not given["no_lock"], notify=given["notify"]
        )
        if given["config"] is None:
            return resume_study(given["resume"], options, observer)
        study, whole = asked(given, settings)
        options = replace(whole, retry_failed=options.retry_failed)
        return resume_study(given["resume"], options, observer, study, partial(_agreed, given, observer))
    study, options = asked(given, settings)
    results_dir = Path(settings.values.output.results_dir)
    for folder in unfinished_studies(results_dir):
        observer.say(f"unfinished: {folder} (go on with: llem run --resume {folder})")
    return start(study, results_dir, options, observer)


def _agreed(given: Mapping[str, Any], observer: Observer, found: Changes) -> bool:
    """Show what a changed study adds and leaves out, and ask where somebody can answer."""
    for label in found.added:
        observer.say(f"added      {label}")
    for label in found.withdrawn:
        observer.say(f"withdrawn  {label}")
    for difference in found.protocol:
        observer.say(f"different  {difference}; trials of experiments that are there already keep theirs")
    if found.planned or found.dropped:
        observer.say(
            f"{counted(len(found.planned), 'trial')} to add, {counted(len(found.dropped), 'trial')} to leave out"
        )
    if given["accept_changes"]:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    with observer.paused() if isinstance(observer, Screen) else nullcontext():
        return click.confirm("Go on with the changed study?", err=True)


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
        results = [json.loads(one.model_dump_json()) for one in result.results]
        study = {**json.loads(result.model_dump_json()), "results": results}
        show(json.dumps({"outcome": result.outcome, "study": study}, indent=1))
    elif result.planned == 1 and result.results:
        show(f"Result  {result.folder}/")
        show("")
        show(result.results[0].summary())
    else:
        show(f"Result  {result.folder}/")
        show("")
        width = os.get_terminal_size().columns if sys.stdout.isatty() else None
        show("\n".join(study_lines(result, width)))
    if result.outcome == "interrupted":
        return EXIT_INTERRUPTED
    nothing_valid = not any(found.validity.valid for found in result.results)
    return EXIT_FAILED if result.outcome != "complete" or nothing_valid else 0
