"""A point of a sweep that is not valid."""

from __future__ import annotations

from llenergymeasure.schema.quantity import Record


class SkippedPoint(Record):
    """A point that is not valid and never touched hardware."""

    label: str
    reason: str
