"""The model's tokenizer, as llama.cpp applies it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from llenergymeasure.backends.llamacpp_gguf import headers_of
from llenergymeasure.backends.llamacpp_server import LlamaServer
from llenergymeasure.errors import BackendError
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import ModelRef


class LlamaCppTokenizer:
    """Turns text into ids through the engine's server.

    The engine cannot open a vocabulary alone: the model's file is mapped, its weights stay in the file cache and take part in
    nothing. The digest is over the tokenizer in the file and the engine's version, whose code splits the text.
    """

    def __init__(self, engine: Any, version: str, model: ModelRef) -> None:
        header = headers_of(model.path)[0]
        self._model = model
        self._has_chat_template = "tokenizer.chat_template" in header.metadata
        self._sha256 = hashlib.sha256(f"xllamacpp {version} {header.tokenizer_sha256}".encode()).hexdigest()
        self._server = LlamaServer(engine, _without_weights(engine.CommonParams(), model))

    @property
    def sha256(self) -> str:
        return self._sha256

    def encode(self, text: str) -> tuple[int, ...]:
        # Special tokens written out in a text become that token, as they do in transformers.
        answer = self._server.ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return tuple(answer["tokens"])

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        if not self._has_chat_template:  # the engine would take one that the model was not trained on
            raise BackendError(f"{self._model.name}: the file holds no chat template", hint="use prompt_format: raw")
        turns = [{"role": message.role, "content": message.content} for message in messages]
        # The engine leaves out of the text what it adds to the ids, so that nothing is there twice.
        return self.encode(self._server.ask("/apply-template", {"messages": turns})["prompt"])

    def close(self) -> None:
        self._server.close()


def _without_weights(params: Any, model: ModelRef) -> Any:
    """Parameters that open the model with next to no memory."""
    params.model.path = model.path
    params.n_ctx = 256
    params.n_gpu_layers = 0
    params.no_extra_bufts = True
    params.fit_params = False
    params.warmup = False
    params.verbosity = 2
    return params
