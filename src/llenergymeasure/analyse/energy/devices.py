"""Which channel speaks for which domain of which device, and why others gave nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from llenergymeasure.analyse.energy.series import Joules, NoEnergy, series_of
from llenergymeasure.analyse.energy.uncertainty import SHARED, Term, absolute
from llenergymeasure.analyse.energy.window import energy_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Readout
from llenergymeasure.schema.quantity import Grade

# Domains of which a machine has one, however many GPUs it has.
_OF_THE_HOST = {"package", "dram"}
# Domains that hold all devices of a machine.
_WHOLE = ("node", "wall")


@dataclass(frozen=True, slots=True)
class Part:
    """What one channel gave, its calibration applied."""

    channel: Channel
    joules: Joules

    @property
    def estimated(self) -> bool:
        """Whether a model made it."""
        return self.channel.kind == "model"

    @property
    def grade(self) -> Grade:
        """A for a calibrated channel, B+ for a counter that passed its characterisation, C for a model."""
        if self.estimated:
            return "C"
        if self.channel.calibration is not None:
            return "A"
        passed = self.channel.profile is not None and self.channel.profile.passed
        return "B+" if passed and self.channel.kind == "counter" else "B"

    @property
    def terms(self) -> tuple[Term, ...]:
        """Its uncertainty; none of a model, which has bounds."""
        return tuple(Term(name, relative) for name, relative in self.joules.terms)


@dataclass(slots=True)
class Device:
    """One device: the best answer for each of its domains, and why others gave none."""

    parts: list[Part] = field(default_factory=list)
    refusals: list[tuple[Channel, NoEnergy]] = field(default_factory=list)

    @property
    def summed(self) -> list[Part]:
        """The parts that no other part covers: their domains are disjoint."""
        return disjoint(self.parts)

    @property
    def unanswered(self) -> list[NoEnergy]:
        """The refusals of domains that nothing else speaks for: with one of them, a sum would quietly be smaller."""
        known = {part.channel.domain for part in self.parts} | covered(self.parts)
        return [refusal for channel, refusal in self.refusals if channel.domain not in known]


def covered(parts: Iterable[Part]) -> set[str]:
    """The domains that are part of others' joules."""
    return {domain for part in parts for domain in part.channel.covers}


def disjoint(parts: Sequence[Part]) -> list[Part]:
    """The parts whose domain no other part covers."""
    hidden = covered(parts)
    return [part for part in parts if part.channel.domain not in hidden]


def summed_over(devices: Iterable[Device]) -> list[Part]:
    """The parts of all devices whose joules are in no other part.

    The processor and the memory of a module are in its joules, whatever device they are called; another GPU's are not. What a
    meter of the whole machine covers is in its joules, of every device.
    """
    parts = [part for device in devices for part in device.summed]
    whole = [part for part in parts if part.channel.domain in _WHOLE]
    hidden = covered(parts) & _OF_THE_HOST | covered(whole)
    return [part for part in parts if part.channel.domain not in hidden]


def devices_of(readout: Readout, window: Interval, step_s: float | None = None) -> dict[str, Device]:
    """Every device that has an energy channel; for each of its domains the first channel, best kind first, that answers."""
    devices: dict[str, Device] = {}
    for channel in energy_channels(readout):
        device = devices.setdefault(channel.device, Device())
        if any(part.channel.domain == channel.domain for part in device.parts):
            continue
        found = energy_of(channel, series_of(readout.readings, channel.id), window, step_s)
        if isinstance(found, Joules):
            device.parts.append(Part(channel, calibrated(channel, found)))
        else:
            device.refusals.append((channel, found))
    return devices


def energy_channels(readout: Readout) -> list[Channel]:
    """The channels that energy is computed from, the best kind first."""
    channels = [channel for channel in readout.channels if channel.kind in ENERGY_KINDS]
    return sorted(channels, key=lambda channel: ENERGY_KINDS.index(channel.kind))


def calibrated(channel: Channel, found: Joules) -> Joules:
    """Energy as a reference meter would show it, with the uncertainty of that comparison for the sensor's own."""
    known = channel.calibration
    if known is None:
        return found
    terms = (("u_gain", known.u_gain), *(term for term in found.terms if term[0] not in SHARED))
    energy_j = found.energy_j / known.gain
    bounds = absolute(energy_j, (Term(name, relative) for name, relative in terms))
    return dataclasses.replace(found, energy_j=energy_j, low_j=bounds.low, high_j=bounds.high, terms=terms)
