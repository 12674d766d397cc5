"""A result beside published figures of the same model on the same boards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from llenergymeasure.analyse.compute import device_names
from llenergymeasure.analyse.decoding import sequences_together
from llenergymeasure.analyse.energy.headline import TrialEnergy
from llenergymeasure.data.device_peaks import device_name
from llenergymeasure.data.published import PublishedCurve
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.published import PublishedBeside
from llenergymeasure.schema.quantity import Quantity

# What only GPUs count in, as the published figures do.
_SCOPE = "gpu, metered"
# Tuning changes a model's answers, not its arithmetic.
_TUNING = re.compile(r"(-instruct|-it|-chat)?(-fp8)?$", re.IGNORECASE)

_PRECISIONS = ("fp32", "fp16", "bf16")


def beside_published(
    trace: Trace, energy: TrialEnergy, per_token: Quantity, curves: Sequence[PublishedCurve]
) -> tuple[PublishedBeside, ...]:
    """The curves that were measured under these conditions, each read at this number of requests together.

    Between two points of a curve, energy is taken to be a + b/B (what a step costs is shared by the B in it). Nothing is read
    beyond the ends of a curve.
    """
    together = sequences_together(trace.requests)
    if together is None or per_token.value is None or energy.scope != _SCOPE:
        return ()
    return tuple(_beside(trace.head, together, per_token.value, curves))


def _beside(
    head: TraceHead, together: float, per_token_j: float, curves: Sequence[PublishedCurve]
) -> Iterator[PublishedBeside]:
    for curve in curves:
        published_j = _at(curve, together)
        if published_j is not None and _same_conditions(head, curve):
            yield PublishedBeside(
                conditions=curve.conditions,
                source=curve.source,
                requests_together=together,
                published_j_per_output_token=published_j,
                ratio=per_token_j / published_j,
            )


def _at(curve: PublishedCurve, together: float) -> float | None:
    counts, energies_j = zip(*curve.points, strict=True)
    # The last request of a batch is seldom in it all the time: a mean of 7.99 is 8.
    if not 0.98 * counts[0] <= together <= 1.02 * counts[-1]:
        return None
    shares = 1 / np.asarray(counts, dtype=float)
    return float(np.interp(1 / together, shares[::-1], np.asarray(energies_j)[::-1]))


def _same_conditions(head: TraceHead, curve: PublishedCurve) -> bool:
    name = _TUNING.sub("", head.job.model.name.rsplit("/", 1)[-1])
    boards = [device_name(device) for device in device_names(head)]
    return (
        name.casefold() in (model.casefold() for model in curve.models)
        and boards == [curve.device] * curve.devices
        and _same_weights(head, curve)
    )


def _same_weights(head: TraceHead, curve: PublishedCurve) -> bool:
    """A model that is stored quantised was published in that form too: the name says which."""
    asked = head.job.backend.options.get("quantization")
    if asked:
        return asked == curve.weights
    return (curve.weights not in _PRECISIONS) if head.job.model.quantised else head.session.precision == curve.weights
