"""A result beside what others published."""

from __future__ import annotations

from llenergymeasure.schema.quantity import Record


class PublishedBeside(Record):
    """A published energy of the same model on the same boards with as many requests served together.

    ``ratio`` is this result over the published one. Prompts, lengths and engine differ: near 1 is plausible, far from it calls
    for a reason, neither is a proof.
    """

    conditions: str
    source: str
    requests_together: float
    published_j_per_output_token: float
    ratio: float
