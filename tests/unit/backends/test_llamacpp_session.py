from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from llenergymeasure.backends.llamacpp_session import UNTOLD_ID, LlamaCppSession
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import Decoder
from llenergymeasure.model.request import Request
from llenergymeasure.testing.backend_contract import RecordingSink
from llenergymeasure.testing.builders import session_facts

END: dict[str, Any] = {"stop": True, "stop_type": "limit", "tokens_evaluated": 3, "timings": {"prompt_ms": 1.5}}


class Server:
    """A double of the engine's server: streams the events of a script, and counts the requests that are open at once."""

    def __init__(self, *events: Mapping[str, Any], together: int = 1) -> None:
        self.events = events
        self.bodies: list[Mapping[str, Any]] = []
        self.most_open = 0
        self.closed = 0
        self._open = 0
        self._lock = threading.Lock()
        self._gate = threading.Barrier(together)

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        assert path == "/completion"
        with self._lock:
            self.bodies.append(body)
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        self._gate.wait(timeout=30)
        yield from self.events
        with self._lock:
            self._open -= 1

    def close(self) -> None:
        self.closed += 1


def told(total: int, *ids: int) -> dict[str, Any]:
    return {"stop": False, "tokens": list(ids), "tokens_predicted": total}


def ended(total: int, **fields: Any) -> dict[str, Any]:
    return {**END, "tokens_predicted": total, **fields}


def session(server: Server, decoder: Decoder | None = None, *, slots: int = 1, seed: int = 1) -> LlamaCppSession:
    return LlamaCppSession(server, session_facts(), decoder or Decoder(), seed=seed, slots=slots, context=100)


def requests(n: int = 1) -> list[Request]:
    return [Request(row, row, (1, 2, 3), 5) for row in range(n)]


def completed(*events: Mapping[str, Any]):
    sink = RecordingSink()
    session(Server(*events)).run(requests(), sink)
    return sink.completions[0], sink


def test_ids_are_counted_and_stamped_one_by_one():
    """Each id has a stamp, and the engine's own counts are kept beside ours."""
    completion, sink = completed(told(1, 11), told(3, 12, 13), ended(3))
    assert completion.output_ids == (11, 12, 13)
    assert len(sink.token_ns(0)) == 3
    assert (completion.engine_input_tokens, completion.engine_output_tokens) == (3, 3)
    assert completion.finish_reason == "length"


def test_the_end_token_is_the_last_one():
    """An answer that ends by itself says so, with its end token among the ids."""
    completion, _ = completed(told(1, 11), told(2, 2), ended(2, stop_type="eos"))
    assert (completion.output_ids, completion.finish_reason) == ((11, 2), "stop")


def test_ids_that_the_engine_keeps_to_itself_are_counted():
    """Tokens inside a character, in the middle and at the end, are stamped when they are known of and marked as untold."""
    completion, sink = completed(told(1, 11), told(4, 12), ended(6))
    assert completion.output_ids == (11, UNTOLD_ID, UNTOLD_ID, 12, UNTOLD_ID, UNTOLD_ID)
    assert len(sink.token_ns(0)) == completion.engine_output_tokens == 6


class StepSink(RecordingSink):
    """Every look at its clock takes 10 ms."""

    t_ns = 0

    def now_ns(self):
        self.t_ns += 10_000_000
        return self.t_ns


@pytest.mark.parametrize(("prompt_ms", "queue_ms"), [(3.0, 7.0), (0.0, 10.0), (500.0, 0.0)])
def test_queueing_is_what_the_prompt_did_not_take(prompt_ms, queue_ms):
    """Of the time to the first token, queueing is what the engine does not call the prompt's; it is never negative."""
    sink = StepSink()
    session(Server(told(1, 11), ended(1, timings={"prompt_ms": prompt_ms}))).run(requests(), sink)
    assert sink.completions[0].engine_queue_ms == pytest.approx(queue_ms)


def test_a_stream_that_breaks_off_is_an_error():
    """Without the engine's last event nothing is reported as finished."""
    sink = RecordingSink()
    with pytest.raises(BackendError, match="broke off after 1 tokens"):
        session(Server(told(1, 11))).run(requests(), sink)
    assert not sink.completions


def test_two_requests_a_slot_are_with_the_engine():
    """One works and one waits for every slot, and no more."""
    server = Server(told(1, 11), ended(1), together=4)
    sink = RecordingSink()
    session(server, slots=2).run(requests(12), sink)
    assert server.most_open == 4
    assert len(sink.completions) == 12


def test_a_stop_sends_nothing_more():
    """What was sent before the sink was stopping is finished, the rest is not sent."""
    sink = RecordingSink(stop_after=3)
    session(Server(told(1, 11), ended(1))).run(requests(20), sink)
    assert set(sink.completions) == set(sink.submitted_ns)
    assert 3 <= len(sink.completions) <= 4


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        (Decoder(temperature=2.0, top_k=5), {"samplers": ["temperature"], "temperature": 0.0}),
        (
            Decoder(repetition_penalty=1.3),
            {"samplers": ["penalties", "temperature"], "repeat_penalty": 1.3, "repeat_last_n": 100, "temperature": 0.0},
        ),
        (
            Decoder(decoding_strategy="sampling", temperature=0.7, top_p=0.9, top_k=40),
            {"samplers": ["temperature", "top_k", "top_p"], "temperature": 0.7, "top_k": 40, "top_p": 0.9},
        ),
        (Decoder(decoding_strategy="sampling"), {"samplers": ["temperature"], "temperature": 1.0}),
    ],
)
def test_only_the_samplers_that_are_asked_for_run(decoder, expected):
    """Greedy is greedy; sampling scales before it cuts, and no default of the engine's takes part."""
    server = Server(told(1, 11), ended(1))
    session(server, decoder).run(requests(), RecordingSink())
    [body] = server.bodies
    asked = {"temperature", "top_k", "top_p", "min_p", "repeat_penalty", "repeat_last_n", "samplers"} & set(body)
    assert {name: body[name] for name in asked} == expected


def test_a_request_carries_its_own_limit_ids_and_seed():
    """Ids go as they are, and the seed belongs to the prompt's row and to the study's seed."""
    server = Server(told(1, 11), ended(1))
    first, again = Request(7, 3, (5, 6), 9), Request(20, 3, (5, 6), 9)
    one = session(server, Decoder(ignore_eos=False))
    for request in (first, again, Request(21, 4, (5, 6), 9)):
        one.run([request], RecordingSink())
    session(server, seed=2).run([first], RecordingSink())
    body = server.bodies[0]
    assert (body["prompt"], body["n_predict"], body["ignore_eos"]) == ((5, 6), 9, False)
    assert (body["stream"], body["return_tokens"]) == (True, True)
    seeds = [body["seed"] for body in server.bodies]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_closing_closes_the_server():
    """The model lives as long as its server."""
    server = Server()
    session(server).close()
    assert server.closed == 1
