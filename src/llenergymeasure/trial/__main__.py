"""``python -m llenergymeasure.trial FOLDER``: drive the trial of ``job.json`` there. Exit 0 with a trace, 1 with an error."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.errors import LLEMError
from llenergymeasure.model.event import EventLog
from llenergymeasure.model.folder import DRIVER_EVENTS, JOB
from llenergymeasure.model.job import TrialJob, read_job
from llenergymeasure.model.outcome import Failure
from llenergymeasure.trial.alone import driver_lock
from llenergymeasure.trial.driver import Driver
from llenergymeasure.trial.failure import write_failure
from llenergymeasure.worker.lifeline import adopt_orphans


class Wish:
    """A reason to finish early: a SIGTERM, or a host that is gone (a local trial does not outlive its host)."""

    def __init__(self) -> None:
        self._host = os.getppid()
        self._asked = False

    def __call__(self) -> str:
        if self._asked:
            return "stopped on request"
        return "" if os.getppid() == self._host else "the host process is gone"

    def set(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


def main(arguments: list[str]) -> int:
    """Drive one trial folder."""
    folder = Path(arguments[0]).resolve()
    wish = Wish()
    signal.signal(signal.SIGTERM, wish.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    with driver_lock(folder):
        return _drive(folder, wish)


def _drive(folder: Path, wish: Wish) -> int:
    log = EventLog.append_to(folder / DRIVER_EVENTS)
    try:
        job = read_job(folder / JOB)
        if not isinstance(job, TrialJob):
            raise LLEMError(f"{folder / JOB}: a {job.kind} job is not a trial")
        failure = Driver(folder, job, MonotonicClock(), log, wish).run()
    except Exception as error:  # the border of the driver: every failure becomes data
        hint = error.hint if isinstance(error, LLEMError) else ""
        failure = Failure("internal", str(error) or type(error).__name__, hint=hint, traceback=traceback.format_exc())
    if failure is not None:
        write_failure(folder, failure)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
