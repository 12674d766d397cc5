"""The trial driver: start the meter, rest, start the worker, watch it, reap, join the trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llenergymeasure.clock import Clock, utc_now
from llenergymeasure.errors import LLEMError
from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.model.event import (
    Child,
    ChildExit,
    Event,
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
from llenergymeasure.runners.ended import ended
from llenergymeasure.runners.resolve import runner_at
from llenergymeasure.trial.failure import failure_of
from llenergymeasure.trial.finish import finish, import_ahead
from llenergymeasure.trial.idle_cache import recall
from llenergymeasure.trial.power_hold import PowerNotSet, held_power
from llenergymeasure.trial.supervise import Supervisor, reap_descendants
from llenergymeasure.units import ns_to_s, s_to_ns
from llenergymeasure.worker.identity import process_identity

if TYPE_CHECKING:
    from llenergymeasure.trial.power_trend import PowerWatch

_METER_START_S = 20.0
_METER_STOP_S = 5.0
_POLL_S = 0.01
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
        self._power: PowerWatch | None = None

    def run(self) -> Failure | None:
        """Drive the trial to its end: a complete trace and ``None``, or why there is none."""
        self._log.write(Hello(process_identity()))
        try:
            with held_power(self._job.power, self._log) as holders:
                failure = self._trial(holders)
        except PowerNotSet as error:
            return Failure("unsupported", str(error), hint=error.hint)
        if failure is None:
            finish(self._folder)
            self._log.write(Finished("trial"))
        return failure

    def _trial(self, keep: frozenset[int]) -> Failure | None:
        """From the first idle to the last; nothing that it started is left but ``keep``."""
        try:
            self._start_meter()
            self._rest_idle()
            worker = self._start_worker()
            self._log.write(MachineFacts(snapshot()))
            self._metered()
            failure = self._watch(worker)
            return failure or self._stop_meter()
        finally:
            reap_descendants(keep)

    def _start_meter(self) -> None:
        """Start the meter; it reads only when ``_metered`` says so."""
        if not self._job.metering.sources:
            return
        command = [sys.executable, "-m", "llenergymeasure.meter", str(self._folder), str(os.getpid())]
        with open(self._folder / METER_LOG, "ab") as output:
            self._meter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._started("meter", self._meter)

    def _metered(self) -> tuple[Channel, ...]:
        """Wait until the meter reads, and return what it reads."""
        if self._meter is None:
            return ()
        deadline_ns = self._clock.now_ns() + int(_METER_START_S * 1e9)
        while True:
            for event in read_events(self._folder / METER_EVENTS):
                if isinstance(event, Metered):
                    return event.channels
            if ended(self._meter, _POLL_S) or self._clock.now_ns() > deadline_ns:
                raise LLEMError("the meter did not start", hint=f"read {self._folder / METER_LOG}")

    def _rest_idle(self) -> None:
        """Idle power with nothing loaded; skipped when it has no length, or was measured not long ago."""
        protocol = self._job.protocol
        if protocol.idle_seconds > 0:
            channels = self._metered()
            # Idle power under a cap or with locked clocks is not what it is without.
            known = None if self._job.power else recall(channels, utc_now(), protocol.idle_max_age_seconds)
            if known is not None:
                self._log.write(IdleReused(known))
                return
            self._clock.sleep(_SENSOR_S)
            self._log.write(Mark("idle", "begin", self._clock.now_ns()))
            end_ns = self._clock.now_ns() + s_to_ns(protocol.idle_seconds)
            while (left_ns := end_ns - self._clock.now_ns()) > 0 and not self._wish():
                self._clock.sleep(min(ns_to_s(left_ns), _IDLE_STEP_S))
            self._log.write(Mark("idle", "end", self._clock.now_ns()))

    def _start_worker(self) -> subprocess.Popen[bytes]:
        """Launch the worker. It starts while the meter does, and loads nothing before the meter reads."""
        process = runner_at(self._job.runner).launch(self._folder / JOB, self._folder / WORKER_LOG)
        if not self._job.cold_start:  # whose window has begun
            threading.Thread(target=import_ahead, daemon=True).start()
        self._started("worker", process)
        return process

    def _watch(self, worker: subprocess.Popen[bytes]) -> Failure | None:
        """Watch the worker to its end."""
        supervisor = Supervisor(worker, self._folder, self._job.limits, self._clock, warming=self._tell_power)
        returncode = supervisor.until_end(self._wish)
        self._log.write(ChildExit("worker", worker.pid, returncode))
        return failure_of(self._folder, returncode, supervisor.events, supervisor.stopped)

    def _tell_power(self, events: Sequence[Event]) -> None:
        """Tell the worker how its power moves, where its warm-up waits for that."""
        if self._job.protocol.warmup.power_drift is None:
            return
        if self._power is None:
            from llenergymeasure.trial.power_trend import watch  # brings numpy, which most trials' drivers do not need

            self._power = watch(self._folder, events, self._clock)
        trend = None if self._power is None else self._power.look()
        if trend is not None:
            self._log.write(trend)

    def _stop_meter(self) -> Failure | None:
        """Ask the meter to write its last readings and end; a meter that had died before loses the trial its energy."""
        if self._meter is None:
            return None
        if self._meter.poll() is None:
            self._meter.send_signal(signal.SIGTERM)
        if not ended(self._meter, _METER_STOP_S):
            self._meter.kill()
        returncode = self._meter.wait()
        self._log.write(ChildExit("meter", self._meter.pid, returncode))
        if returncode == 0:
            return None
        return Failure("meter", f"the meter ended with status {returncode}", hint=f"read {self._folder / METER_LOG}")

    def _started(self, role: Literal["worker", "meter"], process: subprocess.Popen[bytes]) -> None:
        self._log.write(Child(role, process.pid, self._clock.now_ns()))
