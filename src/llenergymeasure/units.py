"""Conversions between the units that appear in names: one constant for each."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
MS_PER_S = 1_000
MIB = 1024 * 1024


def ns_to_s(duration_ns: int) -> float:
    """Seconds in a duration of nanoseconds."""
    return duration_ns / NS_PER_S


def s_to_ns(duration_s: float) -> int:
    """Whole nanoseconds in a duration of seconds."""
    return round(duration_s * NS_PER_S)
