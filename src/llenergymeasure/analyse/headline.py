"""The energy of a trial: which channel speaks for which device, what is summed, and what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llenergymeasure.analyse.energy import Joules, NoEnergy, energy_of, series_of
from llenergymeasure.model.mark import Interval, interval_of
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, ChannelKind
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.experiment import DomainEnergy
from llenergymeasure.schema.quantity import Grade, Quantity, missing
from llenergymeasure.schema.quantity import Interval as Bounds

# The best that reads comes first.
_PREFERENCE: tuple[ChannelKind, ...] = ("counter", "power_instant", "power_mean", "model")


@dataclass(frozen=True, slots=True)
class TrialEnergy:
    """Energy of the window: the total over the devices that worked, its parts, the others, and what was seen on the way."""

    total_j: Quantity
    scope: str
    parts: tuple[DomainEnergy, ...]
    bystanders: tuple[DomainEnergy, ...]
    budget: tuple[tuple[str, float], ...]
    resets: tuple[str, ...]
    largest_gap_s: float


def energy_of_window(trace: Trace, window: Interval) -> TrialEnergy:
    """Sum over the devices that the session says worked; a device without a readable channel makes the total missing."""
    used = trace.head.session.device_ids
    channels = [channel for channel in trace.head.channels if channel.kind in ENERGY_KINDS]
    best: dict[str, tuple[Channel, Joules]] = {}
    refusals: dict[str, list[NoEnergy]] = {}
    for channel in sorted(channels, key=lambda channel: _PREFERENCE.index(channel.kind)):
        if channel.device in best:
            continue
        found = energy_of(channel, series_of(trace.readings, channel.id), window)
        if isinstance(found, Joules):
            best[channel.device] = (channel, found)
        else:
            refusals.setdefault(channel.device, []).append(found)
    parts = tuple(_domain(*best[device], in_headline=True) for device in used if device in best)
    others = tuple(_domain(*pair, in_headline=False) for device, pair in best.items() if device not in used)
    return TrialEnergy(
        total_j=_total(used, best, refusals, bool(channels)),
        scope=_scope([best[device] for device in used if device in best]),
        parts=parts,
        bystanders=others,
        budget=_budget([best[device][1] for device in used if device in best]),
        resets=tuple(refusal.reason for found in refusals.values() for refusal in found if refusal.reset),
        largest_gap_s=max((best[device][1].largest_gap_s for device in used if device in best), default=0.0),
    )


def power_of_phase(trace: Trace, phase: str) -> float | None:
    """Mean power in W over a rest phase, over the metered devices that worked; ``None`` where no meter reads."""
    over = interval_of(trace.head.marks, phase)  # type: ignore[arg-type]
    if over is None or over.duration_s <= 0:
        return None
    energy = energy_of_window(trace, over).total_j
    return None if energy.value is None or energy.estimated else energy.value / over.duration_s


def _total(
    used: tuple[str, ...],
    best: dict[str, tuple[Channel, Joules]],
    refusals: dict[str, list[NoEnergy]],
    any_channel: bool,
) -> Quantity:
    if not any_channel:
        return missing("J", "no energy source was read")
    if not used:
        return missing("J", "the backend does not say which devices worked")
    uncovered = [device for device in used if device not in best]
    if uncovered:
        why = "; ".join(refusal.reason for device in uncovered for refusal in refusals.get(device, []))
        return missing("J", f"no channel gave the energy of {', '.join(uncovered)}" + (f": {why}" if why else ""))
    pairs = [best[device] for device in used]
    estimated = [channel.kind == "model" for channel, _ in pairs]
    if any(estimated) and not all(estimated):
        return missing("J", "estimated and metered energy are never added")
    joules = [found for _, found in pairs]
    value = math.fsum(found.energy_j for found in joules)
    bounds = Bounds(low=math.fsum(found.low_j for found in joules), high=math.fsum(found.high_j for found in joules))
    repeatability = None
    if not estimated[0]:
        half = 1.96 * math.sqrt(math.fsum((found.energy_j * (found.u_edge or 0.0)) ** 2 for found in joules))
        repeatability = Bounds(low=value - half, high=value + half)
    return Quantity(
        value=value,
        unit="J",
        repeatability_95=repeatability,
        absolute_95=bounds,
        n=1,
        grade=_grade(pairs[0][0]),
        estimated=estimated[0],
        interval_reason="a model has bounds, no repeatability of its own" if estimated[0] else None,
    )


def _grade(channel: Channel) -> Grade:
    return "C" if channel.kind == "model" else "B"


def _domain(channel: Channel, found: Joules, *, in_headline: bool) -> DomainEnergy:
    return DomainEnergy(
        domain=channel.domain,
        device=channel.device,
        source=channel.source,
        method=found.method,
        grade=_grade(channel),
        estimated=channel.kind == "model",
        gross_j=Quantity(
            value=found.energy_j,
            unit="J",
            absolute_95=Bounds(low=found.low_j, high=found.high_j),
            grade=_grade(channel),
            estimated=channel.kind == "model",
        ),
        in_headline=in_headline,
    )


def _scope(pairs: list[tuple[Channel, Joules]]) -> str:
    if not pairs:
        return "none"
    domains = sorted({channel.domain for channel, _ in pairs})
    word = "estimated" if any(channel.kind == "model" for channel, _ in pairs) else "metered"
    return f"{' + '.join(domains)}, {word}"


def _budget(joules: list[Joules]) -> tuple[tuple[str, float], ...]:
    lines = []
    for name in ("u_gain", "u_edge"):
        values = [value for found in joules if (value := getattr(found, name)) is not None]
        if values:
            lines.append((name, max(values)))
    return tuple(lines)
