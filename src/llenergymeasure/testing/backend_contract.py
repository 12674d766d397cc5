"""The contract of an inference backend as tests, for backends of this package and of others.

Subclass ``BackendContract`` in a test module, as ``class TestMyBackend(BackendContract)``, and name the backend and a model::

    backend: Backend = BACKEND
    def model(self) -> ModelRef: ...

The engine must be installed, and the model must be small, have a chat template, and end a short answer by itself. Every test
opens the model anew; nothing here needs pytest.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llenergymeasure.backends.contract import Backend, DeviceMemory, Session, Tokenizer, version_at_least
from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.event import Found, SessionFacts
from llenergymeasure.model.inputs import InputsDescription, Message, ids_sha256, pack_ids, write_inputs
from llenergymeasure.model.job import BackendChoice, ConvertJob, Decoder, ModelRef, ServeJob, TrialJob
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.testing.builders import trial_job

Prompt = tuple[int, ...]


class RecordingSink:
    """Keeps what a session reports, and objects to what no session may report. ``stop_after`` submissions it is stopping."""

    def __init__(self, stop_after: int | None = None) -> None:
        self._lock = threading.Lock()
        self._stop_after = stop_after
        self._steps: dict[int, list[int]] = defaultdict(list)
        self._tokens: dict[int, list[int]] = defaultdict(list)
        self._batches: dict[int, int] = {}
        self.submitted_ns: dict[int, int] = {}
        self.completions: dict[int, Completion] = {}

    def submitted(self, requests: Sequence[Request]) -> int:
        t_ns = self.now_ns()
        with self._lock:
            batch = len(set(self._batches.values()))
            assert requests, "an empty submission"
            for request in requests:
                assert request.sequence not in self.submitted_ns, f"request {request.sequence} is submitted twice"
                self.submitted_ns[request.sequence] = t_ns
                self._batches[request.sequence] = batch
        return batch

    def step(self, batch: int) -> None:
        assert batch in self._batches.values(), f"a step of batch {batch}, which was not submitted"
        self._steps[batch].append(self.now_ns())

    def token(self, sequence: int) -> None:
        assert sequence in self.submitted_ns, f"a token of request {sequence}, which was not submitted"
        assert sequence not in self.completions, f"a token of request {sequence} after its end"
        self._tokens[sequence].append(self.now_ns())

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def finished(self, completion: Completion) -> None:
        with self._lock:
            assert completion.sequence in self.submitted_ns, f"request {completion.sequence} was not submitted"
            assert completion.sequence not in self.completions, f"request {completion.sequence} is finished twice"
            self.completions[completion.sequence] = completion

    def stopping(self) -> bool:
        return self._stop_after is not None and len(set(self._batches.values())) >= self._stop_after

    def token_ns(self, sequence: int) -> list[int]:
        """When the tokens of a finished request were seen, by its own stamps or by its batch's steps."""
        if sequence in self._tokens:
            return self._tokens[sequence]
        return self._steps[self._batches[sequence]][: len(self.completions[sequence].output_ids)]


