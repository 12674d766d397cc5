"""An opened llama.cpp model: requests in, ids and instants out."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llenergymeasure.backends.contract import DeviceMemory, Sink
from llenergymeasure.backends.llamacpp_server import LlamaServer
from llenergymeasure.errors import BackendError
from llenergymeasure.model.event import SessionFacts
from llenergymeasure.model.job import Decoder
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.units import NS_PER_MS

# Stands for an id that was generated and that the engine did not tell.
UNTOLD_ID = -1

# What the last event of a stream is asked for; by default it repeats the prompt and every setting.
_LAST_EVENT = ["stop", "stop_type", "tokens_predicted", "tokens_evaluated", "timings"]


class LlamaCppSession:
    """Hands requests to the engine's scheduler over one connection each.

    Two requests a slot are with the engine at any time: one in the slot, one waiting, so that a slot which falls free is
    filled by the engine in the same step and never waits for this process. Each request is stamped as submitted when it is
    sent. Its queueing is what passed until its first token less the time that the engine says the prompt took; both count
    from the engine's own start of the request. When the sink is stopping nothing more is sent; what was sent is finished.

    The engine streams a token once the text so far ends in a whole character. A token that ends inside one arrives with
    the next, uncounted in the event's ids but counted by the engine: it is stamped then, and its id is ``UNTOLD_ID``.
    """

    def __init__(
        self, server: LlamaServer, facts: SessionFacts, decoder: Decoder, *, seed: int, slots: int, context: int
    ) -> None:
        self._server = server
        self._facts = facts
        self._seed = seed
        self._settings = {
            **_sampling(decoder, context),
            "ignore_eos": decoder.ignore_eos,
            "stream": True,
            "return_tokens": True,
            "response_fields": _LAST_EVENT,
        }
        self.concurrency = slots

    def facts(self) -> SessionFacts:
        return self._facts

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        connections = min(len(requests), 2 * self.concurrency)
        if not connections:
            return
        queue = _Queue(requests, sink)
        with ThreadPoolExecutor(connections) as pool:
            workers = [pool.submit(self._work, queue, sink) for _ in range(connections)]
        for worker in workers:
            worker.result()

    def synchronize(self) -> None:
        """Every token has been handed out when ``run`` returns."""

    def memory(self) -> DeviceMemory:
        """The engine counts no memory."""
        return DeviceMemory()

    def close(self) -> None:
        self._server.close()

    def _work(self, queue: _Queue, sink: Sink) -> None:
        """Send one request after the other over connections of this thread."""
        try:
            for request in queue:
                self._complete(request, sink)
        finally:  # nothing is left, or this request has failed and no further one should begin
            queue.end()

    def _complete(self, request: Request, sink: Sink) -> None:
        body = {
            **self._settings,
            "prompt": request.input_ids,
            "n_predict": request.max_new_tokens,
            "seed": _seed_of(request, self._seed),
        }
        ids: list[int] = []
        first_ns, last = 0, None
        sink.submitted((request,))
        submitted_ns = sink.now_ns()
        for event in self._server.stream("/completion", body):
            told = event.get("tokens", ())
            new = [UNTOLD_ID] * (event["tokens_predicted"] - len(ids) - len(told)) + list(told)
            if new and not ids:
                first_ns = sink.now_ns()
            for _ in new:
                sink.token(request.sequence)
            ids += new
            last = event if event["stop"] else None
        if last is None:
            raise BackendError(f"llama.cpp: the stream of request {request.sequence} broke off after {len(ids)} tokens")
        timings = last["timings"]
        waited_ms = (first_ns - submitted_ns) / NS_PER_MS - timings["prompt_ms"]
        sink.finished(
            Completion(
                sequence=request.sequence,
                output_ids=tuple(ids),
                finish_reason="stop" if last["stop_type"] == "eos" else "length",
                finished_ns=sink.now_ns(),
                engine_input_tokens=last["tokens_evaluated"],
                engine_output_tokens=last["tokens_predicted"],
                engine_queue_ms=max(0.0, waited_ms),
                engine_cached_tokens=timings.get("cache_n"),
                engine_drafted_tokens=timings.get("draft_n"),
                engine_accepted_tokens=timings.get("draft_n_accepted"),
            )
        )


class _Queue:
    """The requests not sent yet, for several threads; empty once the sink is stopping."""

    def __init__(self, requests: Sequence[Request], sink: Sink) -> None:
        self._requests = iter(requests)
        self._sink = sink
        self._lock = threading.Lock()
        self._ended = False

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        with self._lock:
            if self._ended or self._sink.stopping():
                raise StopIteration
            return next(self._requests)

    def end(self) -> None:
        """Give out nothing more."""
        self._ended = True


def _sampling(decoder: Decoder, context: int) -> Mapping[str, Any]:
    """The engine's samplers for a decoder, and no other: its defaults hold a min-p, and cut before they scale.

    ``context``: no request with its answer is longer, in tokens.
    """
    samplers: dict[str, dict[str, Any]] = {}
    if decoder.repetition_penalty != 1.0:
        # Over prompt and answer, where the engine's own would look at the last 64 tokens.
        samplers["penalties"] = {"repeat_penalty": decoder.repetition_penalty, "repeat_last_n": context}
    if decoder.decoding_strategy == "greedy":
        samplers["temperature"] = {"temperature": 0.0}
    else:
        samplers["temperature"] = {"temperature": decoder.temperature}
        if decoder.top_k is not None:
            samplers["top_k"] = {"top_k": decoder.top_k}
        if decoder.top_p < 1.0:
            samplers["top_p"] = {"top_p": decoder.top_p}
    settings = {name: value for sampler in samplers.values() for name, value in sampler.items()}
    return {**settings, "samplers": list(samplers)}


def _seed_of(request: Request, seed: int) -> int:
    """A prompt's own seed: the same in every pass, whatever else is in the batch."""
    return zlib.crc32(f"{seed}:{request.prompt}".encode()) >> 1
