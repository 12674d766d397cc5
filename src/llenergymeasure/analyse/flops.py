"""Arithmetic of a window, counted from the model's shape.

A token costs two operations per weight it is multiplied with, and attention 4·n_q·d_h a layer and position it attends to, itself
included (Kaplan et al. 2020, arXiv 2001.08361, section 2.1, with causal context and sliding windows counted exactly). Of routed
experts those that the token passes count. The input embedding is looked up, not multiplied; the output projection is multiplied
once a generated token. What an engine computes beyond that (padding, masked positions, logits of the prompt) is not counted, nor
are a draft model and a LoRA adapter that is not merged.
"""

from __future__ import annotations

from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.schema.performance import FlopsGroup

METHOD = "from the architecture: causal attention, active experts; padding and masked positions not counted"


def flops(
    architecture: Architecture | None,
    requests: tuple[RequestRecord, ...],
    *,
    reason: str | None = None,
) -> FlopsGroup:
    """FLOPs of prefill and decode over the requests; without an architecture none, and ``reason`` says why."""
    if architecture is None:
        return FlopsGroup(reason=reason or "the model's architecture is not known")
    prefill = sum(prefill_flops(architecture, len(request.input_ids)) for request in requests)
    decode = sum(decode_flops(architecture, len(request.input_ids), len(request.output_ids)) for request in requests)
    tokens = sum(len(request.output_ids) for request in requests)
    return FlopsGroup(
        prefill=float(prefill),
        decode=float(decode),
        total=float(prefill + decode),
        per_output_token=(prefill + decode) / tokens if tokens else None,
        method=METHOD,
        confidence="high",
    )


def prefill_flops(architecture: Architecture, length: int) -> int:
    """A prompt of ``length`` tokens, and the projection of its last position to the first output token."""
    if length == 0:
        return 0
    return 2 * _body(architecture) * length + _attention(architecture, 0, length) + 2 * _head(architecture)


def decode_flops(architecture: Architecture, length: int, outputs: int) -> int:
    """Every one of ``outputs`` tokens but the last is fed back once, after ``length`` of the prompt."""
    steps = max(outputs - 1, 0)
    return 2 * (_body(architecture) + _head(architecture)) * steps + _attention(architecture, length, steps)


def _head(architecture: Architecture) -> int:
    return architecture.vocabulary * architecture.hidden_size


def _body(architecture: Architecture) -> int:
    """Parameters each token meets, tables and the output projection left out; norms and biases, under 0.1 %, stay in."""
    head = 0 if architecture.tied_embeddings else _head(architecture)
    return architecture.active_parameters - architecture.embedding_parameters - head


def _attention(architecture: Architecture, before: int, tokens: int) -> int:
    """Scores and weighted sums of ``tokens`` that follow ``before`` others."""
    positions = _contexts(before, tokens)
    sliding = architecture.sliding_layers
    attended = (architecture.layers - sliding) * positions
    if sliding:
        window = architecture.sliding_window or before + tokens
        growing = max(min(tokens, window - before), 0)
        attended += sliding * (_contexts(before, growing) + (tokens - growing) * window)
    return 4 * architecture.attention_heads * architecture.head_dim * attended


def _contexts(before: int, tokens: int) -> int:
    """The sum of (before + 1) … (before + tokens)."""
    return tokens * before + tokens * (tokens + 1) // 2
