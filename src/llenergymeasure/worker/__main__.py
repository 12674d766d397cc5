"""``python -m llenergymeasure.worker JOB PARENT_PID``: do one job beside the engine, report by files, exit truthfully."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from llenergymeasure import plugins
from llenergymeasure.backends.contract import Backend
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.codec import CodecError, to_line
from llenergymeasure.model.event import EnvironmentFacts, EventLog, Finished, Hello
from llenergymeasure.model.folder import STAMPS, WORKER_ERROR, WORKER_EVENTS
from llenergymeasure.model.inputs import read_inputs
from llenergymeasure.model.job import (
    BusyJob,
    ConvertJob,
    Job,
    MeterJob,
    PrepareJob,
    ProbeJob,
    ServeJob,
    TrialJob,
    read_job,
)
from llenergymeasure.model.outcome import Failure, FailureKind
from llenergymeasure.model.stamps import StampWriter
from llenergymeasure.worker import jobs
from llenergymeasure.worker.busy import busy
from llenergymeasure.worker.identity import interpreter, process_identity
from llenergymeasure.worker.lifeline import die_with_parent
from llenergymeasure.worker.metered import wait_until_metered
from llenergymeasure.worker.power import PowerOfDriver
from llenergymeasure.worker.recipe import Trial, run_trial


class StopFlag:
    """Set by SIGTERM: finish the batch and close."""

    def __init__(self) -> None:
        self.stopped = False

    def __call__(self) -> bool:
        return self.stopped

    def set(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True


def main(arguments: list[str]) -> int:
    """Run the job in the file named first; the second argument is the pid this process must not outlive."""
    job_path = Path(arguments[0])
    die_with_parent(int(arguments[1]))
    folder = job_path.parent
    stop = StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = EventLog.append_to(folder / WORKER_EVENTS)
    log.write(Hello(process_identity()))
    try:
        job = read_job(job_path)
        do(job, folder, log, stop)
    except Exception as error:  # the border of the worker: every failure becomes data
        traceback.print_exc()
        (folder / WORKER_ERROR).write_text(to_line(describe(error)), encoding="utf-8")
        return 1
    log.write(Finished(job.kind))
    return 0


def do(job: Job, folder: Path, log: EventLog, stop: StopFlag) -> None:
    """One job of any kind."""
    match job:
        case TrialJob():
            inputs, engine, clock = read_inputs(Path(job.inputs)), backend(job.backend.name), MonotonicClock()
            log.write(EnvironmentFacts(interpreter()))
            if job.metering.sources:
                wait_until_metered(folder, clock)
            with StampWriter(folder / STAMPS) as stamps:
                run_trial(Trial(job, inputs, clock, log, stamps, stop, PowerOfDriver(folder)), engine)
        case ProbeJob():
            jobs.probe(backend(job.backend), log)
        case PrepareJob():
            jobs.prepare(job, folder, backend(job.backend), log)
        case ConvertJob():
            jobs.convert(job, backend(job.backend), log)
        case MeterJob():
            raise LLEMError("a meter job is not a worker's")
        case BusyJob():
            busy(job, folder, log, MonotonicClock(), stop)
        case ServeJob():
            jobs.serve(job, backend(job.backend.name), log)


def backend(name: str) -> Backend:
    """The backend behind a name."""
    found: Backend = plugins.load("backends", name)
    return found


def describe(error: Exception) -> Failure:
    """An exception as failure data."""
    kind: FailureKind = "internal"
    hint = error.hint if isinstance(error, LLEMError) else ""
    if isinstance(error, MemoryError):
        kind = "out_of_memory"
    elif isinstance(error, CodecError):
        kind = "bad_option"
    elif isinstance(error, ImportError):
        kind = "backend_missing"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        kind, hint = "disk_full", "free space, or write the results elsewhere"
    elif isinstance(error, (BackendError, LLEMError)):
        kind = "backend_error"
    return Failure(kind, str(error) or type(error).__name__, hint=hint, traceback=traceback.format_exc())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
