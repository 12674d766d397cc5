"""``python -m llenergymeasure.meter FOLDER PARENT_PID``: read the channels that the job in FOLDER asks for, until SIGTERM."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

from llenergymeasure.clock import Clock, WokenClock, clock_triple_ns
from llenergymeasure.energy.host_load import with_host_load
from llenergymeasure.energy.select import Selection, select
from llenergymeasure.errors import LLEMError
from llenergymeasure.machine.sensor_profiles import with_what_is_known
from llenergymeasure.meter.binary import ReadingsWriter
from llenergymeasure.meter.here import surroundings
from llenergymeasure.meter.loop import batches_of, read_once, read_until
from llenergymeasure.meter.schedule import Every, Task
from llenergymeasure.meter.worker_pid import WorkerPid
from llenergymeasure.model.event import ClockTriple, EventLog, Finished, Hello, MeterCost, Metered
from llenergymeasure.model.folder import DRIVER_EVENTS, JOB, METER_EVENTS, METER_READINGS
from llenergymeasure.model.job import MeterJob, TrialJob, read_job
from llenergymeasure.model.reading import SourceVerdict
from llenergymeasure.units import NS_PER_S, ns_to_s
from llenergymeasure.worker.identity import process_identity
from llenergymeasure.worker.lifeline import die_with_parent, leave

# A meter that is killed loses no more than this; live figures are no older.
_FLUSH_NS = NS_PER_S // 4
# Above what else runs, for the little time that it takes; the nicest is 19.
_PRIORITY = -10


class StopFlag:
    """Set by SIGTERM: read once more and end."""

    def __init__(self) -> None:
        self.stopped = False

    def __call__(self) -> bool:
        return self.stopped

    def set(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True


def main(arguments: list[str]) -> int:
    """Meter the trial of one folder; the second argument is the pid this process must not outlive."""
    folder = Path(arguments[0])
    die_with_parent(int(arguments[1]))
    stop = StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = EventLog.append_to(folder / METER_EVENTS)
    log.write(Hello(process_identity()))
    try:
        job = read_job(folder / JOB)
        if not isinstance(job, TrialJob | MeterJob):
            raise LLEMError(f"{folder / JOB}: a {job.kind} job is not metered")
        around = surroundings(WorkerPid(folder / DRIVER_EVENTS))
        with (
            closing(with_host_load(with_what_is_known(select(job.metering.sources, around)), around)) as selection,
            closing(ReadingsWriter(folder / METER_READINGS)) as sink,
        ):
            be_prompt()
            meter(selection, job.metering.sampling_hz, sink, log, WokenClock(), stop)
    except Exception as error:  # the border of the meter: its log says why
        print(f"{error}\n{traceback.format_exc()}", file=sys.stderr, flush=True)  # noqa: T201 - the meter's log
        return 1
    log.write(Finished("meter"))
    return 0


def be_prompt() -> None:
    """See to it that this process wakes when it asks to: a late wake is a tick less well known."""
    # What is loaded stays: to look through it for garbage would stop the reading for some 10 ms now and then.
    gc.freeze()
    with suppress(OSError):  # only root may, and those whom it lets
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)


class _Verdicts:
    """Writes what is read, and what of it can be used, whenever that has changed."""

    def __init__(self, selection: Selection, log: EventLog) -> None:
        self._selection = selection
        self._log = log
        self._written: tuple[SourceVerdict, ...] | None = None

    def write(self) -> None:
        now = self._selection.verdicts_now()
        if now != self._written:
            self._written = now
            self._log.write(Metered(now, self._selection.channels))


def meter(
    selection: Selection,
    cap_hz: float | None,
    sink: ReadingsWriter,
    log: EventLog,
    clock: Clock,
    stopped: Callable[[], bool],
) -> None:
    """Read until ``stopped()``.

    ``Metered`` is written when every channel has been read once, and again when a verdict changes: a source broke its contract.
    """
    batches = batches_of(selection.reads, cap_hz)
    began_ns, began_cpu_s = clock.now_ns(), time.process_time()
    read_once(batches, sink)
    sink.flush()
    verdicts = _Verdicts(selection, log)
    chores = (
        Task(sink.flush, Every(_FLUSH_NS)),
        Task(verdicts.write, Every(NS_PER_S)),
        Task(lambda: log.write(ClockTriple(*clock_triple_ns())), Every(NS_PER_S)),
    )
    verdicts.write()
    read_until(stopped, batches, sink, clock, chores=chores)
    sink.flush()
    verdicts.write()
    wall_s, cpu_s = ns_to_s(clock.now_ns() - began_ns), time.process_time() - began_cpu_s
    log.write(MeterCost(cpu_s, wall_s, sink.count))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
