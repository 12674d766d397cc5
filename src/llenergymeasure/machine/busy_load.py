"""A load for characterising sensors: a worker that keeps the GPUs, or the CPUs, busy at given times."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from llenergymeasure.clock import Clock
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import to_line
from llenergymeasure.model.event import EventTail, Progress, Worked
from llenergymeasure.model.folder import BUSY, JOB, WORKER_EVENTS, WORKER_LOG
from llenergymeasure.model.job import BusyJob, BusyTimes, job_text
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel
from llenergymeasure.runners.contract import Runner
from llenergymeasure.runners.job import failed

E = TypeVar("E", Progress, Worked)

_READY_S, _END_S, _POLL_S = 120.0, 60.0, 0.05


class BusyLoad:
    """The worker, from the time that it is ready until the block ends. Raises ``BackendError`` when it cannot work."""

    def __init__(self, runner: Runner, device: str, clock: Clock) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="llem-load-")
        self._folder = Path(self._scratch.name)
        self._device = device
        self._clock = clock
        self._tail = EventTail(self._folder / WORKER_EVENTS)
        job = BusyJob("cuda" if device == "cuda" else "cpu")
        (self._folder / JOB).write_text(job_text(job), encoding="utf-8")
        self._process: subprocess.Popen[bytes] = runner.launch(self._folder / JOB, self._folder / WORKER_LOG)

    def __enter__(self) -> BusyLoad:
        try:
            self._wait_for(Progress, _READY_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def work(self, at: Sequence[Interval]) -> None:
        draft = self._folder / f"{BUSY}.draft"
        draft.write_text(to_line(BusyTimes(tuple(at))), encoding="utf-8")
        os.replace(draft, self._folder / BUSY)

    def worked(self) -> tuple[Interval, ...]:
        return self._wait_for(Worked, _END_S).at

    def heats(self, channel: Channel) -> bool:
        """GPUs when it works on them, else the processor."""
        return (channel.domain in ("gpu", "module")) == (self._device == "cuda")

    def _wait_for(self, kind: type[E], within_s: float) -> E:
        waited_s = 0.0
        while True:
            ended = self._process.poll() is not None
            for event in self._tail.new():
                if isinstance(event, kind):
                    return event
            if ended:
                raise failed(self._folder, "busy", self._process.returncode)
            if waited_s > within_s:
                raise BackendError(f"the load said nothing for {within_s:.0f} s")
            self._clock.sleep(_POLL_S)
            waited_s += _POLL_S

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._scratch.cleanup()
