"""A number with its unit, its uncertainty and how it was obtained; or no number and the reason."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

Grade = Literal["A", "B+", "B", "C", "D"]


class Record(BaseModel):
    """Base of all result models: frozen, no NaN or infinity, fields of a newer minor version kept."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, defer_build=True)


class Interval(Record):
    """An interval in the unit of what it belongs to."""

    low: float
    high: float


class Quantity(Record):
    """A headline quantity.

    ``repeatability_95`` leaves out what all configurations on one board share (the sensor's gain), ``absolute_95`` holds
    everything; ``n`` counts the cycles or slices behind the first. ``value`` is ``None`` exactly when ``reason`` says why.
    ``estimated``: from a model, never from a meter; its ``absolute_95`` are then the model's bounds.
    """

    value: float | None
    unit: str
    repeatability_95: Interval | None = None
    absolute_95: Interval | None = None
    n: int | None = None
    grade: Grade | None = None
    estimated: bool = False
    reason: str | None = None
    interval_reason: str | None = None

    @model_validator(mode="after")
    def _missing_has_a_reason(self) -> Quantity:
        if (self.value is None) != bool(self.reason):
            raise ValueError("a quantity has either a value or a reason for having none")
        return self


def missing(unit: str, reason: str) -> Quantity:
    """A quantity that is not known, and why."""
    return Quantity(value=None, unit=unit, grade="D", reason=reason)
