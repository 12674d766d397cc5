"""Arithmetic of a window, counted from the model's shape.

A token costs two operations per parameter it is multiplied with, and attention 4·L·n_q·d_h per position it attends to (Kaplan
et al. 2020, arXiv 2001.08361, section 2.1, with the causal context counted exactly). The input embedding is looked up, not
multiplied; the output projection is multiplied once per generated token.
"""

from __future__ import annotations

from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.schema.experiment import FlopsGroup


def flops(architecture: Architecture | None, requests: tuple[RequestRecord, ...]) -> FlopsGroup:
    """FLOPs of prefill and decode over the requests."""
    if architecture is None:
        return FlopsGroup(reason="the model's architecture is not known")
    prefill = sum(_prefill(architecture, len(request.input_ids)) for request in requests)
    decode = sum(_decode(architecture, len(request.input_ids), len(request.output_ids)) for request in requests)
    tokens = sum(len(request.output_ids) for request in requests)
    return FlopsGroup(
        prefill=float(prefill),
        decode=float(decode),
        total=float(prefill + decode),
        per_output_token=(prefill + decode) / tokens if tokens else None,
        method="from the architecture, causal attention, padding not counted",
        confidence="high",
    )


def _head(architecture: Architecture) -> int:
    return architecture.vocabulary * architecture.hidden_size


def _body(architecture: Architecture) -> int:
    """Parameters each token is multiplied with, the output projection left out."""
    tables = architecture.embedding_parameters + (0 if architecture.tied_embeddings else _head(architecture))
    return architecture.active_parameters - tables


def _attention(architecture: Architecture, context: int) -> int:
    return 4 * architecture.layers * architecture.attention_heads * architecture.head_dim * context


def _prefill(architecture: Architecture, length: int) -> int:
    """The prompt, and the projection of its last position to the first token."""
    contexts = length * (length + 1) // 2
    return 2 * _body(architecture) * length + _attention(architecture, contexts) + 2 * _head(architecture)


def _decode(architecture: Architecture, length: int, outputs: int) -> int:
    """Every generated token but the last is fed back once."""
    steps = max(outputs - 1, 0)
    contexts = steps * length + steps * (steps + 1) // 2
    return 2 * (_body(architecture) + _head(architecture)) * steps + _attention(architecture, contexts)
