"""Two meters of one board against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.energy.devices import Part, calibrated, energy_channels
from llenergymeasure.analyse.energy.series import Joules, series_of
from llenergymeasure.analyse.energy.uncertainty import Term, half_width
from llenergymeasure.analyse.energy.window import energy_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Readout
from llenergymeasure.schema.energy import CrossCheck

# Meters of one board that differ by more than this disagree; over shorter windows their edges may be the reason.
_MOST_APART = 0.02
_LEAST_S = 10.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A part beside what another channel of the same domain of the same device gave.

    Both are as they were read, or as calibrated where both are. ``explained`` is the relative difference that their uncertainty
    makes in one window in twenty, that of gains that were not calibrated left out.
    """

    part: Part
    other: Channel
    part_j: float
    other_j: float
    explained: float

    @property
    def ratio(self) -> float:
        """The part over the other."""
        return self.part_j / self.other_j

    @property
    def agrees(self) -> bool:
        """Whether they are within 2 % of each other, or no farther apart than they may be by what is known of both."""
        return abs(self.ratio - 1) <= max(_MOST_APART, self.explained)

    @property
    def term(self) -> Term:
        """What their difference adds to the part's uncertainty: rectangular, as wide as to the other's value."""
        return Term("u_source", abs(self.other_j / self.part_j - 1) / math.sqrt(3))

    @property
    def evidence(self) -> str:
        """``GPU-1 gpu: counter of nvml 1000 J, power_instant of nvml 950 J (ratio 1.05)``."""
        of = self.part.channel
        mine, others = f"{of.kind} of {of.source}", f"{self.other.kind} of {self.other.source}"
        return f"{of.device} {of.domain}: {mine} {self.part_j:.4g} J, {others} {self.other_j:.4g} J (ratio {self.ratio:.3f})"

    @property
    def record(self) -> CrossCheck:
        """For the result."""
        return CrossCheck(
            device=self.part.channel.device,
            domain=self.part.channel.domain,
            source=self.part.channel.source,
            kind=self.part.channel.kind,
            energy_j=self.part_j,
            other_source=self.other.source,
            other_kind=self.other.kind,
            other_energy_j=self.other_j,
            ratio=self.ratio,
            agrees=self.agrees,
        )


def cross_checks(
    readout: Readout, parts: Sequence[Part], window: Interval, step_s: float | None = None
) -> tuple[Checked, ...]:
    """Each metered part against the next best meter of its domain that answers; none for windows below 10 s."""
    if window.duration_s < _LEAST_S:
        return ()
    found = (_checked(readout, part, window, step_s) for part in parts if not part.estimated)
    return tuple(check for check in found if check is not None)


def _checked(readout: Readout, part: Part, window: Interval, step_s: float | None) -> Checked | None:
    of = part.channel
    for other in energy_channels(readout):
        same = (other.device, other.domain) == (of.device, of.domain)
        if not same or other.id == of.id or other.kind == "model":
            continue
        joules = energy_of(other, series_of(readout.readings, other.id), window, step_s)
        if isinstance(joules, Joules):
            return _beside(part, Part(other, joules))
    return None


def _beside(part: Part, other: Part) -> Checked:
    mine, theirs = part.channel.calibration, other.channel.calibration
    if mine is not None and theirs is not None:
        explained = half_width((*part.terms, *Part(other.channel, calibrated(other.channel, other.joules)).terms))
        return Checked(part, other.channel, part.joules.energy_j, other.joules.energy_j / theirs.gain, explained)
    gain = 1.0 if mine is None else mine.gain
    explained = half_width(term for term in (*part.terms, *other.terms) if not term.shared)
    return Checked(part, other.channel, part.joules.energy_j * gain, other.joules.energy_j, explained)
