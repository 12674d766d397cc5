"""When is a worker given up? Pure decisions; the supervisor acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llenergymeasure.model.job import Limits
from llenergymeasure.model.mark import Phase
from llenergymeasure.units import ns_to_s


@dataclass(frozen=True, slots=True)
class Observed:
    """What the supervisor sees of a worker at one instant. ``phase`` is the phase it is in (``load`` until it says more)."""

    phase: Phase
    started_ns: int
    load_ended_ns: int | None
    last_sign_ns: int


def overdue(limits: Limits, seen: Observed, now_ns: int) -> tuple[Literal["timeout", "silent"], str] | None:
    """Why the worker should be stopped now, as (kind, words), or ``None``."""
    if seen.load_ended_ns is None:
        if ns_to_s(now_ns - seen.started_ns) > limits.load_seconds:
            return "timeout", f"loading took longer than {limits.load_seconds:.0f} s"
    elif limits.run_seconds is not None and ns_to_s(now_ns - seen.load_ended_ns) > limits.run_seconds:
        return "timeout", f"the trial took longer than {limits.run_seconds:.0f} s after loading"
    silence_s = limits.silence_seconds.get(seen.phase)
    if silence_s is not None and ns_to_s(now_ns - seen.last_sign_ns) > silence_s:
        return "silent", f"no sign of life for {silence_s:.0f} s in {seen.phase}"
    return None
