"""Energy of prefill and decode within one window, where its batches take long enough for the meter to tell them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.quantity import Interval as Bounds
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.units import ns_to_s

# A phase that lasts less is not told apart by a sensor that ticks ten times a second (measurement protocol, "Phases").
_LEAST_S = 1.0
_BY_TWO_RUNS = "two runs tell them apart: sweep decoder.max_new_tokens: [1, …]"


def phases(trace: Trace) -> tuple[Quantity, Quantity]:
    """Joules of prefill (submission to first token) and of decode (first token to the end) over all batches of the window.

    Only where requests are submitted in static batches, whose prefill ends before their decoding begins, and where every phase
    of every batch lasts 1 s; otherwise both are missing with the reason.
    """
    batches, why_not = _batches(trace)
    if why_not:
        return missing("J", f"{why_not}; {_BY_TWO_RUNS}"), missing("J", f"{why_not}; {_BY_TWO_RUNS}")
    prefill = [Interval(begin_ns, first_ns) for begin_ns, first_ns, _ in batches]
    decode = [Interval(first_ns, end_ns) for _, first_ns, end_ns in batches]
    return _sum(trace, prefill), _sum(trace, decode)


def _batches(trace: Trace) -> tuple[list[tuple[int, int, int]], str]:
    """Of each batch its submission, its first tokens and its end; or why they are of no use."""
    if trace.head.session.batching != "static":
        return [], "the engine prefills some requests while it decodes others"
    by_batch: dict[int, list[RequestRecord]] = {}
    for request in trace.requests:
        by_batch.setdefault(request.batch, []).append(request)
    found = []
    for requests in by_batch.values():
        first_ns = [first for request in requests if (first := request.first_token_ns) is not None]
        if len(first_ns) < len(requests):
            return [], "the backend does not observe tokens"
        found.append(
            (
                min(request.submitted_ns for request in requests),
                max(first_ns),
                max(request.finished_ns for request in requests),
            )
        )
    shortest_s = ns_to_s(min((min(first - begin, end - first) for begin, first, end in found), default=0))
    if shortest_s < _LEAST_S:
        return [], f"a phase of {shortest_s:.2g} s is too short to be told apart within one window"
    return found, ""


def _sum(trace: Trace, pieces: Sequence[Interval]) -> Quantity:
    """The energy of all pieces. Their edges err independently; what they share, the gain or a model's bounds, adds up."""
    quantities = [energy_of_window(trace, piece).total_j for piece in pieces]
    gone = next((one for one in quantities if one.value is None), None)
    if gone is not None:
        return missing("J", gone.reason or "not known")
    value = math.fsum(one.value for one in quantities if one.value is not None)
    repeatability = [one.repeatability_95 for one in quantities if one.repeatability_95 is not None]
    absolute = [one.absolute_95 for one in quantities if one.absolute_95 is not None]
    half = math.sqrt(math.fsum(((one.high - one.low) / 2) ** 2 for one in repeatability))
    return quantities[0].model_copy(
        update={
            "value": value,
            "n": 1,
            "repeatability_95": Bounds(low=value - half, high=value + half)
            if len(repeatability) == len(quantities)
            else None,
            "absolute_95": Bounds(
                low=math.fsum(one.low for one in absolute), high=math.fsum(one.high for one in absolute)
            )
            if len(absolute) == len(quantities)
            else None,
        }
    )
