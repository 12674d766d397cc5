"""Whether a trial fits its device, and what a whole study comes to. Pure: every fact is passed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.backends.memory import MemoryNeed, NotForeseen, Workload
from llenergymeasure.plan.forecast_time import TimeForecast

Verdict = Literal["fits", "tight", "will not fit", "unknown"]

# Above this share of what the device has, the forecast's own error decides.
_TIGHT = 0.9


@dataclass(frozen=True, slots=True)
class MemoryForecast:
    """What a trial takes of what its device has, in bytes; ``reason`` says why something is ``None``."""

    verdict: Verdict
    need: MemoryNeed | None = None
    available_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all trials, pauses included. ``untimed`` and ``unmetered`` trials have no forecast and are in neither sum."""

    seconds: float | None
    joules: float | None
    untimed: int
    unmetered: int


def forecast_memory(spec: BackendSpec, workload: Workload, available_bytes: int | None, unknown: str) -> MemoryForecast:
    """The memory of a workload against ``available_bytes`` of its device; ``unknown`` says why those are not known."""
    if spec.memory is None:
        return MemoryForecast("unknown", reason=f"{spec.name} does not say what it takes")
    need = spec.memory(workload)
    if isinstance(need, NotForeseen):
        return MemoryForecast("unknown", available_bytes=available_bytes, reason=need.reason)
    if available_bytes is None:
        return MemoryForecast("unknown", need, reason=unknown)
    return MemoryForecast(verdict(need.peak_bytes, available_bytes), need, available_bytes)


def verdict(needed_bytes: int, available_bytes: int) -> Verdict:
    """``tight``: above nine tenths of what there is."""
    if needed_bytes > available_bytes:
        return "will not fit"
    return "tight" if needed_bytes > _TIGHT * available_bytes else "fits"


def totals(
    forecasts: Sequence[TimeForecast], cycles: int, *, config_gap_seconds: float = 0.0, cycle_gap_seconds: float = 0.0
) -> Totals:
    """The sum over all experiments in all cycles, and the pauses between them."""
    times = [forecast.seconds for forecast in forecasts if forecast.seconds is not None]
    joules = [forecast.joules for forecast in forecasts if forecast.joules is not None]
    between_cycles = max(cycles - 1, 0)
    between_trials = max(len(forecasts) * cycles - 1 - between_cycles, 0)
    pauses_s = between_trials * config_gap_seconds + between_cycles * cycle_gap_seconds
    return Totals(
        seconds=cycles * math.fsum(times) + pauses_s if times else None,
        joules=cycles * math.fsum(joules) if joules else None,
        untimed=cycles * (len(forecasts) - len(times)),
        unmetered=cycles * (len(forecasts) - len(joules)),
    )
