"""``llem.log``: what happened in a study, by Python's own ``logging``, one JSON object a line.

The logger is ``llenergymeasure``: a program that uses the library sees the same records in its own logs.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import math
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from llenergymeasure.model.codec import encode
from llenergymeasure.model.event import Event, RequestDone, Submission
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.report.observer import Live
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import StudyResult

_LOGGER = logging.getLogger("llenergymeasure")
_FACTS = "facts"
_KEPT_RECORDS = 10_000


class StudyLog:
    """Gathers the records of a study, in memory until its folder exists. Leaving it closes the file."""

    def __init__(self) -> None:
        self._memory = logging.handlers.MemoryHandler(_KEPT_RECORDS, flushLevel=logging.CRITICAL + 1)
        self._file: _JsonLines | None = None
        self._level = _LOGGER.level

    def __enter__(self) -> StudyLog:
        self._level = _LOGGER.level
        _LOGGER.setLevel(logging.DEBUG)
        _LOGGER.addHandler(self._memory)
        return self

    def write_to(self, path: Path) -> None:
        """Append to this file from now on, what was kept first. A file that cannot be written costs the log, not the study."""
        try:
            self._file = _JsonLines(path, encoding="utf-8")
        except OSError as error:
            _LOGGER.warning("no log is kept: %s", error)
            return
        self._memory.setTarget(self._file)
        self._memory.flush()
        self._memory.capacity = 0  # from here every record goes through at once

    def __exit__(self, *_: object) -> None:
        _LOGGER.removeHandler(self._memory)
        _LOGGER.setLevel(self._level)
        self._memory.close()
        if self._file is not None:
            with suppress(OSError):  # a full disk
                self._file.close()


class Logged:
    """An ``Observer`` that writes down what it is told."""

    def say(self, message: str, fraction: float | None = None) -> None:
        if fraction is None:
            _LOGGER.info(message)

    def planned(self, plan: Plan, folder: str, remaining: int) -> None:
        _log(
            "planned",
            study=plan.name,
            study_design_hash=plan.study_design_hash,
            experiments=len(plan.experiments),
            trials=len(plan.trials),
            remaining=remaining,
            skipped=len(plan.skipped),
            energy=plan.energy,
        )

    def grown(self, trials: int) -> None:
        _log("further trials", trials=trials)

    def waiting(self, seconds: float) -> None: ...

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None:
        _log("trial begins", trial=trial.number, cycle=trial.cycle, attempt=attempt, experiment=experiment.label)

    def trial_event(self, event: Event) -> None:
        if not isinstance(event, Submission | RequestDone):
            _LOGGER.debug("worker: %s", type(event).__name__, extra={_FACTS: encode(event)})

    def trial_live(self, live: Live) -> None: ...

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None:
        if isinstance(outcome, Failure):
            facts = {"kind": outcome.kind, "error": outcome.message, "hint": outcome.hint}
            _log("trial failed", level=logging.ERROR, trial=trial.number, cycle=trial.cycle, **facts)
            return
        _log(
            "trial completed",
            trial=trial.number,
            cycle=trial.cycle,
            energy_per_output_token_j=outcome.energy_per_output_token_j.value,
            tokens_per_second=outcome.tokens_per_second.value,
            valid=outcome.validity.valid,
            remarks=[remark.code for remark in outcome.validity.remarks],
        )

    def study_ends(self, result: StudyResult) -> None:
        _log("study ends", outcome=result.outcome, ran=result.ran, failed=len(result.failed))


def debug_to(out: TextIO) -> None:
    """Show the records of every library on a stream, as text."""
    logging.basicConfig(stream=out, level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")


def _log(message: str, level: int = logging.INFO, **facts: object) -> None:
    _LOGGER.log(level, message, extra={_FACTS: facts})


class _JsonLines(logging.FileHandler):
    """Records as JSON lines. A disk that fills up while they are written ends the log quietly: results matter more."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "message": record.getMessage()}
        line.update(getattr(record, _FACTS, {}))
        if record.exc_info:
            line["traceback"] = logging.Formatter().formatException(record.exc_info)
        return json.dumps(_finite(line), ensure_ascii=False, default=str)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing can be done about it here."""


def _finite(value: Any) -> Any:
    """NaN and infinity, which JSON does not have, as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
