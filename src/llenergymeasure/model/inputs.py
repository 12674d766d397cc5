"""Prepared inputs: token ids made once and given to every backend of a study.

``inputs.bin`` holds the ids of all prompts as little-endian int32, one prompt after the other; ``inputs.json`` describes them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.codec import decode, to_line
from llenergymeasure.model.folder import INPUTS, INPUTS_IDS


@dataclass(frozen=True, slots=True)
class InputsDescription:
    """What ``inputs.bin`` holds.

    The first ``n`` prompts are the window's, the others the warm-up's. ``lengths`` are in tokens; ``max_new_tokens`` holds a
    prompt's own limit or ``None`` for the study's; ``truncated`` counts prompts that were cut; ``sha256`` is over the bytes.
    """

    sha256: str
    n: int
    lengths: tuple[int, ...]
    max_new_tokens: tuple[int | None, ...]
    truncated: int
    tokenizer_sha256: str
    tokenizer_backend: str
    dataset: str
    dataset_sha256: str
    prompt_format: str = "raw"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Prepared inputs in memory: one tuple of ids a prompt."""

    description: InputsDescription
    ids: tuple[tuple[int, ...], ...]

    @property
    def window(self) -> tuple[tuple[int, ...], ...]:
        return self.ids[: self.description.n]

    @property
    def warmup(self) -> tuple[tuple[int, ...], ...]:
        return self.ids[self.description.n :]


def pack_ids(prompts: Sequence[Sequence[int]]) -> bytes:
    """The bytes of ``inputs.bin``."""
    flat = array("i", [token for prompt in prompts for token in prompt])
    if sys.byteorder == "big":
        flat.byteswap()
    return flat.tobytes()


def ids_sha256(packed: bytes, lengths: Sequence[int]) -> str:
    """Identifies the ids and where each prompt ends."""
    return hashlib.sha256(packed + b"|" + ",".join(map(str, lengths)).encode()).hexdigest()


def write_inputs(folder: Path, description: InputsDescription, packed: bytes) -> None:
    """Write both files; the description last, so that it never describes ids that are not there."""
    (folder / INPUTS_IDS).write_bytes(packed)
    (folder / INPUTS).write_text(to_line(description), encoding="utf-8")


def read_inputs(folder: Path) -> Inputs:
    """Both files, checked against each other. Raises ``LLEMError`` when they do not belong together."""
    try:
        description = decode(InputsDescription, json.loads((folder / INPUTS).read_text(encoding="utf-8")))
        packed = (folder / INPUTS_IDS).read_bytes()
    except (OSError, ValueError) as error:
        raise LLEMError(f"{folder}: the prepared inputs cannot be read: {error}") from error
    if ids_sha256(packed, description.lengths) != description.sha256:
        raise LLEMError(
            f"{folder / INPUTS_IDS}: does not match its description", hint="remove the folder and run again"
        )
    flat = array("i")
    flat.frombytes(packed)
    if sys.byteorder == "big":
        flat.byteswap()
    prompts = []
    begin = 0
    for length in description.lengths:
        prompts.append(tuple(flat[begin : begin + length]))
        begin += length
    return Inputs(description, tuple(prompts))


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt before it becomes ids.

    Either ``text`` or, for a chat, ``messages``. ``exact_tokens``: the ids are repeated or cut to exactly that many (synthetic
    prompts). ``max_new_tokens`` is this prompt's own limit, ``None`` for the study's.
    """

    text: str = ""
    messages: tuple[Message, ...] = ()
    exact_tokens: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """``prompts.json``: what a prepare job turns into ids. The first n prompts are the window's, the rest the warm-up's."""

    prompts: tuple[Prompt, ...]
    dataset: str
    dataset_sha256: str
