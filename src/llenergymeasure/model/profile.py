"""What was found out about a sensor on this board: how it behaves, and how far it is off."""

from __future__ import annotations

from dataclasses import dataclass

# What a kelvin adds to a board's power by leakage, as a share of it: the default of the measurement protocol, until a board's own
# cycles say otherwise.
LEAKAGE_PER_K = 0.002


@dataclass(frozen=True, slots=True)
class Calibration:
    """``gain`` is what the channel shows over what a reference meter showed at the same time.

    ``u_gain`` is its relative standard uncertainty; ``reference`` names the meter in its owner's words; ``measured_at`` is UTC
    (ISO 8601).
    """

    gain: float
    u_gain: float
    reference: str
    measured_at: str


@dataclass(frozen=True, slots=True)
class SensorProfile:
    """How one channel of one board behaves under one driver. ``None`` is what was not measured; ``notes`` say why.

    ``tick_s`` is the time between two values and ``tick_jitter_s`` its standard deviation; ``call_s`` the median and
    ``slowest_call_s`` the longest duration of a read. A value is the mean of the ``averaging_s`` that ended ``lag_s`` before it
    appeared; ``duty`` is the share of time that is seen. ``alias_locked`` and ``alias_unlocked`` are what the energy of a square
    wave with the period of a tick, and of 1.37 ticks, was off by, relative to its swing. ``to_power_idle`` and ``to_power_load``
    are a counter's energy over that of the board's power readings. ``passed``: a counter that ticks steadily, sees all the time
    and agrees with the power readings.
    """

    measured_at: str
    driver: str | None
    tick_s: float | None = None
    tick_jitter_s: float | None = None
    call_s: float | None = None
    slowest_call_s: float | None = None
    lag_s: float | None = None
    averaging_s: float | None = None
    duty: float | None = None
    alias_locked: float | None = None
    alias_unlocked: float | None = None
    to_power_idle: float | None = None
    to_power_load: float | None = None
    passed: bool = False
    notes: tuple[str, ...] = ()
