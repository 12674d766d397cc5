"""``python -m llenergymeasure.trial FOLDER``: drive the trial of ``job.json`` there. Exit 0 with a trace, 1 with an error.

``TRIALS --next`` is started ahead: the name of its folder, below TRIALS, comes on stdin once there is one.
"""

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
from llenergymeasure.model.folder import DRIVER_EVENTS, DRIVER_LOG, JOB
from llenergymeasure.model.job import TrialJob, read_job
from llenergymeasure.model.outcome import Failure
from llenergymeasure.trial.alone import driver_lock
from llenergymeasure.trial.driver import Driver
from llenergymeasure.trial.failure import write_failure
from llenergymeasure.worker.lifeline import adopt_orphans, leave


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
    wish = Wish()
    signal.signal(signal.SIGTERM, wish.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    folder = Path(arguments[0]).resolve()
    if arguments[1:] == ["--next"]:
        name = os.fsdecode(sys.stdin.buffer.read())
        if not name:  # no trial followed
            return 0
        folder /= name
        _print_to(folder / DRIVER_LOG)
    with driver_lock(folder):
        return _drive(folder, wish)


def _print_to(path: Path) -> None:
    with open(path, "ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())


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
    leave(main(sys.argv[1:]))
