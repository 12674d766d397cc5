"""Power at rest, and net energy: what the work added to a machine that holds the model anyway."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.analyse.energy.uncertainty import Term, half_width
from llenergymeasure.analyse.statistics import Z_975, t_975
from llenergymeasure.model.idle import IdleDomain, IdlePower
from llenergymeasure.model.mark import Interval, Phase, interval_of
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.energy import DomainEnergy
from llenergymeasure.schema.quantity import Interval as Bounds
from llenergymeasure.schema.quantity import Quantity, missing

# Above this share of idle in gross, the difference says more about the sensor than about the work.
_IDLE_SHARE = 0.7
# A difference smaller than this many of its standard uncertainties is not resolved.
_LEAST_UNCERTAINTIES = 3.0
# A rest is split into this many blocks, or into fewer when the sensor has no answer for so short ones.
_BLOCKS = (5, 4, 3)
_ESTIMATE = "an estimate has no idle power of its own"


@dataclass(frozen=True, slots=True)
class Power:
    """Watts, their standard uncertainty and its degrees of freedom; ``None`` where the rest was too short to be split."""

    value_w: float
    u_w: float | None
    degrees_of_freedom: float | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """A rest phase: the power of all devices that worked, for people and for sums, and of each domain of each device."""

    power_w: Quantity
    total: Power | None = None
    domains: Mapping[tuple[str, str], Power] = field(default_factory=dict)


def rest(trace: Trace, phase: Phase) -> Rest:
    """Power over a rest phase, by meter; missing with the reason where it did not take place or no meter reads."""
    over = interval_of(trace.head.marks, phase)
    if over is None or over.duration_s <= 0:
        reused = trace.head.idle_reused if phase == "idle" else None
        return Rest(missing("W", "the trial had no such rest")) if reused is None else _reused(reused)
    whole = energy_of_window(trace, over)
    if whole.total_j.value is None:
        return Rest(missing("W", whole.total_j.reason or "not known"))
    if whole.total_j.estimated:
        return Rest(missing("W", _ESTIMATE))
    blocks = _blocks(trace, over)
    total = _power(whole.total_j, over, [block.total_j for block in blocks])
    domains = {
        _key(part): _power(part.gross_j, over, [found.gross_j for block in blocks if (found := _same(block, part))])
        for part in whole.parts
    }
    return Rest(_quantity(total, len(blocks), whole.total_j), total, domains)


def idle_of(trace: Trace) -> IdlePower | None:
    """The idle power that this trial itself measured, for trials after it."""
    found = rest(trace, "idle")
    if found.total is None or trace.head.idle_reused is not None:
        return None
    return IdlePower(
        experiment_id=trace.head.job.identity.experiment_id,
        measured_at=trace.head.started_at,
        power_w=found.total.value_w,
        u_w=found.total.u_w,
        degrees_of_freedom=found.total.degrees_of_freedom,
        domains=tuple(
            IdleDomain(device, domain, power.value_w, power.u_w, power.degrees_of_freedom)
            for (device, domain), power in found.domains.items()
        ),
    )


def _reused(idle: IdlePower) -> Rest:
    """What another trial measured."""
    total = Power(idle.power_w, idle.u_w, idle.degrees_of_freedom)
    half_w = None if idle.u_w is None else t_975(idle.degrees_of_freedom or math.inf) * idle.u_w
    quantity = Quantity(
        value=idle.power_w,
        unit="W",
        repeatability_95=_around(idle.power_w, half_w),
        grade="B",
        interval_reason="the rest was too short to be split" if half_w is None else None,
    )
    domains = {(one.device, one.domain): Power(one.power_w, one.u_w, one.degrees_of_freedom) for one in idle.domains}
    return Rest(quantity, total, domains)


def net_energy(gross_j: Quantity, idle: Power | None, window: Interval, reason: str | None) -> Quantity:
    """Gross minus idle power over the same time; missing with the reason where it would mean nothing.

    ``reason`` says why there is no ``idle``. Gain is common to both, so it stays the same share of the difference.
    """
    if gross_j.value is None:
        return missing("J", gross_j.reason or "not known")
    if gross_j.estimated:
        return missing("J", _ESTIMATE)
    if idle is None:
        return missing("J", reason or "no idle power was measured")
    idle_j = idle.value_w * window.duration_s
    if idle_j > _IDLE_SHARE * gross_j.value:
        return missing("J", f"idle is {idle_j / gross_j.value * 100:.0f} % of gross: the difference is not resolved")
    net_j, own_j, whole_j = gross_j.value - idle_j, _half(gross_j.repeatability_95), _half(gross_j.absolute_95)
    doubt = idle_term(gross_j.value, idle, window)
    if doubt is None or own_j is None:
        return _with(gross_j, net_j, None, None, "the uncertainty of the idle power is not known")
    own = (Term("own", own_j / Z_975 / gross_j.value), doubt)
    half_j = half_width(own) * gross_j.value
    if net_j < _LEAST_UNCERTAINTIES * half_j / Z_975:
        return missing("J", "the difference to idle is smaller than three times its uncertainty")
    if whole_j is None:
        return _with(gross_j, net_j, half_j, None, None)
    gain = math.sqrt(max(whole_j**2 - own_j**2, 0.0)) / Z_975 / gross_j.value
    all_j = half_width((*own, Term("u_gain", gain * net_j / gross_j.value))) * gross_j.value
    return _with(gross_j, net_j, half_j, all_j, None)


def idle_term(gross_j: float, idle: Power | None, window: Interval) -> Term | None:
    """What the uncertainty of idle power adds to net energy, relative to gross; ``None`` where it is not known."""
    if idle is None or idle.u_w is None:
        return None
    return Term("u_idle", idle.u_w * window.duration_s / gross_j, "A", idle.degrees_of_freedom)


def _blocks(trace: Trace, over: Interval) -> tuple[TrialEnergy, ...]:
    """The rest in equal blocks that all have an answer; none when it is too short."""
    for count in _BLOCKS:
        edges = np.linspace(over.begin_ns, over.end_ns, count + 1).astype(np.int64).tolist()
        found = tuple(energy_of_window(trace, Interval(*pair)) for pair in pairwise(edges))
        if all(block.total_j.value is not None for block in found):
            return found
    return ()


def _power(whole_j: Quantity, over: Interval, blocks_j: Sequence[Quantity]) -> Power:
    """Mean power; its uncertainty from the spread of the blocks and from their drift, taken as rectangular."""
    assert whole_j.value is not None
    length_s = over.duration_s / max(len(blocks_j), 1)
    blocks_w = [block.value / length_s for block in blocks_j if block.value is not None]
    if len(blocks_w) < _BLOCKS[-1]:
        return Power(whole_j.value / over.duration_s, None)
    drift_w = float(np.polyfit(np.arange(len(blocks_w)), blocks_w, 1)[0]) * len(blocks_w)
    spread_w = float(np.std(blocks_w, ddof=1)) / math.sqrt(len(blocks_w))
    u_w = math.hypot(spread_w, drift_w / math.sqrt(12))
    return Power(whole_j.value / over.duration_s, u_w, len(blocks_w) - 1)


def _quantity(power: Power, blocks: int, energy_j: Quantity) -> Quantity:
    half_w = None if power.u_w is None else t_975(blocks - 1) * power.u_w
    return Quantity(
        value=power.value_w,
        unit="W",
        repeatability_95=_around(power.value_w, half_w),
        n=blocks or None,
        grade=energy_j.grade,
        interval_reason="the rest is too short to be split" if half_w is None else None,
    )


def _same(block: TrialEnergy, part: DomainEnergy) -> DomainEnergy | None:
    return next((other for other in block.parts if _key(other) == _key(part)), None)


def _key(part: DomainEnergy) -> tuple[str, str]:
    return part.device, part.domain


def _with(gross_j: Quantity, net_j: float, own_j: float | None, all_j: float | None, reason: str | None) -> Quantity:
    return gross_j.model_copy(
        update={
            "value": net_j,
            "repeatability_95": _around(net_j, own_j),
            "absolute_95": _around(net_j, all_j),
            "interval_reason": reason,
        }
    )


def _around(value: float, half: float | None) -> Bounds | None:
    return None if half is None else Bounds(low=value - half, high=value + half)


def _half(interval: Bounds | None) -> float | None:
    return None if interval is None else (interval.high - interval.low) / 2
