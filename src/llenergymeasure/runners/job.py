"""Short jobs beside an engine: launch a worker, wait, return its events."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import decode
from llenergymeasure.model.event import Event, EventTail, Finished, Unreadable
from llenergymeasure.model.folder import JOB, WORKER_ERROR, WORKER_EVENTS, WORKER_LOG
from llenergymeasure.model.job import Job, job_text
from llenergymeasure.model.outcome import Failure
from llenergymeasure.runners.contract import Runner
from llenergymeasure.runners.ended import ended

_POLL_S = 0.1


def run_job(
    runner: Runner, job: Job, folder: Path, *, on_event: Callable[[Event], None] = lambda event: None, timeout_s: float
) -> tuple[Event, ...]:
    """Do ``job`` in ``folder`` and return all its events.

    Raises ``BackendError`` with the worker's own words when it fails, and when it takes longer than ``timeout_s``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(job_text(job), encoding="utf-8")
    process = runner.launch(folder / JOB, folder / WORKER_LOG)
    tail, events = EventTail(folder / WORKER_EVENTS), list[Event]()
    waited_s = 0.0
    try:
        while True:
            over = ended(process, _POLL_S)
            for event in tail.new():
                if isinstance(event, Unreadable):
                    raise BackendError(f"{job.kind} job: the worker wrote an event that cannot be read: {event.reason}")
                events.append(event)
                on_event(event)
            if over:
                break
            waited_s += _POLL_S
            if waited_s > timeout_s:
                raise BackendError(f"{job.kind} job: no end after {timeout_s:.0f} s")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0 or not any(isinstance(event, Finished) for event in events):
        raise failed(folder, job.kind, process.returncode)
    return tuple(events)


def failed(folder: Path, kind: str, returncode: int) -> BackendError:
    """Why a worker did not do its job: in its own words, else by its exit status."""
    try:
        failure = decode(Failure, json.loads((folder / WORKER_ERROR).read_text(encoding="utf-8")))
        return BackendError(failure.message, hint=failure.hint)
    except (OSError, ValueError):
        return BackendError(
            f"{kind} job: the worker ended with status {returncode}", hint=f"read {folder / WORKER_LOG}"
        )
