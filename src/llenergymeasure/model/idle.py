"""Idle power with nothing loaded, as one trial measured it for others to use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdleDomain:
    """Power of one domain of one device in W, its standard uncertainty, and the degrees of freedom of that; ``None``: unknown."""

    device: str
    domain: str
    power_w: float
    u_w: float | None
    degrees_of_freedom: float | None = None


@dataclass(frozen=True, slots=True)
class IdlePower:
    """Power of all devices that worked, and of each domain; which trial measured it and when (UTC, ISO 8601).

    ``age_s`` is how old it was when it was used; 0 when it was measured.
    """

    experiment_id: str
    measured_at: str
    power_w: float
    u_w: float | None
    domains: tuple[IdleDomain, ...]
    age_s: float = 0.0
    degrees_of_freedom: float | None = None
