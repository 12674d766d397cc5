"""The energy of a trial: what is summed over the devices that worked, what is missing, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.energy.cross_check import Checked, cross_checks
from llenergymeasure.analyse.energy.devices import Device, Part, devices_of, summed_over
from llenergymeasure.analyse.energy.uncertainty import Term, absolute, of_sum, repeatability
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Readout
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.energy import DomainEnergy
from llenergymeasure.schema.quantity import Grade, Quantity, missing
from llenergymeasure.schema.quantity import Interval as Bounds

_GRADES: tuple[Grade, ...] = ("A", "B+", "B", "C", "D")
_NOTHING = missing("J", "nothing was metered")
_NO_REPEATABILITY = "a model has bounds, no repeatability of its own"
# What the domains of a machine are called, where they are not metered; and what none of them covers.
_DOMAINS = {"gpu": "GPUs", "package": "processors", "dram": "memory"}
_BEYOND = "power supply, fans, network and storage"


@dataclass(frozen=True, slots=True)
class TrialEnergy:
    """Energy of the window: the total over the devices that worked, its parts, the others, and what was seen on the way.

    ``terms`` are the uncertainty of the total, none of an estimate; ``channels`` those that were summed; ``checks`` hold them
    against other meters; ``in_pace`` are the devices whose sensor may miss what keeps pace with it. ``node_j`` adds up all that
    was metered, bystanders too; ``node_missing`` names what no meter saw.
    """

    total_j: Quantity
    scope: str
    parts: tuple[DomainEnergy, ...]
    bystanders: tuple[DomainEnergy, ...]
    terms: tuple[Term, ...]
    resets: tuple[str, ...]
    largest_gap_s: float
    channels: tuple[Channel, ...] = ()
    checks: tuple[Checked, ...] = ()
    in_pace: tuple[str, ...] = ()
    node_j: Quantity = _NOTHING
    node_missing: tuple[str, ...] = ()


def energy_of_window(read: Trace | Readout, window: Interval, step_s: float | None = None) -> TrialEnergy:
    """Sum over the devices that worked; one without a readable channel makes the total missing.

    ``step_s`` is the usual time of one step of the work, where it has one that is known (``energy.energy_of``).
    """
    readout = read if isinstance(read, Readout) else read.readout
    used = readout.device_ids
    devices = devices_of(readout, window, step_s)
    working = [devices.get(device, Device()) for device in used]
    summed = summed_over(working)
    checks = cross_checks(readout, summed, window, step_s)
    total_j, terms = _total(readout, dict(zip(used, working, strict=True)), checks)
    node_j, node_missing = _node(summed_over(devices.values()), checks)
    return TrialEnergy(
        total_j=total_j,
        scope=_scope(summed),
        parts=tuple(_domain(part, part in summed, checks) for device in working for part in device.parts),
        bystanders=tuple(
            _domain(part, False, ()) for name, device in devices.items() if name not in used for part in device.parts
        ),
        terms=terms,
        resets=tuple(refusal.reason for device in working for _, refusal in device.refusals if refusal.reset),
        largest_gap_s=max((part.joules.largest_gap_s for part in summed), default=0.0),
        channels=tuple(part.channel for part in summed),
        checks=checks,
        in_pace=tuple(dict.fromkeys(part.channel.device for part in summed if part.joules.in_pace)),
        node_j=node_j,
        node_missing=node_missing,
    )


def _total(readout: Readout, used: dict[str, Device], checks: Sequence[Checked]) -> tuple[Quantity, tuple[Term, ...]]:
    why_not = _why_no_total(readout, used)
    if why_not:
        return missing("J", why_not), ()
    return _sum(summed_over(used.values()), checks)


def _sum(parts: Sequence[Part], checks: Sequence[Checked]) -> tuple[Quantity, tuple[Term, ...]]:
    """The sum of what is disjoint and of one kind, and its terms; of estimates the bounds are added."""
    value = math.fsum(part.joules.energy_j for part in parts)
    grade = max((part.grade for part in parts), key=_GRADES.index)
    if parts[0].estimated:
        bounds = Bounds(
            low=math.fsum(part.joules.low_j for part in parts), high=math.fsum(part.joules.high_j for part in parts)
        )
        return Quantity(
            value=value,
            unit="J",
            absolute_95=bounds,
            n=1,
            grade=grade,
            estimated=True,
            interval_reason=_NO_REPEATABILITY,
        ), ()
    terms = of_sum([(part.joules.energy_j, _terms(part, checks)) for part in parts])
    return Quantity(
        value=value,
        unit="J",
        repeatability_95=repeatability(value, terms),
        absolute_95=absolute(value, terms),
        n=1,
        grade=grade,
    ), terms


def _terms(part: Part, checks: Iterable[Checked]) -> tuple[Term, ...]:
    """A part's own terms, and what it disagrees by with another meter of the same."""
    return (*part.terms, *(check.term for check in checks if check.part is part and not check.agrees))


def _why_no_total(readout: Readout, used: dict[str, Device]) -> str:
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
        unusable = [f"{verdict.source}: {verdict.reason}" for verdict in readout.verdicts if not verdict.usable]
        nobody = "none of the energy sources in use reads it (llem config shows them)"
        why = "; ".join(reasons) or "; ".join((nobody, *unusable))
        return f"no channel gave the whole energy of {', '.join(gone)}: {why}"
    if len({part.estimated for part in summed_over(used.values())}) > 1:
        return "estimated and metered energy are never added"
    return ""


def _domain(part: Part, in_headline: bool, checks: Sequence[Checked]) -> DomainEnergy:
    gross_j, _ = _sum([part], checks)
    return DomainEnergy(
        domain=part.channel.domain,
        device=part.channel.device,
        source=part.channel.source,
        method=part.joules.method,
        grade=part.grade,
        estimated=part.estimated,
        gross_j=gross_j,
        scope=_scope([part]),
        in_headline=in_headline,
    )


def _scope(parts: Iterable[Part]) -> str:
    domains = sorted({part.channel.domain for part in parts})
    if not domains:
        return "none"
    word = "estimated" if any(part.estimated for part in parts) else "metered"
    return f"{' + '.join(domains)}, {word}"


def _node(parts: Sequence[Part], checks: Sequence[Checked]) -> tuple[Quantity, tuple[str, ...]]:
    """All that was metered on the machine, whoever used it, of parts that are disjoint; a meter of the whole speaks for all."""
    metered = [part for part in parts if not part.estimated]
    for whole in ("node", "wall"):
        if found := [part for part in metered if part.channel.domain == whole]:
            return _sum(found, checks)[0], ()
    seen = {part.channel.domain for part in metered} | {domain for part in metered for domain in part.channel.covers}
    gone = (*(name for domain, name in _DOMAINS.items() if domain not in seen), _BEYOND)
    kinds = sorted({part.channel.domain for part in metered})
    if len(kinds) < 2:
        only = f"only {kinds[0]} is metered" if kinds else "nothing was metered"
        return missing("J", f"{only}: there is no sum of several domains"), gone
    return _sum(metered, checks)[0], gone
