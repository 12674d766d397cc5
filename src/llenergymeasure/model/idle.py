"""Idle power with nothing loaded, as one trial measured it for others to use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdleDomain:
    """Power of one domain of one device in W, with its standard uncertainty; ``None`` where it is not known."""

    device: str
    domain: str
    power_w: float
    u_w: float | None


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
