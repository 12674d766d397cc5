"""Ids for a model without a tokenizer: drawn from its vocabulary, for prompts whose length is all that counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.inputs import Message
from llenergymeasure.model.job import ModelRef

# Vocabularies begin with their special tokens; this share of a small one, and this many of a large one, are left out.
_SPECIAL_SHARE, _SPECIAL = 0.1, 1000


class Vocabulary:
    """Implements ``backends.contract.Tokenizer``: one id a word, the same word always the same id.

    Raises ``LLEMError`` for a model whose vocabulary is not known, and for a chat.
    """

    def __init__(self, model: ModelRef) -> None:
        if model.architecture is None:
            raise LLEMError(
                f"{model.name}: it has no tokenizer, and its vocabulary is not known: {model.architecture_reason}",
                hint="name a model with a tokenizer",
            )
        self._size = model.architecture.vocabulary
        self._first = min(_SPECIAL, int(self._size * _SPECIAL_SHARE))

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._id(word) for word in text.split())

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        raise LLEMError("a model without a tokenizer has no chat template", hint="prompt_format: raw")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(f"vocabulary:{self._first}:{self._size}".encode()).hexdigest()

    def close(self) -> None:
        """Nothing is held."""

    def _id(self, word: str) -> int:
        drawn = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return self._first + drawn % (self._size - self._first)
