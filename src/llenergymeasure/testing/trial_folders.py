"""A trial's folder as its processes leave it, made in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from llenergymeasure.backends.contract import Backend
from llenergymeasure.clock import Clock
from llenergymeasure.model.event import EnvironmentFacts, EventLog, Finished, Hello, MachineFacts, PowerTrend
from llenergymeasure.model.folder import DRIVER_EVENTS, JOB, STAMPS, WORKER_EVENTS
from llenergymeasure.model.inputs import Inputs, pack_ids, write_inputs
from llenergymeasure.model.job import TrialJob, job_text
from llenergymeasure.model.stamps import StampWriter
from llenergymeasure.testing.builders import machine, prepared_inputs, process_identity, trial_job
from llenergymeasure.testing.simulated_backend import SimulatedBackend
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.worker.identity import interpreter
from llenergymeasure.worker.recipe import Trial, run_trial


def write_job(folder: Path, job: TrialJob | None = None, inputs: Inputs | None = None) -> TrialJob:
    """What the host leaves before a trial: the prepared inputs, and the job that names their folder."""
    inputs = inputs or prepared_inputs()
    inputs_folder = folder / "inputs"
    inputs_folder.mkdir(parents=True, exist_ok=True)
    write_inputs(inputs_folder, inputs.description, pack_ids(inputs.ids))
    job = dataclasses.replace(job or trial_job(options={"decode_seconds_per_step": 1.0}), inputs=str(inputs_folder))
    (folder / JOB).write_text(job_text(job), encoding="utf-8")
    return job


def work(
    folder: Path,
    job: TrialJob | None = None,
    inputs: Inputs | None = None,
    *,
    backend: Backend | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    power: Callable[[], PowerTrend | None] = lambda: None,
) -> None:
    """Drive and work the whole trial: afterwards ``folder`` can be joined. What the backend raises leaves as it is."""
    inputs = inputs or prepared_inputs()
    job = write_job(folder, job, inputs)
    clock = clock or VirtualClock()
    driver = EventLog.append_to(folder / DRIVER_EVENTS)
    driver.write(Hello(process_identity()))
    driver.write(MachineFacts(machine()))
    driver.close()
    log = EventLog.append_to(folder / WORKER_EVENTS)
    log.write(Hello(process_identity(pid=101)))
    log.write(EnvironmentFacts(interpreter()))
    try:
        with StampWriter(folder / STAMPS) as stamps:
            run_trial(Trial(job, inputs, clock, log, stamps, stop, power), backend or SimulatedBackend(clock))
        log.write(Finished(job.kind))
    finally:
        log.close()
