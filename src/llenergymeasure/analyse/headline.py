"""The energy of a trial: which channel speaks for which domain of which device, what is summed, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from llenergymeasure.analyse.energy import Joules, NoEnergy, energy_of, series_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Readout
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.energy import DomainEnergy
from llenergymeasure.schema.quantity import Grade, Quantity, missing
from llenergymeasure.schema.quantity import Interval as Bounds


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


@dataclass(frozen=True, slots=True)
class _Part:
    """What one channel gave."""

    channel: Channel
    joules: Joules

    @property
    def estimated(self) -> bool:
        return self.channel.kind == "model"

    @property
    def grade(self) -> Grade:
        return "C" if self.estimated else "B"


@dataclass(slots=True)
class _Device:
    """One device: the best answer for each of its domains, and why others gave none."""

    parts: list[_Part] = field(default_factory=list)
    refusals: list[tuple[Channel, NoEnergy]] = field(default_factory=list)

    @property
    def summed(self) -> list[_Part]:
        """The parts that no other part covers: their domains are disjoint."""
        covered = {domain for part in self.parts for domain in part.channel.covers}
        return [part for part in self.parts if part.channel.domain not in covered]

    @property
    def unanswered(self) -> list[NoEnergy]:
        """The refusals of domains that nothing else speaks for: with one of them, a sum would quietly be smaller."""
        known = {part.channel.domain for part in self.parts}
        known |= {domain for part in self.parts for domain in part.channel.covers}
        return [refusal for channel, refusal in self.refusals if channel.domain not in known]


def energy_of_window(read: Trace | Readout, window: Interval) -> TrialEnergy:
    """Sum over the devices that worked; one without a readable channel makes the total missing."""
    readout = read if isinstance(read, Readout) else read.readout
    used = readout.device_ids
    devices = _devices(readout, window)
    working = [devices.get(device, _Device()) for device in used]
    summed = [part for device in working for part in device.summed]
    return TrialEnergy(
        total_j=_total(readout, dict(zip(used, working, strict=True))),
        scope=_scope(summed),
        parts=tuple(_domain(part, part in device.summed) for device in working for part in device.parts),
        bystanders=tuple(
            _domain(part, False) for name, device in devices.items() if name not in used for part in device.parts
        ),
        budget=_budget(summed),
        resets=tuple(refusal.reason for device in working for _, refusal in device.refusals if refusal.reset),
        largest_gap_s=max((part.joules.largest_gap_s for part in summed), default=0.0),
    )


def _devices(readout: Readout, window: Interval) -> dict[str, _Device]:
    """Every device that has an energy channel; for each of its domains the first channel, best kind first, that answers."""
    devices: dict[str, _Device] = {}
    channels = [channel for channel in readout.channels if channel.kind in ENERGY_KINDS]
    for channel in sorted(channels, key=lambda channel: ENERGY_KINDS.index(channel.kind)):
        device = devices.setdefault(channel.device, _Device())
        if any(part.channel.domain == channel.domain for part in device.parts):
            continue
        found = energy_of(channel, series_of(readout.readings, channel.id), window)
        if isinstance(found, Joules):
            device.parts.append(_Part(channel, found))
        else:
            device.refusals.append((channel, found))
    return devices


def _total(readout: Readout, used: dict[str, _Device]) -> Quantity:
    why_not = _why_no_total(readout, used)
    if why_not:
        return missing("J", why_not)
    parts = [part for device in used.values() for part in device.summed]
    joules = [part.joules for part in parts]
    value = math.fsum(found.energy_j for found in joules)
    estimated = parts[0].estimated
    return Quantity(
        value=value,
        unit="J",
        repeatability_95=_repeatability(value, joules),
        # Boards of one make may share their gain's error: bounds are added, not squares.
        absolute_95=Bounds(
            low=math.fsum(found.low_j for found in joules), high=math.fsum(found.high_j for found in joules)
        ),
        n=1,
        grade=parts[0].grade,
        estimated=estimated,
        interval_reason="a model has bounds, no repeatability of its own" if estimated else None,
    )


def _repeatability(value: float, joules: Iterable[Joules]) -> Bounds | None:
    """The edges alone; ``None`` where one of them comes from a model."""
    squares = [None if found.u_edge is None else (found.energy_j * found.u_edge) ** 2 for found in joules]
    known = [square for square in squares if square is not None]
    if len(known) < len(squares):
        return None
    half = 1.96 * math.sqrt(math.fsum(known))
    return Bounds(low=value - half, high=value + half)


def _why_no_total(readout: Readout, used: dict[str, _Device]) -> str:
    """Why there is no total, or an empty string."""
    if not any(channel.kind in ENERGY_KINDS for channel in readout.channels):
        if any(verdict.source == "none" and verdict.chosen for verdict in readout.verdicts):
            return "no energy was read, as asked"
        verdicts = "; ".join(f"{verdict.source}: {verdict.reason}" for verdict in readout.verdicts)
        return "no energy source was read" + (f" ({verdicts})" if verdicts else "")
    if not used:
        return "the backend does not say which devices worked"
    gone = {name: device for name, device in used.items() if not device.parts or device.unanswered}
    if gone:
        reasons = dict.fromkeys(refusal.reason for device in gone.values() for refusal in device.unanswered)
        why = "; ".join(reasons) or "no channel reads it"
        return f"no channel gave the whole energy of {', '.join(gone)}: {why}"
    if len({part.estimated for device in used.values() for part in device.summed}) > 1:
        return "estimated and metered energy are never added"
    return ""


def _domain(part: _Part, in_headline: bool) -> DomainEnergy:
    found = part.joules
    return DomainEnergy(
        domain=part.channel.domain,
        device=part.channel.device,
        source=part.channel.source,
        method=found.method,
        grade=part.grade,
        estimated=part.estimated,
        gross_j=Quantity(
            value=found.energy_j,
            unit="J",
            repeatability_95=_repeatability(found.energy_j, [found]),
            absolute_95=Bounds(low=found.low_j, high=found.high_j),
            grade=part.grade,
            estimated=part.estimated,
        ),
        scope=_scope([part]),
        in_headline=in_headline,
    )


def _scope(parts: Iterable[_Part]) -> str:
    domains = sorted({part.channel.domain for part in parts})
    if not domains:
        return "none"
    word = "estimated" if any(part.estimated for part in parts) else "metered"
    return f"{' + '.join(domains)}, {word}"


def _budget(parts: Iterable[_Part]) -> tuple[tuple[str, float], ...]:
    """The largest of each term over the parts."""
    lines = []
    for name in ("u_gain", "u_edge"):
        values = [value for part in parts if (value := getattr(part.joules, name)) is not None]
        if values:
            lines.append((name, max(values)))
    return tuple(lines)
