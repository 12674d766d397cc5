"""How many sequences decode together, and how much of a key-value cache they fill."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.request import RequestRecord


def sequences_together(requests: Sequence[RequestRecord]) -> float | None:
    """Sequences that decode at the same time, as a mean over the time in which any does; ``None`` when none is observed."""
    spans = sorted(
        (request.token_t_ns[0], request.token_t_ns[-1]) for request in requests if len(request.token_t_ns) > 1
    )
    busy_ns, until_ns = 0, 0
    for begin_ns, end_ns in spans:
        busy_ns += max(0, end_ns - max(begin_ns, until_ns))
        until_ns = max(until_ns, end_ns)
    return sum(end_ns - begin_ns for begin_ns, end_ns in spans) / busy_ns if busy_ns else None


def mean_context_elements(architecture: Architecture, requests: Sequence[RequestRecord]) -> float | None:
    """Numbers in the cache that the decoding of one token reads, as a mean over tokens: a sequence at its half-way point."""
    weighted = [
        (
            len(request.output_ids),
            architecture.key_value_elements(len(request.input_ids) + len(request.output_ids) // 2),
        )
        for request in requests
    ]
    tokens = sum(count for count, _ in weighted)
    return sum(count * elements for count, elements in weighted) / tokens if tokens else None


def most_elements(architecture: Architecture, requests: Sequence[RequestRecord]) -> int:
    """The most numbers in the cache at one time, each sequence counted whole from its first token (if seen) to its end."""
    changes = []
    for request in requests:
        elements = architecture.key_value_elements(len(request.input_ids) + len(request.output_ids))
        begin_ns = request.submitted_ns if request.first_token_ns is None else request.first_token_ns
        changes += [(begin_ns, 1, elements), (request.finished_ns, 0, -elements)]
    held = most = 0
    for _, _, change in sorted(changes):
        held += change
        most = max(most, held)
    return most