class BackendContract:
    """What every backend keeps. ``short_question`` is one that the model answers in fewer than ``patience`` tokens."""

    backend: Backend
    device = "cpu"
    precision = "as_stored"
    short_question = "Say hi."
    patience = 64

    def model(self) -> ModelRef:
        """A small real model in a format that the backend opens."""
        raise NotImplementedError

    def options(self, concurrency: int) -> dict[str, Any]:
        """The options under which the contract is checked."""
        return {self.backend.spec.concurrency_option: concurrency}

    # What the spec says.

    def test_the_spec_describes_every_option(self) -> None:
        """Options are a frozen dataclass, each with a default and a word on what it does; two of them every backend has."""
        spec = self.backend.spec
        assert dataclasses.is_dataclass(spec.options)
        options = {option.name: option for option in dataclasses.fields(spec.options)}
        assert {spec.concurrency_option, "passthrough_kwargs"} <= set(options)
        assert [name for name, option in options.items() if not option.metadata.get("doc")] == []
        assert getattr(spec.options(), spec.concurrency_option) >= 1

    def test_the_spec_lists_what_it_supports(self) -> None:
        """Formats, precisions, decoding and devices are lists of known words, and there is a remedy for its absence."""
        spec = self.backend.spec
        assert spec.formats
        assert spec.remedy
        assert set(spec.precisions) <= {"as_stored", "fp32", "fp16", "bf16"}
        assert "greedy" in spec.decoding
        assert set(spec.decoding) <= {"greedy", "sampling", "beam"}
        assert self.device in spec.devices

    def test_the_probe_finds_the_engine(self) -> None:
        """Where the engine is installed the probe says which, in a version that is new enough, and where it works."""
        found, spec = self.backend.probe(), self.backend.spec
        assert isinstance(found, Found), found
        assert (found.backend, found.engine) == (spec.name, spec.engine)
        assert version_at_least(found.version, spec.minimum_version)
        assert self.device in found.devices

    # The tokenizer.

    def test_the_tokenizer_repeats_itself(self) -> None:
        """Opened twice, it gives the same ids under the same hash, and other ids for another text."""
        text = "Two words, 12 naïve 漢字 and\n\n  a 😀."
        with self.tokenizer() as one:
            ids, sha256 = one.encode(text), one.sha256
            assert one.encode(text + " More.") != ids
        with self.tokenizer() as other:
            assert (other.encode(text), other.sha256) == (ids, sha256)
        assert ids
        assert all(type(token) is int and token >= 0 for token in ids)
        assert re.fullmatch(r"[0-9a-f]{64}", sha256)

    def test_a_chat_is_put_into_the_template(self) -> None:
        """A chat is longer than its words, and grows with a further turn."""
        turns = (Message("user", "One?"), Message("assistant", "Two."), Message("user", "Three?"))
        with self.tokenizer() as tokenizer:
            raw, chat, longer = tokenizer.encode("One?"), tokenizer.encode_chat(turns[:1]), tokenizer.encode_chat(turns)
        assert len(raw) < len(chat) < len(longer)

    # The session.

    def test_every_request_is_reported_once_with_all_its_tokens(self) -> None:
        """Ragged prompts at three concurrencies: no token missing or too many, counted as the engine does, in order of time."""
        prompts = self.prompts(5)
        for concurrency in (1, 2, 4):
            with self.opened(prompts, concurrency=concurrency) as session:
                assert session.concurrency == concurrency
                sink = self.run(session, self.requests(prompts, limit=7))
            assert [len(sink.completions[row].output_ids) for row in range(5)] == [7] * 5
            self.check(sink, prompts)

    def test_each_request_has_its_own_limit(self) -> None:
        """Requests of one run end at limits of their own."""
        prompts, limits = self.prompts(4), (1, 9, 3, 6)
        requests = [Request(row, row, ids, limits[row]) for row, ids in enumerate(prompts)]
        with self.opened(prompts, concurrency=2, decoder=Decoder(max_new_tokens=9)) as session:
            sink = self.run(session, requests)
        assert tuple(len(sink.completions[row].output_ids) for row in range(4)) == limits
        self.check(sink, prompts)

    def test_an_answer_that_ends_counts_its_end_once(self) -> None:
        """Without ignore_eos a short answer stops by itself, its last id is the end and stands nowhere before."""
        with self.tokenizer() as tokenizer:
            prompts = (tokenizer.encode_chat((Message("user", self.short_question),)), *self.prompts(2))
        decoder = Decoder(max_new_tokens=self.patience, ignore_eos=False)
        with self.opened(prompts, concurrency=2, decoder=decoder) as session:
            sink = self.run(session, self.requests(prompts, limit=self.patience))
        self.check(sink, prompts)
        first = sink.completions[0]
        assert first.finish_reason == "stop"
        assert len(first.output_ids) < self.patience
        assert first.output_ids[-1] not in first.output_ids[:-1]

    def test_passes_follow_one_another(self) -> None:
        """One session runs pass after pass over the same prompts with new numbers; greedy repeats itself."""
        prompts = self.prompts(3)
        with self.opened(prompts, concurrency=1) as session:
            first = self.run(session, self.requests(prompts, limit=6))
            second = self.run(session, self.requests(prompts, limit=6, begin=3))
        ids = [first.completions[row].output_ids for row in range(3)]
        assert ids == [second.completions[3 + row].output_ids for row in range(3)]

    def test_sampling_follows_the_seed(self) -> None:
        """Sampling one request at a time repeats itself with the same seed and differs with another."""
        if "sampling" not in self.backend.spec.decoding:
            return
        prompts, decoder = self.prompts(2), Decoder(decoding_strategy="sampling", temperature=2.0, max_new_tokens=16)
        answers = []
        for seed in (1, 1, 2):
            with self.opened(prompts, concurrency=1, decoder=decoder, seed=seed) as session:
                sink = self.run(session, self.requests(prompts, limit=16))
            answers.append([sink.completions[row].output_ids for row in range(2)])
        assert answers[0] == answers[1] != answers[2]

    def test_a_stop_begins_nothing_more(self) -> None:
        """When the sink is stopping, what was submitted is reported, and the rest is not begun."""
        prompts = self.prompts(8)
        with self.opened(prompts, concurrency=1) as session:
            sink = RecordingSink(stop_after=1)
            session.run(self.requests(prompts, limit=4), sink)
        assert set(sink.completions) == set(sink.submitted_ns)
        assert 0 < len(sink.completions) < len(prompts)

    def test_a_run_of_nothing_reports_nothing(self) -> None:
        """No requests, no reports."""
        prompts = self.prompts(1)
        with self.opened(prompts, concurrency=1) as session:
            sink = self.run(session, ())
        assert not sink.submitted_ns

    def test_the_facts_say_what_was_opened(self) -> None:
        """Engine, batching, device, what is held, and what each option became."""
        spec = self.backend.spec
        with self.opened(self.prompts(2), concurrency=2) as session:
            facts, memory = session.facts(), session.memory()
        assert isinstance(facts, SessionFacts)
        assert isinstance(memory, DeviceMemory)
        assert (facts.engine, facts.batching, facts.device) == (spec.engine, spec.batching, self.device)
        assert version_at_least(facts.engine_version, spec.minimum_version)
        assert facts.device_ids
        assert facts.weight_types
        assert facts.parameters is None or facts.parameters > 0
        assert facts.weight_bytes is None or facts.weight_bytes > 0
        assert facts.effective_options[spec.concurrency_option] == 2

    # What is refused.

    def test_an_unknown_option_is_refused(self) -> None:
        """An option that the spec does not list does not go unnoticed."""
        with self.inputs(self.prompts(1)) as folder:
            job = self.job(folder, concurrency=1)
            choice = BackendChoice(job.backend.name, {**job.backend.options, "no_such_option": 1})
            self.refused(dataclasses.replace(job, backend=choice))

    def test_a_model_that_is_not_there_is_refused(self) -> None:
        """A path without a model is an error that says so."""
        with self.inputs(self.prompts(1)) as folder:
            job = self.job(folder, concurrency=1)
            absent = str(Path(folder, "absent" + Path(job.model.path).suffix))
            self.refused(dataclasses.replace(job, model=dataclasses.replace(job.model, path=absent)))

    def test_what_it_does_not_offer_is_refused(self) -> None:
        """A backend that does not serve or convert says so."""
        spec, model = self.backend.spec, self.model()
        if not spec.serves:
            choice = BackendChoice(spec.name, {})
            assert _error_of(lambda: self.backend.serve(ServeJob(choice, model, self.precision, self.device))).hint
        if not spec.converts_gguf:
            assert _error_of(lambda: self.backend.convert(ConvertJob(spec.name, model, "destination"))).hint

    # How the tests above do it.

    def prompts(self, n: int) -> tuple[Prompt, ...]:
        """Prompts of different lengths, all of the model's own ids."""
        with self.tokenizer() as tokenizer:
            words = tokenizer.encode("The quick brown fox jumps over the lazy dog while seven wizards watch. ")
        return tuple((words * 4)[row : 2 * row + 3 + 5 * (row % 3)] for row in range(n))

    @staticmethod
    def requests(prompts: Sequence[Prompt], *, limit: int, begin: int = 0) -> tuple[Request, ...]:
        return tuple(Request(begin + row, row, ids, limit) for row, ids in enumerate(prompts))

    def job(self, folder: str, *, concurrency: int, **changes: Any) -> TrialJob:
        """A trial on prepared inputs."""
        fields: dict[str, Any] = {
            "backend": BackendChoice(self.backend.spec.name, self.options(concurrency)),
            "model": self.model(),
            "precision": self.precision,
            "device": self.device,
            "decoder": Decoder(max_new_tokens=8),
            "inputs": folder,
        }
        return dataclasses.replace(trial_job(), **fields | changes)

    @staticmethod
    @contextmanager
    def inputs(prompts: Sequence[Prompt]) -> Iterator[str]:
        """A folder with prepared inputs."""
        packed, lengths = pack_ids(prompts), tuple(len(prompt) for prompt in prompts)
        with tempfile.TemporaryDirectory() as folder:
            description = InputsDescription(
                sha256=ids_sha256(packed, lengths),
                n=len(prompts),
                lengths=lengths,
                max_new_tokens=(None,) * len(prompts),
                truncated=0,
                tokenizer_sha256="0" * 64,
                tokenizer_backend="contract",
                dataset="contract",
                dataset_sha256="0" * 64,
            )
            write_inputs(Path(folder), description, packed)
            yield folder

    @contextmanager
    def opened(self, prompts: Sequence[Prompt], *, concurrency: int, **changes: Any) -> Iterator[Session]:
        """A session that is closed afterwards."""
        with self.inputs(prompts) as folder:
            session = self.backend.open(self.job(folder, concurrency=concurrency, **changes))
            try:
                yield session
            finally:
                session.close()

    @contextmanager
    def tokenizer(self) -> Iterator[Tokenizer]:
        tokenizer = self.backend.tokenizer(self.model())
        try:
            yield tokenizer
        finally:
            tokenizer.close()

    @staticmethod
    def run(session: Session, requests: Sequence[Request]) -> RecordingSink:
        """Run requests to their end."""
        sink = RecordingSink()
        session.run(requests, sink)
        session.synchronize()
        assert set(sink.completions) == {request.sequence for request in requests}
        return sink

    def check(self, sink: RecordingSink, prompts: Sequence[Prompt]) -> None:
        """Counts agree with the engine's own, and instants come in their order."""
        for sequence, completion in sink.completions.items():
            assert completion.finish_reason in ("length", "stop")
            assert completion.engine_output_tokens in (None, len(completion.output_ids))
            assert completion.engine_input_tokens in (None, len(prompts[sequence]))
            assert completion.engine_queue_ms is None or completion.engine_queue_ms >= 0
            if self.backend.spec.token_times:
                times = sink.token_ns(sequence)
                assert len(times) == len(completion.output_ids)
                instants = [sink.submitted_ns[sequence], *times, completion.finished_ns]
                assert instants == sorted(instants)

    def refused(self, job: TrialJob) -> None:
        """Opening the job raises an error with a message, and leaves nothing open."""
        assert str(_error_of(lambda: self.backend.open(job).close()))


def _error_of(call: Any) -> LLEMError:
    try:
        call()
    except BackendError as error:
        return error
    raise AssertionError("nothing was refused")
