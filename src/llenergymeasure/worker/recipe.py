"""A trial as the worker sees it: open, idle, warm up, measure, rest, close."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from llenergymeasure.backends.contract import Backend, Session
from llenergymeasure.clock import Clock
from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.event import (
    EventLog,
    MemoryFacts,
    PowerTrend,
    Progress,
    WarmupBatch,
    WarmupDone,
    WindowDone,
)
from llenergymeasure.model.inputs import Inputs
from llenergymeasure.model.job import TrialJob
from llenergymeasure.model.mark import Edge, Mark, Phase
from llenergymeasure.model.request import Request
from llenergymeasure.model.stamps import StampWriter
from llenergymeasure.units import ns_to_s, s_to_ns
from llenergymeasure.worker.file_cache import file_cache
from llenergymeasure.worker.identity import process_peak_bytes
from llenergymeasure.worker.recorder import Recorder
from llenergymeasure.worker.steady import power_is_steady, steadiness
from llenergymeasure.worker.warmup import permuted, warmup_prompts


class Trial:
    """One trial's facts going out: marks, events and stamps, on one clock."""

    def __init__(
        self,
        job: TrialJob,
        inputs: Inputs,
        clock: Clock,
        log: EventLog,
        stamps: StampWriter,
        stop: Callable[[], bool],
        power: Callable[[], PowerTrend | None] = lambda: None,
    ) -> None:
        self.job = job
        self.inputs = inputs
        self.clock = clock
        self.log = log
        self.stop = stop
        self.power = power
        self._deadline_ns: int | None = None
        self.recorder = Recorder(clock, stamps, self._stopping)
        self._sequence = 0

    def mark(self, phase: Phase, edge: Edge) -> int:
        """Stamp one edge of a phase now."""
        mark = Mark(phase, edge, self.clock.now_ns())
        self.log.write(mark)
        return mark.t_ns

    def say(self, message: str, fraction: float | None = None) -> None:
        """Tell a person who waits."""
        self.log.write(Progress(message, fraction))

    def rest(self, phase: Phase, seconds: float) -> None:
        """A phase in which nothing is submitted. Skipped when it has no length."""
        if seconds > 0:
            self.mark(phase, "begin")
            self.clock.sleep(seconds)
            self.mark(phase, "end")

    def limit(self, end_ns: int | None) -> None:
        """Let no batch begin after ``end_ns``."""
        self._deadline_ns = end_ns

    def past_limit(self) -> bool:
        return self._deadline_ns is not None and self.clock.now_ns() >= self._deadline_ns

    def _stopping(self) -> bool:
        return self.stop() or self.past_limit()

    def requests(self, prompts: Sequence[tuple[int, tuple[int, ...]]]) -> tuple[Request, ...]:
        """Number these (row, ids) prompts on as requests."""
        requests = []
        for row, ids in prompts:
            own = self.inputs.description.max_new_tokens[row]
            limit = self.job.decoder.max_new_tokens if own is None else own
            requests.append(Request(self._sequence, row, ids, limit))
            self._sequence += 1
        return tuple(requests)


def run_trial(trial: Trial, backend: Backend) -> None:
    """The whole recipe. Errors leave as they are, with the session closed; the caller reports them."""
    if not trial.inputs.window:
        raise LLEMError("the prepared inputs hold no prompt")
    protocol = trial.job.protocol
    if (cached := file_cache(trial.job.model.path)) is not None:
        trial.log.write(cached)
    if trial.job.cold_start:
        trial.mark("window", "begin")
    with opened(trial, backend) as session:
        if trial.job.cold_start:
            first_request(trial, session)
        else:
            trial.rest("idle_loaded", protocol.idle_loaded_seconds)
            warm_up(trial, session)
            measure(trial, session)
        trial.rest("quiet", protocol.quiet_seconds)
        device = session.memory()
        trial.log.write(MemoryFacts(device.allocated_peak_bytes, device.reserved_peak_bytes, process_peak_bytes()))


