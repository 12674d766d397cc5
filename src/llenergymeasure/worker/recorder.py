"""The worker's sink: stamps go into the mapped file at once, everything else waits in memory until the window is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from llenergymeasure.clock import Clock
from llenergymeasure.model.event import EventLog, RequestDone, Submission
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.model.stamps import StampWriter


class Recorder:
    """Implements ``backends.contract.Sink`` for one trial."""

    def __init__(self, clock: Clock, stamps: StampWriter, stopping: Callable[[], bool]) -> None:
        self._clock = clock
        self._stamps = stamps
        self._stopping = stopping
        self._lock = threading.Lock()
        self._batches = 0
        self._submissions: list[Submission] = []
        self._completions: list[Completion] = []
        self._prompts: dict[int, int] = {}

    def begin(self, requests: Sequence[Request]) -> None:
        """Make room for these requests before they are handed to the session, and forget those of before."""
        self._submissions, self._completions, self._prompts = [], [], {}
        self.extend(requests)

    def extend(self, requests: Sequence[Request]) -> None:
        """Make room for further requests."""
        self._prompts.update((request.sequence, request.prompt) for request in requests)
        self._stamps.reserve(sum(request.max_new_tokens for request in requests) + len(requests))

    def submitted(self, requests: Sequence[Request]) -> int:
        t_ns = self._clock.now_ns()
        with self._lock:
            batch = self._batches
            self._batches += 1
            self._submissions.append(Submission(batch, t_ns, tuple(request.sequence for request in requests)))
        return batch

    def step(self, batch: int) -> None:
        self._stamps.step(batch, self._clock.now_ns())

    def token(self, sequence: int) -> None:
        self._stamps.token(sequence, self._clock.now_ns())

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def finished(self, completion: Completion) -> None:
        with self._lock:
            self._completions.append(completion)

    def stopping(self) -> bool:
        return self._stopping()

    @property
    def output_tokens(self) -> int:
        """Tokens of the requests finished since ``begin``."""
        return sum(len(completion.output_ids) for completion in self._completions)

    @property
    def finished_requests(self) -> int:
        """Requests finished since ``begin``, cancelled ones left out."""
        return sum(completion.finish_reason != "cancelled" for completion in self._completions)

    def flush(self, log: EventLog) -> None:
        """Write what was recorded since ``begin``."""
        for submission in self._submissions:
            log.write(submission)
        for completion in sorted(self._completions, key=lambda completion: completion.sequence):
            log.write(RequestDone(self._prompts[completion.sequence], completion))
