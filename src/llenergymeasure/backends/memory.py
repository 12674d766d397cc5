"""What a trial has an engine hold, and the bytes that this takes: each engine's own account, made without the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from llenergymeasure.model.job import ModelRef

MIB = 2**20

# Bytes of one number of each precision that is not "as stored".
PRECISION_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked of an engine, as far as its memory depends on it.

    ``options`` is the engine's options object. ``sequences`` are worked on at a time, each with ``input_tokens`` of prompt (the
    longest there is) and ``output_tokens`` of answer. ``drafting``: beside a draft model.
    """

    model: ModelRef
    weights: Literal["real", "random"]
    precision: str
    device: str
    options: Any
    sequences: int
    input_tokens: int
    output_tokens: int
    drafting: bool = False


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes on the device; on a CPU, resident in the worker.

    ``engine_bytes``: the engine alone, imported and with nothing loaded. ``weights_bytes`` and ``kv_bytes`` are held throughout;
    ``working_bytes`` is what running adds at most (activations, logits, buffers). ``loading_bytes`` is the most that loading
    holds at a time, weights included.
    """

    engine_bytes: int
    weights_bytes: int
    kv_bytes: int
    working_bytes: int
    loading_bytes: int

    @property
    def added_bytes(self) -> int:
        """The peak over the bare engine."""
        return max(self.loading_bytes, self.weights_bytes + self.kv_bytes + self.working_bytes)

    @property
    def peak_bytes(self) -> int:
        """The peak, engine included."""
        return self.engine_bytes + self.added_bytes


@dataclass(frozen=True, slots=True)
class NotForeseen:
    """The engine's memory cannot be told beforehand, and why."""

    reason: str


def stored_bytes(model: ModelRef) -> int | NotForeseen:
    """Bytes of a model's weights in its files."""
    if model.weight_bytes is not None:
        return model.weight_bytes
    return NotForeseen(f"{model.name}: the size of its weights is not known")


def undescribed(model: ModelRef) -> NotForeseen:
    """Why a model without a described architecture has no forecast."""
    return NotForeseen(model.architecture_reason or f"{model.name}: its architecture is not known")
