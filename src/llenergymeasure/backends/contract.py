"""The seam between the worker and an inference engine.

A backend module holds one object, ``BACKEND``, that satisfies ``Backend``; its name stands in one line of ``plugins.py``.

Order of calls in one worker process, all from its main thread::

    probe()                                    no model; must not raise for a missing engine
    tokenizer(model) -> Tokenizer              no weights where the engine allows it; its process opens no session
    open(job) -> Session                       heavy imports and the model; the only place where loading happens
      session.facts()                          after open, any number of times
      session.run(requests, sink)              warm-up batches, then passes of the window, one after the other
      session.synchronize()                    before both edges of the window
      session.memory()                         before close
      session.close()                          once, also after a failure

A session may use threads of its own inside ``run``; the sink accepts calls from any of them. Errors of the engine leave as
``BackendError``; running out of memory leaves as ``MemoryError``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from llenergymeasure.backends.memory import MemoryNeed, NotForeseen, Workload
from llenergymeasure.errors import BackendError
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import ConvertJob, ModelRef, ServeJob, TrialJob

if TYPE_CHECKING:  # plans are made with specifications alone: what passes while one is carried out is left out
    from llenergymeasure.model.event import Found, Missing, SessionFacts
    from llenergymeasure.model.request import Completion, Request

Batching = Literal["static", "engine"]


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What is known of a backend without its engine: one truth for checks, configuration sections, reference and pre-flight.

    ``options`` is a frozen dataclass; a field's default ``None`` means the engine's own, its metadata ``doc`` says what the
    option does, and the field ``passthrough_kwargs`` takes what no other field covers. ``concurrency_option`` is the option
    that ``--batch-size`` sets. ``formats`` are the model formats it opens, best first; ``converts_gguf`` says that a GGUF must be
    dequantised into a directory first. ``precisions``, ``decoding``, ``quantization`` and ``devices`` are positive lists.
    ``draft_free`` are the options that let speculative decoding propose tokens without a draft model.
    ``batching``: does the session form static batches, or does the engine schedule. ``tokenizer_rank``: the lowest of those
    present makes a study's inputs. ``memory`` says what a workload takes, without the engine.
    """

    name: str
    engine: str
    minimum_version: str
    remedy: str
    options: type
    concurrency_option: str
    batching: Batching
    formats: tuple[Literal["directory", "gguf"], ...]
    precisions: tuple[str, ...]
    decoding: tuple[str, ...]
    devices: tuple[str, ...]
    token_times: bool
    accepts_token_ids: bool
    quantization: tuple[str, ...] = ()
    lora: bool = False
    speculative: bool = False
    draft_free: tuple[str, ...] = ()
    random_weights: bool = False
    serves: bool = False
    reports_kv: bool = False
    converts_gguf: bool = False
    tokenizer_rank: int = 100
    proven_on_hardware: bool = True
    memory: Callable[[Workload], MemoryNeed | NotForeseen] | None = None


class Tokenizer(Protocol):
    """Turns text into the model's ids."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of raw text with the tokenizer's own special tokens added once."""

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Ids of a chat in the model's template, ready for the answer. Raises ``BackendError`` when the model has none."""

    @property
    def sha256(self) -> str:
        """Identifies the tokenizer: equal hashes give equal ids."""

    def close(self) -> None:
        """Free what it holds."""


class Sink(Protocol):
    """Where a session reports. Thread safe; stamps are taken by the sink, on its clock."""

    def submitted(self, requests: Sequence[Request]) -> int:
        """These requests are given to the engine now, together. Returns their batch number."""

    def step(self, batch: int) -> None:
        """Every request of a static batch that has not ended has one more token now."""

    def token(self, sequence: int) -> None:
        """A request has one more token now."""

    def now_ns(self) -> int:
        """The instant to put into a ``Completion``."""

    def finished(self, completion: Completion) -> None:
        """A request is done."""

    def stopping(self) -> bool:
        """True when no further batch or request should begin."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Peaks of an accelerator's memory in bytes since the session was opened; ``None`` where nobody counts (a CPU)."""

    allocated_peak_bytes: int | None = None
    reserved_peak_bytes: int | None = None


class Session(Protocol):
    """An opened model."""

    @property
    def concurrency(self) -> int:
        """How many requests are worked on at once: the size of a warm-up batch."""

    def facts(self) -> SessionFacts: ...

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        """Submit all requests and return when each has been reported finished or the sink is stopping."""

    def synchronize(self) -> None:
        """Return when the device has nothing left to do."""

    def memory(self) -> DeviceMemory: ...

    def close(self) -> None: ...


class Backend(Protocol):
    """One engine."""

    @property
    def spec(self) -> BackendSpec: ...

    def probe(self) -> Found | Missing: ...

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> Tokenizer: ...

    def open(self, job: TrialJob) -> Session: ...

    def convert(self, job: ConvertJob) -> None:
        """Write the GGUF of the job as a directory that this backend opens. Raises ``BackendError`` where it cannot."""

    def serve(self, job: ServeJob) -> None:
        """Run the engine's server until SIGTERM. Raises ``BackendError`` where it has none."""


def not_served(spec: BackendSpec) -> BackendError:
    """What ``serve`` raises for an engine without a server of its own."""
    return BackendError(
        f"{spec.name}: serving is not offered by this backend",
        hint="measure it offline, or choose a backend that serves",
    )


def version_at_least(version: str, minimum: str) -> bool:
    """Compare dotted versions by their leading numbers: ``2.13.0+cpu`` is at least ``2.4``."""

    def numbers(text: str) -> tuple[int, ...]:
        parts = []
        for part in text.split("+")[0].split("."):
            digits = "".join(character for character in part if character.isdigit())
            if not digits:
                break
            parts.append(int(digits))
        return tuple(parts)

    return numbers(version) >= numbers(minimum)
