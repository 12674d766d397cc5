"""The backend contract over llama.cpp, with the real engine and a real model; and what is llama.cpp's own."""

from __future__ import annotations

import dataclasses
import functools
import os
import threading

import pytest

from llenergymeasure.backends.llamacpp import BACKEND
from llenergymeasure.backends.llamacpp_options import LlamaCppOptions, set_options
from llenergymeasure.backends.llamacpp_server import LlamaServer
from llenergymeasure.backends.llamacpp_session import UNTOLD_ID
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import Decoder, ModelRef
from llenergymeasure.model.request import Request
from llenergymeasure.models.builtin import SMOLLM2, fetch
from llenergymeasure.models.gguf_file import open_gguf
from llenergymeasure.testing.backend_contract import BackendContract, RecordingSink

xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
pytestmark = pytest.mark.engine


@functools.cache
def small_model() -> ModelRef:
    return open_gguf(fetch(SMOLLM2, print), name=SMOLLM2.name, digest=SMOLLM2.sha256)


def _python_thread(number: str) -> bool:
    """Whether a thread is one of Python's own, which no engine has made."""
    return any(str(thread.native_id) == number for thread in threading.enumerate())


class TestLlamaCpp(BackendContract):
    backend = BACKEND

    def model(self) -> ModelRef:
        return small_model()

    def options(self, concurrency):
        return {"n_parallel": concurrency, "n_threads": 1}

    def test_the_context_holds_the_longest_request_in_every_slot(self):
        """By default the context is as small as the inputs allow, for each slot a multiple of 256."""
        prompts = self.prompts(3)
        decoder = Decoder(max_new_tokens=300)
        with self.opened(prompts, concurrency=2, decoder=decoder) as session:
            facts = session.facts()
        assert facts.effective_options["n_ctx"] == 2 * 512
        assert facts.kv_bytes == 1024 * 30 * 3 * 64 * 2 * 2

    def test_an_answer_may_fill_its_context(self):
        """The longest request ends at its limit, with and without a draft model, where the context ends as well."""
        prompts = ((self.prompts(1)[0] * 100)[:226], self.prompts(1)[0])
        for drafting in ({}, {"draft_model": self.model()}):
            decoder = Decoder(max_new_tokens=30, repetition_penalty=1.1, speculative_decoding=bool(drafting))
            with self.opened(prompts, concurrency=1, decoder=decoder, **drafting) as session:
                assert session.facts().effective_options["n_ctx"] == 256
                sink = self.run(session, self.requests(prompts, limit=30))
            self.check(sink, prompts)
            assert [len(sink.completions[row].output_ids) for row in range(2)] == [30, 30]

    def test_a_context_that_is_too_small_is_refused(self):
        """Neither an n_ctx that is given nor the model's own limit may cut an answer."""
        with self.inputs(self.prompts(2)) as folder:
            small = self.job(folder, concurrency=1, decoder=Decoder(max_new_tokens=400))
            options = {**small.backend.options, "n_ctx": 256}
            with pytest.raises(BackendError, match="a slot holds 256") as given:
                BACKEND.open(dataclasses.replace(small, backend=dataclasses.replace(small.backend, options=options)))
            with pytest.raises(BackendError, match="a slot holds 8192") as limited:
                BACKEND.open(self.job(folder, concurrency=1, decoder=Decoder(max_new_tokens=9000)))
        assert "n_ctx" in given.value.hint
        assert "8192" in limited.value.hint

    def test_a_cache_beyond_the_memory_is_out_of_memory(self):
        """What cannot be allocated is a MemoryError, which the worker tells apart."""
        with self.inputs(self.prompts(1)) as folder:
            job = self.job(folder, concurrency=1)
            options = {
                **job.backend.options,
                "n_parallel": 200,
                "n_ctx": 200 * 8192,
                "passthrough_kwargs": {"fit_params": False},
            }
            with pytest.raises(MemoryError):
                BACKEND.open(dataclasses.replace(job, backend=dataclasses.replace(job.backend, options=options)))

    def test_speculative_decoding_changes_no_greedy_answer(self):
        """With a draft model the ids are those without one, and every one is counted."""
        prompts = self.prompts(2)
        plain, drafted = Decoder(max_new_tokens=12), Decoder(max_new_tokens=12, speculative_decoding=True)
        with self.opened(prompts, concurrency=1, decoder=plain) as session:
            expected = self.run(session, self.requests(prompts, limit=12))
        with self.opened(prompts, concurrency=1, decoder=drafted, draft_model=self.model()) as session:
            sink = self.run(session, self.requests(prompts, limit=12))
        self.check(sink, prompts)
        assert [sink.completions[row].output_ids for row in range(2)] == [
            expected.completions[row].output_ids for row in range(2)
        ]

    def test_prompts_are_remembered_only_when_that_is_asked_for(self):
        """A repeated prompt is computed again, unless cache_prompt is set."""
        reused = {}
        for cache_prompt in (False, True):
            params = xllamacpp.CommonParams()
            params.model.path, params.n_ctx, params.verbosity = self.model().path, 256, 2
            set_options(xllamacpp, params, LlamaCppOptions(cache_prompt=cache_prompt, n_threads=1))
            server = LlamaServer(xllamacpp, params)
            body = {"prompt": list(range(400, 440)), "n_predict": 1}
            reused[cache_prompt] = [server.ask("/completion", body)["timings"]["cache_n"] for _ in range(2)]
            server.close()
        assert reused[False] == [0, 0]
        assert reused[True][1] > 30

    def test_tokens_inside_a_character_are_counted(self):
        """Ids that the engine keeps back until a character is whole are counted and stamped, and marked as untold."""
        with self.tokenizer() as tokenizer:
            prompts = (tokenizer.encode("🥰 😍 🤩 😘 🥰 😍 🤩 😘 🥰 😍 🤩 😘 🥰 😍"),)
        with self.opened(prompts, concurrency=1, decoder=Decoder(max_new_tokens=31)) as session:
            sink = self.run(session, self.requests(prompts, limit=31))
        self.check(sink, prompts)
        ids = sink.completions[0].output_ids
        assert len(ids) == 31
        assert 0 < ids.count(UNTOLD_ID) < 31

    def test_a_request_that_fails_ends_the_run(self):
        """An engine that refuses a request is an error of the run, and no further request begins."""
        prompts = self.prompts(6)
        requests = [Request(row, row, ids, 4) for row, ids in enumerate(prompts)]
        requests[0] = Request(0, 0, (10**6,), 4)
        with self.opened(prompts, concurrency=1) as session:
            sink = RecordingSink()
            with pytest.raises(BackendError, match="invalid tokens"):
                session.run(requests, sink)
        assert len(sink.submitted_ns) < len(prompts)

    def test_a_tokenizer_and_a_session_leave_nothing_behind(self):
        """Closed, the engine's threads are gone, at the latest when the kernel has reaped them."""
        before = set(os.listdir("/proc/self/task"))
        prompts = self.prompts(2)
        with self.opened(prompts, concurrency=2) as session:
            self.run(session, self.requests(prompts, limit=2))
        for _ in range(500):
            left = [thread for thread in set(os.listdir("/proc/self/task")) - before if not _python_thread(thread)]
            if not left:
                break
            threading.Event().wait(0.01)
        assert left == []
