"""The Python interface: run an experiment or a study, load results."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.config.experiment import ExperimentConfig, experiment_of
from llenergymeasure.config.study import StudyConfig, study_of
from llenergymeasure.config.yaml_strict import Document, load_yaml
from llenergymeasure.errors import ExperimentError, StoreError, StudyError
from llenergymeasure.report.observer import Observer, Several
from llenergymeasure.report.screen import screen_on
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.store.layout import RESULT, TRIALS_FOLDER
from llenergymeasure.study.options import RunOptions, settings_here, study_of_one
from llenergymeasure.study.run import start

_RESULTS_DIR = object()


def run_experiment(
    config: ExperimentConfig | str | Path | None = None,
    *,
    output_dir: str | Path | None = None,
    quick: bool = False,
    progress: bool = False,
    **fields: Any,
) -> ExperimentResult:
    """Measure one experiment once and return its result.

    ``config`` is an ``ExperimentConfig`` or the path of a YAML file; instead, give its fields as keywords (``model="…"``).
    Nothing stays on disk unless ``output_dir`` is given. ``progress`` shows on stderr what is being done. Raises pydantic's
    ``ValidationError`` for wrong keywords, ``ConfigError`` for a wrong file, ``PreFlightError``, or ``ExperimentError`` when the
    trial failed.
    """
    experiment, document = _experiment(config, fields)
    study = study_of_one(experiment)
    options = _options(document, quick=quick, single=True)
    with tempfile.TemporaryDirectory(prefix="llem-") as scratch, _watching(progress) as observer:
        result = start(study, Path(output_dir or scratch), options, observer)
    if result.results:
        return result.results[0]
    raise experiment_error(result)


def run_study(
    study: StudyConfig | str | Path,
    *,
    output_dir: str | Path | object | None = _RESULTS_DIR,
    quick: bool = False,
    progress: bool = False,
) -> StudyResult:
    """Run a study and return its result, which lists failed and skipped points.

    It writes to the configured results directory, or to ``output_dir``; ``None`` keeps nothing on disk. ``progress`` shows on
    stderr what is being done. Raises ``ConfigError``, ``PreFlightError``, or ``StudyError`` when nothing ran.
    """
    document = None if isinstance(study, StudyConfig) else load_yaml(Path(study))
    config = study if isinstance(study, StudyConfig) else study_of(_need(document))
    options = _options(document, quick=quick, single=False)
    with tempfile.TemporaryDirectory(prefix="llem-") as scratch:
        place = options.settings.values.output.results_dir if output_dir is _RESULTS_DIR else output_dir or scratch
        with _watching(progress) as observer:
            result = start(config, Path(os.fspath(place)), options, observer)  # type: ignore[call-overload]
    if result.ran == 0:
        first = result.failed[0].message if result.failed else "it was stopped before a trial ended"
        raise StudyError(f"{config.name}: nothing ran: {first}", failed=len(result.failed))
    return result


def load_results(path: str | Path) -> tuple[ExperimentResult, ...]:
    """The results below a folder (a study's, or a directory of studies) or in one ``result.json``. Raises ``StoreError``."""
    path = Path(path)
    if path.is_file():
        return (ExperimentResult.from_json(path),)
    files = sorted({*path.glob(f"{TRIALS_FOLDER}/*/{RESULT}"), *path.glob(f"*/{TRIALS_FOLDER}/*/{RESULT}")})
    if not files:
        raise StoreError(f"{path}: holds no results", hint="name a study's folder, or the directory that holds studies")
    return tuple(ExperimentResult.from_json(file) for file in files)


def experiment_error(result: StudyResult) -> ExperimentError:
    """The failure of a study of one as an exception."""
    if not result.failed:
        return ExperimentError("the trial was stopped before it ended", kind="interrupted", config={})
    failed = result.failed[0]
    return ExperimentError(
        failed.message, kind=failed.kind, config=dict(failed.config), log_tail=failed.log_tail, hint=failed.hint
    )


def _experiment(
    config: ExperimentConfig | str | Path | None, fields: Mapping[str, Any]
) -> tuple[ExperimentConfig, Document | None]:
    if isinstance(config, ExperimentConfig):
        return ExperimentConfig.model_validate({**config.written(), **fields}) if fields else config, None
    if config is not None:
        document = load_yaml(Path(config))
        return experiment_of(Document(document.path, {**document.data, **fields}, document.lines)), document
    return ExperimentConfig(**fields), None


def _options(document: Document | None, *, quick: bool, single: bool) -> RunOptions:
    return RunOptions(
        settings=settings_here({}),
        base=document.path.parent if document else Path(),
        source=document.text if document else None,
        source_name=document.path.name if document else None,
        quick=quick,
        single=single,
    )


@contextmanager
def _watching(progress: bool) -> Iterator[Observer]:
    if not progress:
        yield Several()
        return
    with screen_on(sys.stderr, MonotonicClock(), verbose=False, plain=False) as screen:
        yield screen


def _need(document: Document | None) -> Document:
    assert document is not None
    return document