@contextmanager
def opened(trial: Trial, backend: Backend) -> Iterator[Session]:
    """The model, opened and then closed: time and energy of both are kept apart from the window's."""
    trial.mark("load", "begin")
    trial.say(f"loading {trial.job.model.name}")
    session = backend.open(trial.job)
    try:
        session.synchronize()
        trial.mark("load", "end")
        trial.log.write(session.facts())
        yield session
    except BaseException:
        # Not marked: the last mark says where it failed. A session that cannot be closed either must not hide why.
        with suppress(BackendError, MemoryError):
            session.close()
        raise
    trial.mark("close", "begin")
    session.close()
    trial.mark("close", "end")


def warm_up(trial: Trial, session: Session) -> None:
    """Batches of one shape, that of the window, over other prompts, until they are steady or the time is over."""
    protocol = trial.job.protocol.warmup
    if protocol.strategy == "none":
        trial.log.write(WarmupDone(0, 0.0, None, None, "none"))
        return
    begin_ns = trial.mark("warmup", "begin")
    trial.limit(None)
    size = min(len(trial.inputs.window), session.concurrency)
    prompts, source = warmup_prompts(trial.inputs, size)
    seconds_per_token: list[float] = []
    cv, steady, power, batches = None, False, None, 0
    while not trial.stop():
        batch = trial.requests(permuted(prompts, trial.job.seed, batches))
        trial.recorder.begin(batch)
        batch_begin_ns = trial.clock.now_ns()
        session.run(batch, trial.recorder)
        session.synchronize()
        seconds = ns_to_s(trial.clock.now_ns() - batch_begin_ns)
        tokens = trial.recorder.output_tokens
        seconds_per_token.append(seconds / max(tokens, 1))
        judged = steadiness(seconds_per_token, protocol.cv_target)
        cv, steady, batches = judged.cv, judged.steady, batches + 1
        if protocol.power_drift is not None:
            power = trial.power()
            steady = steady and power_is_steady(power, protocol.power_drift, trial.job.protocol.window.min_seconds)
        trial.log.write(WarmupBatch(batches, seconds, tokens, cv, steady))
        enough = batches >= protocol.n_warmup and (steady or protocol.strategy == "fixed")
        if enough or ns_to_s(trial.clock.now_ns() - begin_ns) >= protocol.max_seconds:
            break
    end_ns = trial.mark("warmup", "end")
    judged_steady = steady if cv is not None else None
    trial.log.write(WarmupDone(batches, ns_to_s(end_ns - begin_ns), judged_steady, cv, source, power))


def measure(trial: Trial, session: Session) -> None:
    """The window: whole passes over the prompts until it is long enough. Nothing is written inside it, only stamped."""
    protocol = trial.job.protocol.window
    rows = list(enumerate(trial.inputs.window))
    requests = trial.requests(rows)
    trial.recorder.begin(requests)
    trial.say("measuring")
    trial.log.hold()
    try:
        session.synchronize()
        begin_ns = trial.mark("window", "begin")
        trial.limit(None if protocol.max_seconds is None else begin_ns + s_to_ns(protocol.max_seconds))
        passes = 0
        while True:
            session.run(requests, trial.recorder)
            passes += 1
            long_enough = ns_to_s(trial.clock.now_ns() - begin_ns) >= protocol.min_seconds
            if long_enough or trial.stop() or trial.past_limit():
                break
            requests = trial.requests(rows)
            trial.recorder.extend(requests)
        session.synchronize()
        trial.mark("window", "end")
    finally:
        trial.log.release()
    trial.recorder.flush(trial.log)
    partial = trial.recorder.finished_requests < passes * len(rows)
    stopped_by: Literal["signal", "max_seconds", "length"]
    stopped_by = "signal" if trial.stop() else "length" if long_enough and not partial else "max_seconds"
    trial.log.write(WindowDone(passes - partial, partial, stopped_by))
    trial.limit(None)


def first_request(trial: Trial, session: Session) -> None:
    """A cold start: the window, which opened before loading, closes after one request."""
    requests = trial.requests(list(enumerate(trial.inputs.window))[:1])
    trial.log.write(WarmupDone(0, 0.0, None, None, "none"))
    trial.recorder.begin(requests)
    trial.say("the first request")
    trial.log.hold()
    try:
        session.run(requests, trial.recorder)
        session.synchronize()
        trial.mark("window", "end")
    finally:
        trial.log.release()
    trial.recorder.flush(trial.log)
    trial.log.write(WindowDone(0, False, "signal" if trial.stop() else "first_request"))
