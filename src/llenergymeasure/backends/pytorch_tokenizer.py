"""The model's own tokenizer, through transformers: from a directory or from a GGUF file, without any weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from llenergymeasure.backends.pytorch_engine import engine_errors, offline_transformers
from llenergymeasure.errors import BackendError
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import ModelRef


def load_tokenizer(ref: ModelRef, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model. Raises ``BackendError``."""
    transformers = offline_transformers()
    arguments: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    path = Path(ref.path)
    if ref.format == "gguf":
        arguments["gguf_file"] = path.name
        path = path.parent
    with engine_errors(f"the tokenizer of {ref.name}"):
        return transformers.AutoTokenizer.from_pretrained(str(path), **arguments)


class PyTorchTokenizer:
    """Implements ``backends.contract.Tokenizer``."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self._name = name
        self._tokenizer = tokenizer

    def encode(self, text: str) -> tuple[int, ...]:
        with engine_errors(f"the tokenizer of {self._name}"):
            return tuple(self._tokenizer.encode(text, add_special_tokens=True, truncation=False))

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        # The template writes the special tokens itself, so none are added to what it wrote.
        if not self._tokenizer.chat_template:
            raise BackendError(
                f"{self._name} has no chat template", hint="prompt_format: raw, or an instruction-tuned model"
            )
        turns = [{"role": message.role, "content": message.content} for message in messages]
        with engine_errors(f"the chat template of {self._name}"):
            try:
                ids = self._tokenizer.apply_chat_template(
                    turns, add_generation_prompt=True, tokenize=True, return_dict=False
                )
            except import_module("jinja2").TemplateError as error:
                raise BackendError(
                    f"the chat template of {self._name} refuses these messages: {error}",
                    hint="some templates take no system message, or want user and assistant in turn",
                ) from error
        return tuple(ids)

    @cached_property
    def sha256(self) -> str:
        """Over everything that decides ids: vocabulary, merges, normalisation, added and special tokens, and the template."""
        tokenizer = self._tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        whole = json.loads(backend.to_str()) if backend is not None else _slow_state(tokenizer)
        whole["chat_template"] = tokenizer.chat_template
        text = json.dumps(whole, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def close(self) -> None:
        """Nothing but memory is held."""


def _slow_state(tokenizer: Any) -> dict[str, Any]:
    """What decides the ids of a tokenizer without a description of its own: its class, its words and its special tokens."""
    return {
        "class": type(tokenizer).__qualname__,
        "vocabulary": tokenizer.get_vocab(),
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "empty": tokenizer.encode("", add_special_tokens=True),
    }
