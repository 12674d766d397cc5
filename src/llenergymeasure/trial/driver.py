"""The trial driver: start the meter, rest, start the worker, watch it, reap, join the trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from llenergymeasure.clock import Clock, utc_now
from llenergymeasure.errors import LLEMError
from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.model.event import (
    Child,
    ChildExit,
    EventLog,
    Finished,
    Hello,
    IdleReused,
    MachineFacts,
    Metered,
    read_events,
)
from llenergymeasure.model.folder import JOB, METER_EVENTS, METER_LOG, WORKER_LOG
from llenergymeasure.model.job import TrialJob
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure
from llenergymeasure.model.reading import Channel
from llenergymeasure.runners.resolve import runner_at
from llenergymeasure.trial.failure import failure_of
from llenergymeasure.trial.finish import finish, import_ahead
from llenergymeasure.trial.idle_cache import recall
from llenergymeasure.trial.supervise import Supervisor, reap_descendants
from llenergymeasure.units import ns_to_s, s_to_ns
from llenergymeasure.worker.identity import process_identity

_METER_START_S = 20.0
_METER_STOP_S = 5.0
_POLL_S = 0.02
_IDLE_STEP_S = 0.25
# A counter has an energy between two of its ticks: one must be seen before the rest begins. The slowest known come each 100 ms.
_SENSOR_S = 0.3


class Driver:
    """One trial in one folder. ``wish()`` is a reason to finish early, or an empty string."""

    def __init__(self, folder: Path, job: TrialJob, clock: Clock, log: EventLog, wish: Callable[[], str]) -> None:
        self._folder = folder
        self._job = job
        self._clock = clock
        self._log = log
        self._wish = wish
        self._meter: subprocess.Popen[bytes] | None = None

    def run(self) -> Failure | None:
        """Drive the trial to its end: a complete trace and ``None``, or why there is none."""
        self._log.write(Hello(process_identity()))
        self._log.write(MachineFacts(snapshot()))
        try:
            self._rest_idle(self._start_meter())
            failure = self._run_worker()
            failure = failure or self._stop_meter()
        finally:
            reap_descendants()
        if failure is None:
            finish(self._folder)
            self._log.write(Finished("trial"))
        return failure

    def _start_meter(self) -> tuple[Channel, ...]:
        """Start the meter, wait until it reads, and return what it reads."""
        if not self._job.metering.sources:
            return ()
        command = [sys.executable, "-m", "llenergymeasure.meter", str(self._folder), str(os.getpid())]
        with open(self._folder / METER_LOG, "ab") as output:
            self._meter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._started("meter", self._meter)
        deadline_ns = self._clock.now_ns() + int(_METER_START_S * 1e9)
        while True:
            for event in read_events(self._folder / METER_EVENTS):
                if isinstance(event, Metered):
                    return event.channels
            if self._meter.poll() is not None or self._clock.now_ns() > deadline_ns:
                raise LLEMError("the meter did not start", hint=f"read {self._folder / METER_LOG}")
            self._clock.sleep(_POLL_S)

    def _rest_idle(self, channels: tuple[Channel, ...]) -> None:
        """Idle power with nothing loaded; skipped when it has no length, or was measured not long ago."""
        protocol = self._job.protocol
        if protocol.idle_seconds > 0:
            known = recall(channels, utc_now(), protocol.idle_max_age_seconds)
            if known is not None:
                self._log.write(IdleReused(known))
                return
            self._clock.sleep(_SENSOR_S)
            self._log.write(Mark("idle", "begin", self._clock.now_ns()))
            end_ns = self._clock.now_ns() + s_to_ns(protocol.idle_seconds)
            while (left_ns := end_ns - self._clock.now_ns()) > 0 and not self._wish():
                self._clock.sleep(min(ns_to_s(left_ns), _IDLE_STEP_S))
            self._log.write(Mark("idle", "end", self._clock.now_ns()))

    def _run_worker(self) -> Failure | None:
        """Launch the worker and watch it to its end."""
        process = runner_at(self._job.runner).launch(self._folder / JOB, self._folder / WORKER_LOG)
        if not self._job.cold_start:  # whose window has begun
            threading.Thread(target=import_ahead, daemon=True).start()
        self._started("worker", process)
        supervisor = Supervisor(process, self._folder, self._job.limits, self._clock)
        returncode = supervisor.until_end(self._wish)
        self._log.write(ChildExit("worker", process.pid, returncode))
        return failure_of(self._folder, returncode, supervisor.events, supervisor.stopped)

    def _stop_meter(self) -> Failure | None:
        """Ask the meter to write its last readings and end; a meter that had died before loses the trial its energy."""
        if self._meter is None:
            return None
        if self._meter.poll() is None:
            self._meter.send_signal(signal.SIGTERM)
        try:
            returncode = self._meter.wait(_METER_STOP_S)
        except subprocess.TimeoutExpired:
            self._meter.kill()
            returncode = self._meter.wait()
        self._log.write(ChildExit("meter", self._meter.pid, returncode))
        if returncode == 0:
            return None
        return Failure("meter", f"the meter ended with status {returncode}", hint=f"read {self._folder / METER_LOG}")

    def _started(self, role: Literal["worker", "meter"], process: subprocess.Popen[bytes]) -> None:
        self._log.write(Child(role, process.pid, self._clock.now_ns()))
