from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence

import pytest

from llenergymeasure import plugins
from llenergymeasure.backends.contract import Backend
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import CodecError
from llenergymeasure.model.event import Found
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import BackendChoice, ConvertJob, Decoder, ModelRef, ServeJob
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.simulated_backend import BACKEND, BOS, EOS, SimulatedBackend, SimulatedOptions, token_id
from llenergymeasure.testing.virtual_clock import VirtualClock

_MODEL = ModelRef("m", "/nowhere", "gguf")


class Sink:
    """Keeps what a session reports, in seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.submissions: list[tuple[float, tuple[int, ...]]] = []
        self.steps: dict[int, list[float]] = {}
        self.tokens: dict[int, list[float]] = {}
        self.completions: dict[int, Completion] = {}
        self.stop_after: int | None = None

    def _s(self) -> float:
        return round((self.clock.now_ns() - 10**12) / 1e9, 6)

    def submitted(self, requests: Sequence[Request]) -> int:
        self.submissions.append((self._s(), tuple(request.sequence for request in requests)))
        return len(self.submissions) - 1

    def step(self, batch: int) -> None:
        self.steps.setdefault(batch, []).append(self._s())

    def token(self, sequence: int) -> None:
        self.tokens.setdefault(sequence, []).append(self._s())

    def now_ns(self) -> int:
        return self.clock.now_ns()

    def finished(self, completion: Completion) -> None:
        assert completion.sequence not in self.completions
        self.completions[completion.sequence] = completion

    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.completions) >= self.stop_after


def _requests(*shapes: tuple[int, int]) -> list[Request]:
    """Requests of (input tokens, new tokens)."""
    return [Request(number, number, tuple(range(given)), new) for number, (given, new) in enumerate(shapes)]


def _run(requests: list[Request], *, stop_after: int | None = None, decoder: Decoder | None = None, **options) -> Sink:
    clock = VirtualClock(10**12)
    timing = {"prefill_seconds_per_token": 0.1, "decode_seconds_per_step": 1.0, "concurrency": 2}
    job = dataclasses.replace(trial_job(options={**timing, **options}), decoder=decoder or Decoder())
    sink = Sink(clock)
    sink.stop_after = stop_after
    SimulatedBackend(clock).open(job).run(requests, sink)
    return sink


def test_it_is_found_by_name_and_never_offered() -> None:
    """The table knows the simulation; no listing and no default does."""
    backend: Backend = plugins.load("backends", "simulated")
    assert backend is BACKEND
    assert "simulated" not in plugins.names("backends")
    assert dataclasses.fields(backend.spec.options) == dataclasses.fields(SimulatedOptions)
    assert all("doc" in field.metadata for field in dataclasses.fields(SimulatedOptions))
    assert backend.spec.concurrency_option in {field.name for field in dataclasses.fields(SimulatedOptions)}


def test_it_loads_in_the_workers_world() -> None:
    """Nothing but the standard library and the worker world's modules is imported for it."""
    code = (
        "import sys; import llenergymeasure.testing.simulated_backend\n"
        "own = sorted(name for name in sys.modules if name.startswith('llenergymeasure.'))\n"
        "worker = ('backends', 'clock', 'errors', 'model', 'units', '_version', 'testing', 'plugins')\n"
        "assert all(name.split('.')[1] in worker for name in own), own\n"
        "assert not {'numpy', 'pydantic', 'psutil', 'yaml', 'click'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_static_batches_have_the_stated_times() -> None:
    """Prefill of the whole batch, then a step a token, for as long as its longest request goes on."""
    sink = _run(_requests((3, 2), (5, 4), (10, 1)), batching="static")
    assert sink.submissions == [(0.0, (0, 1)), (3.8, (2,))]
    assert sink.steps == {0: [0.8, 1.8, 2.8, 3.8], 1: [4.8]}
    assert sink.tokens == {}
    assert {number: done.finished_ns - 10**12 for number, done in sink.completions.items()} == {
        0: 3_800_000_000,
        1: 3_800_000_000,
        2: 4_800_000_000,
    }
    assert all(done.engine_queue_ms is None for done in sink.completions.values())


def test_engine_batching_has_the_stated_times() -> None:
    """Two slots: the third request waits for a free one, and its prefill makes the other slot wait."""
    sink = _run(_requests((2, 3), (3, 1), (4, 2)))
    assert sink.submissions == [(0.0, (0, 1, 2))]
    assert sink.tokens == {0: [0.2, 1.9, 2.9], 1: [0.5], 2: [0.9, 1.9]}
    assert {number: done.engine_queue_ms for number, done in sink.completions.items()} == pytest.approx(
        {0: 0.0, 1: 200.0, 2: 500.0}
    )
    assert [sink.completions[number].finished_ns - 10**12 for number in range(3)] == [
        2_900_000_000,
        500_000_000,
        1_900_000_000,
    ]


@pytest.mark.parametrize("batching", ["static", "engine"])
def test_ids_follow_their_rule(batching: str) -> None:
    """The same prompt gives the same ids whatever the batching, and the engine's counts are true."""
    done = _run(_requests((3, 2), (5, 4)), batching=batching).completions[1]
    assert done.output_ids == tuple(token_id(1, index) for index in range(4))
    assert (done.engine_input_tokens, done.engine_output_tokens, done.finish_reason) == (5, 4, "length")
    assert EOS not in done.output_ids


@pytest.mark.parametrize(
    ("decoder", "lengths"),
    [
        (Decoder(ignore_eos=True), [2, 6]),
        (Decoder(ignore_eos=False), [2, 3]),
        (Decoder(ignore_eos=False, min_new_tokens=5), [2, 5]),
    ],
)
@pytest.mark.parametrize("batching", ["static", "engine"])
def test_a_completion_may_end_by_itself(batching: str, decoder: Decoder, lengths: list[int]) -> None:
    """Where the decoder lets it, the end token comes after ``eos_after`` tokens, once and last."""
    done = _run(_requests((1, 2), (1, 6)), batching=batching, eos_after=3, decoder=decoder).completions
    assert [len(done[number].output_ids) for number in range(2)] == lengths
    ended = lengths[1] < 6
    assert (done[1].finish_reason == "stop") is ended
    assert (done[1].output_ids.count(EOS), done[1].output_ids[-1] == EOS) == (int(ended), ended)


@pytest.mark.parametrize(("batching", "submitted", "done"), [("static", 2, {0, 1}), ("engine", 5, {0, 1})])
def test_stopping_finishes_what_was_begun(batching: str, submitted: int, done: set[int]) -> None:
    """No further batch or request begins; those at work get all their tokens."""
    sink = _run(_requests(*[(1, 2)] * 5), batching=batching, stop_after=1)
    assert sum(len(sequences) for _, sequences in sink.submissions) == submitted
    assert set(sink.completions) == done
    assert all(len(completion.output_ids) == 2 for completion in sink.completions.values())


@pytest.mark.parametrize("batching", ["static", "engine"])
def test_tokens_may_be_left_unobserved(batching: str) -> None:
    """An engine that shows no tokens reports completions only."""
    sink = _run(_requests((1, 2)), batching=batching, token_times=False)
    assert (sink.steps, sink.tokens) == ({}, {})
    assert len(sink.completions) == 1


def test_opening_takes_its_time_and_says_what_it_is() -> None:
    """Facts name the simulated engine and the device that the simulated source plays."""
    clock = VirtualClock(0)
    job = trial_job(options={"load_seconds": 2.5, "batching": "static", "concurrency": 3}, device="cuda")
    session = SimulatedBackend(clock).open(job)
    assert clock.now_ns() == 2_500_000_000
    facts = session.facts()
    assert (facts.engine, facts.batching, facts.device_ids) == ("simulated", "static", ("GPU-simulated",))
    assert session.concurrency == 3 and session.memory().allocated_peak_bytes is None
    session.synchronize()
    session.close()
    assert session.closed


def test_options_of_another_type_are_refused() -> None:
    """A wrong option is named."""
    job = dataclasses.replace(trial_job(), backend=BackendChoice("simulated", {"concurrency": "many"}))
    with pytest.raises(CodecError, match=r"simulated\.concurrency: expected int"):
        BACKEND.open(job)


def test_tokenizer_gives_one_id_a_word() -> None:
    """Equal words have equal ids, text begins with BOS once, and a chat has its template."""
    tokenizer = BACKEND.tokenizer(_MODEL)
    bos, one, two, again = tokenizer.encode("one two  one")
    assert bos == BOS and one == again != two and min(one, two) >= 16
    assert tokenizer.encode("") == (BOS,)
    chat = tokenizer.encode_chat((Message("user", "one two"),))
    assert chat[0] == BOS and chat[2:4] == (one, two) and len(chat) == 6
    assert tokenizer.sha256 == BACKEND.tokenizer(_MODEL).sha256
    tokenizer.close()


def test_what_it_does_not_do() -> None:
    """It needs no conversion and has no server; it is always there."""
    assert isinstance(BACKEND.probe(), Found)
    with pytest.raises(BackendError, match="as it is"):
        BACKEND.convert(ConvertJob("simulated", _MODEL, "/there"))
    with pytest.raises(BackendError, match="serving is not offered"):
        BACKEND.serve(ServeJob(BackendChoice("simulated"), _MODEL, "as_stored", "cpu"))


@pytest.mark.parametrize(("mode", "error"), [("raise", BackendError), ("out_of_memory", MemoryError)])
@pytest.mark.parametrize("batching", ["static", "engine"])
def test_it_fails_where_it_is_told(mode: str, error: type[Exception], batching: str) -> None:
    """While opening, or at one request of the trial."""
    with pytest.raises(error):
        _run([], fail=mode)
    with pytest.raises(error):
        _run(_requests(*[(1, 1)] * 4), fail=mode, fail_at_request=3, batching=batching)
    assert len(_run(_requests(*[(1, 1)] * 3), fail=mode, fail_at_request=3, batching=batching).completions) == 3
