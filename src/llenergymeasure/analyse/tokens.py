"""Tokens and their rate, counted from ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from llenergymeasure.analyse.statistics import MINIMUM_SLICES, ratio_interval
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.schema.performance import PerRequest, TokenGroup
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.units import NS_PER_S

# A slice of a window without a ticking channel lasts at least this long.
_SLICE_S = 1.0


def count_tokens(requests: tuple[RequestRecord, ...]) -> TokenGroup:
    """Totals over the requests of the window. The engine's total is given only when it counted every request."""
    inputs = [len(request.input_ids) for request in requests]
    outputs = [len(request.output_ids) for request in requests]
    engine = [request.engine_output_tokens for request in requests]
    counted = [count for count in engine if count is not None]
    return TokenGroup(
        input_tokens=sum(inputs),
        output_tokens=sum(outputs),
        requests=len(requests),
        input_per_request=_per_request(inputs),
        output_per_request=_per_request(outputs),
        engine_output_tokens=_told_by_all(engine),
        mismatches=mismatched(requests) if counted else None,
        cached_input_tokens=_told_by_all([request.engine_cached_tokens for request in requests]),
        drafted_tokens=_told_by_all([request.engine_drafted_tokens for request in requests]),
        accepted_tokens=_told_by_all([request.engine_accepted_tokens for request in requests]),
        finish_reasons=dict(sorted(Counter(request.finish_reason for request in requests).items())),
    )


def _told_by_all(counts: Sequence[int | None]) -> int | None:
    """The sum of what the engine told of each request; ``None`` when it was silent on one."""
    told = [count for count in counts if count is not None]
    return sum(told) if told and len(told) == len(counts) else None


def _per_request(counts: Sequence[int]) -> PerRequest:
    if not counts:
        return PerRequest()
    return PerRequest(
        mean=sum(counts) / len(counts), minimum=min(counts), p50=float(np.median(counts)), maximum=max(counts)
    )


def mismatched(requests: tuple[RequestRecord, ...]) -> int:
    """Requests for which the engine's own count of input or output tokens differs from the ids."""
    return sum(
        (request.engine_output_tokens is not None and request.engine_output_tokens != len(request.output_ids))
        or (request.engine_input_tokens is not None and request.engine_input_tokens != len(request.input_ids))
        for request in requests
        if request.finish_reason != "cancelled"
    )


def usual_step_s(requests: tuple[RequestRecord, ...]) -> float | None:
    """The median time between two tokens of a request, over all requests; ``None`` where no two were observed."""
    gaps = [np.diff(np.asarray(request.token_t_ns, dtype=np.int64)) for request in requests]
    between = np.concatenate(gaps) if gaps else np.zeros(0, dtype=np.int64)
    between = between[between > 0]
    return float(np.median(between)) / NS_PER_S if len(between) else None


def tokens_per_second(requests: tuple[RequestRecord, ...], window: Interval) -> Quantity:
    """Output tokens over the window's duration, with a within-run interval where the window is long enough."""
    total = sum(len(request.output_ids) for request in requests)
    if total == 0 or window.duration_s <= 0:
        return missing("tokens/s", "the window holds no output token")
    rate = total / window.duration_s
    stamps = np.concatenate([np.asarray(request.token_t_ns, dtype=np.int64) for request in requests])
    slices = int(window.duration_s / _SLICE_S)
    if len(stamps) != total:
        return Quantity(value=rate, unit="tokens/s", interval_reason="the backend does not observe every token")
    if slices < MINIMUM_SLICES:
        return Quantity(value=rate, unit="tokens/s", interval_reason="window too short for a within-run interval")
    edges = np.linspace(window.begin_ns, window.end_ns, slices + 1)
    counts, _ = np.histogram(stamps, edges)
    _, interval = ratio_interval([float(count) for count in counts], [window.duration_s / slices] * slices)
    return Quantity(value=rate, unit="tokens/s", repeatability_95=interval, absolute_95=interval, n=slices)
