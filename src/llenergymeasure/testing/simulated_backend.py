"""An inference engine whose timing is known exactly, for tests: it sleeps on a clock and generates ids by a rule.

With static batching a batch of ``concurrency`` requests is prefilled, and then each step gives one token to every request that
has not ended; requests are reported when their batch is over. With engine batching all requests queue for ``concurrency``
slots; a free slot is prefilled while the others wait, which gives its first token, and then each step gives one token to
every slot. Time passes in two places only: ``prefill_seconds_per_token`` for each input token, ``decode_seconds_per_step`` for
each step after the first token. Token ``index`` of prompt ``row`` is ``token_id(row, index)``; a completion that may end does so
at ``eos_after`` tokens, the last of them ``EOS``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llenergymeasure._version import __version__
from llenergymeasure.backends.contract import BackendSpec, Batching, DeviceMemory, Sink, not_served
from llenergymeasure.clock import Clock, MonotonicClock
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import decode
from llenergymeasure.model.event import Found, Missing, SessionFacts
from llenergymeasure.model.folder import WORKER_EVENTS
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import ConvertJob, Decoder, ModelRef, ServeJob, TrialJob
from llenergymeasure.model.machine import Interpreter
from llenergymeasure.model.request import Completion, FinishReason, Request
from llenergymeasure.units import NS_PER_MS

BOS, EOS = 1, 2
VOCABULARY = 50_000
_FIRST_WORD = 16
_TOKENIZER = "words of text by crc32, version 1"

# The device that the simulated energy source plays beside the CPU.
_DEVICE_IDS = {"cpu": "cpu", "cuda": "GPU-simulated"}

FailMode = Literal["raise", "out_of_memory", "exit", "segfault", "hang", "garbage"]


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """Section ``simulated``."""

    concurrency: int = field(default=4, metadata={"doc": "requests worked on at once"})
    batching: Batching = field(default="engine", metadata={"doc": "static batches, or a scheduler of its own"})
    load_seconds: float = field(default=0.0, metadata={"doc": "time that opening takes"})
    prefill_seconds_per_token: float = field(default=1e-5, metadata={"doc": "time of one input token"})
    decode_seconds_per_step: float = field(default=1e-3, metadata={"doc": "time of one step after the first token"})
    eos_after: int | None = field(default=None, metadata={"doc": "tokens of a completion that may end by itself"})
    token_times: bool = field(default=True, metadata={"doc": "whether tokens are observed as they appear"})
    fail: FailMode | None = field(
        default=None,
        metadata={
            "doc": "raise an error, run out_of_memory, exit without a word, segfault, hang so that only SIGKILL helps, or print "
            "garbage and spoil the events file"
        },
    )
    fail_at_request: int | None = field(
        default=None,
        metadata={"doc": "the request, counted over the trial, at which to fail; without it while opening"},
    )
    passthrough_kwargs: Mapping[str, Any] = field(default_factory=dict, metadata={"doc": "recorded and ignored"})


SPEC = BackendSpec(
    name="simulated",
    engine="simulated",
    minimum_version="0",
    remedy="nothing needs to be installed",
    options=SimulatedOptions,
    concurrency_option="concurrency",
    batching="engine",
    formats=("directory", "gguf"),
    precisions=("as_stored", "fp32", "fp16", "bf16"),
    decoding=("greedy", "sampling"),
    devices=tuple(_DEVICE_IDS),
    token_times=True,
    accepts_token_ids=True,
    random_weights=True,
)


def token_id(row: int, index: int) -> int:
    """The id that the engine generates as token ``index`` of the prompt in ``row``."""
    return _FIRST_WORD + (31 * row + index) % (VOCABULARY - _FIRST_WORD)


class SimulatedTokenizer:
    """One id a word, the same in every process."""

    sha256 = hashlib.sha256(_TOKENIZER.encode()).hexdigest()

    def encode(self, text: str) -> tuple[int, ...]:
        words = (zlib.crc32(word.encode()) for word in text.split())
        return (BOS, *(_FIRST_WORD + word % (VOCABULARY - _FIRST_WORD) for word in words))

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        turns = " ".join(f"<{message.role}> {message.content} </{message.role}>" for message in messages)
        return self.encode(f"{turns} <assistant>")

    def close(self) -> None:
        """Nothing is held."""


class SimulatedSession:
    """An opened simulation."""

    def __init__(self, options: SimulatedOptions, job: TrialJob, clock: Clock) -> None:
        self._options = options
        self._job = job
        self._clock = clock
        self.concurrency = options.concurrency
        self.closed = False

    def facts(self) -> SessionFacts:
        options = self._options
        return SessionFacts(
            engine=SPEC.engine,
            engine_version=__version__,
            batching=options.batching,
            device=self._job.device,
            device_ids=(_DEVICE_IDS[self._job.device],),
            precision=self._job.precision,
            effective_options={"concurrency": options.concurrency, "batching": options.batching},
        )

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        if self._options.batching == "static":
            for begin in range(0, len(requests), self.concurrency):
                if sink.stopping():
                    return
                self._run_batch(requests[begin : begin + self.concurrency], sink)
        else:
            self._run_queue(requests, sink)

    def synchronize(self) -> None:
        """Nothing is left to do when ``run`` returns."""

    def memory(self) -> DeviceMemory:
        return DeviceMemory()

    def close(self) -> None:
        self.closed = True

    def _run_batch(self, requests: Sequence[Request], sink: Sink) -> None:
        """One static batch, from its submission to the end of its longest request."""
        for request in requests:
            self._fail_at(request)
        batch = sink.submitted(requests)
        self._prefill(sum(len(request.input_ids) for request in requests))
        for step in range(max(self._length(request) for request in requests)):
            if step:
                self._clock.sleep(self._options.decode_seconds_per_step)
            if self._options.token_times:
                sink.step(batch)
        for request in requests:
            sink.finished(self._completion(request, sink.now_ns(), None))

    def _run_queue(self, requests: Sequence[Request], sink: Sink) -> None:
        """All requests at once, through ``concurrency`` slots."""
        sink.submitted(requests)
        submitted_ns = sink.now_ns()
        queue, slots = list(requests), list[_Slot]()
        while slots or (queue and not sink.stopping()):
            while queue and len(slots) < self.concurrency and not sink.stopping():
                request = queue.pop(0)
                self._fail_at(request)
                slots.append(_Slot(request, (sink.now_ns() - submitted_ns) / NS_PER_MS))
                self._prefill(len(request.input_ids))
                self._token(slots[-1], sink)
                slots = self._without_ended(slots, sink)
            if slots:
                self._clock.sleep(self._options.decode_seconds_per_step)
            for slot in slots:
                self._token(slot, sink)
            slots = self._without_ended(slots, sink)

    def _token(self, slot: _Slot, sink: Sink) -> None:
        slot.tokens += 1
        if self._options.token_times:
            sink.token(slot.request.sequence)

    def _without_ended(self, slots: list[_Slot], sink: Sink) -> list[_Slot]:
        """Report the requests that have all their tokens; the slots of the others."""
        going = []
        for slot in slots:
            if slot.tokens < self._length(slot.request):
                going.append(slot)
            else:
                sink.finished(self._completion(slot.request, sink.now_ns(), slot.queue_ms))
        return going

    def _prefill(self, tokens: int) -> None:
        self._clock.sleep(tokens * self._options.prefill_seconds_per_token)

    def _length(self, request: Request) -> int:
        return _length(self._options, self._job.decoder, request)

    def _completion(self, request: Request, finished_ns: int, queue_ms: float | None) -> Completion:
        length = self._length(request)
        reason: FinishReason = "length" if length == request.max_new_tokens else "stop"
        ids = [token_id(request.prompt, index) for index in range(length)]
        if reason == "stop":
            ids[-1] = EOS
        return Completion(request.sequence, tuple(ids), reason, finished_ns, len(request.input_ids), length, queue_ms)

    def _fail_at(self, request: Request) -> None:
        if self._options.fail is not None and request.sequence == self._options.fail_at_request:
            fail(self._options.fail)


@dataclass(slots=True)
class _Slot:
    request: Request
    queue_ms: float
    tokens: int = 0


class SimulatedBackend:
    """The simulation as a backend. Its sessions sleep on ``clock``."""

    spec = SPEC

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def probe(self) -> Found | Missing:
        version = ".".join(map(str, sys.version_info[:3]))
        return Found(SPEC.name, SPEC.engine, __version__, ("cpu",), Interpreter(version, sys.implementation.name))

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> SimulatedTokenizer:
        return SimulatedTokenizer()

    def open(self, job: TrialJob) -> SimulatedSession:
        options = decode(SimulatedOptions, job.backend.options, "simulated")
        self._clock.sleep(options.load_seconds)
        if options.fail is not None and options.fail_at_request is None:
            fail(options.fail)
        return SimulatedSession(options, job, self._clock)

    def convert(self, job: ConvertJob) -> None:
        raise BackendError("simulated: opens every format as it is")

    def serve(self, job: ServeJob) -> None:
        raise not_served(SPEC)


def _length(options: SimulatedOptions, decoder: Decoder, request: Request) -> int:
    """How many tokens a request gets."""
    if decoder.ignore_eos or options.eos_after is None:
        return request.max_new_tokens
    return min(request.max_new_tokens, max(options.eos_after, decoder.min_new_tokens or 1, 1))


def fail(mode: FailMode) -> None:
    """Fail for real, in this process. Returns after ``garbage`` only."""
    if mode == "raise":
        raise BackendError("the simulated engine was asked to fail", hint="leave out simulated.fail")
    if mode == "out_of_memory":
        raise MemoryError("the simulated engine was asked to run out of memory")
    if mode == "garbage":
        _print_garbage()
    while mode == "hang":
        signal.pause()
    if mode == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "exit":
        os._exit(3)


def _print_garbage() -> None:
    """Bytes that are no text, where an engine prints; and, in a trial's folder, where only events belong."""
    sys.stdout.buffer.write(b"\xff\xfe\x00garbage\x1b[31m" * 1000)
    sys.stdout.flush()
    if Path(WORKER_EVENTS).exists():
        with open(WORKER_EVENTS, "ab") as file:
            file.write(b"\xff\xfegarbage\n")


BACKEND = SimulatedBackend(MonotonicClock())
