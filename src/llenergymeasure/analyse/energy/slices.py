"""A window in slices: tick-edged pieces of it, whose spread says how well it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Ints, Joules, series_of
from llenergymeasure.analyse.energy.ticks import Ticks, ticks_of
from llenergymeasure.analyse.energy.window import count_of, energy_of
from llenergymeasure.analyse.statistics import MINIMUM_SLICES, neighbours_correlate
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Readout
from llenergymeasure.units import NS_PER_S

# A slice lasts at least this long; this long where no channel ticks; so many ticks, of ticks that are followed and of others.
_LEAST_S, _WITHOUT_TICKS_S = 0.5, 1.0
_TRACKED_TICKS, _OTHER_TICKS = 5, 20
# A tick is followed when it is known to this share of the time between two ticks.
_TRACKED = 0.2
# More slices than this say no more about the spread.
_MOST_SLICES = 60

TOO_SHORT = "window too short for a within-run interval"


@dataclass(frozen=True, slots=True)
class Slices:
    """Pieces in order of time: their edges (one more than pieces), and the joules and output tokens of each."""

    edges_ns: Ints
    energy_j: Floats
    tokens: Floats

    @property
    def seconds(self) -> Floats:
        """The length of each."""
        return np.asarray(np.diff(self.edges_ns) / NS_PER_S)


def slices_of(readout: Readout, channels: Sequence[Channel], window: Interval, token_ns: Ints) -> Slices | str:
    """The window in slices of the energy of ``channels``, edges at the ticks of the slowest; or why there are none.

    ``token_ns`` are the stamps of all output tokens. Slices are made longer as long as neighbours depend on each other (work
    that wanders, or that repeats itself in batches) and ten are left.
    """
    ticks = [found for channel in channels if (found := _ticks(readout, channel, window)) is not None]
    edges_ns = _edges(max(ticks, key=lambda found: found.apart_s, default=None), window)
    if len(edges_ns) <= MINIMUM_SLICES:
        return TOO_SHORT
    energy_j = np.zeros(len(edges_ns) - 1)
    for channel in channels:
        joules = _energies(readout, channel, edges_ns)
        if joules is None:
            return f"{channel.source}: its readings do not give the energy of slices"
        energy_j += joules
    tokens = np.diff(np.searchsorted(np.sort(token_ns), edges_ns, side="right")).astype(np.float64)
    return _joined(Slices(edges_ns, energy_j, tokens))


def _ticks(readout: Readout, channel: Channel, window: Interval) -> Ticks | None:
    """The ticks of a channel within the window; ``None`` when it has too few to make slices of."""
    found = ticks_of(channel, series_of(readout.readings, channel.id))
    if found is None or channel.kind == "model":
        return None
    inside = (found.t_ns >= window.begin_ns) & (found.t_ns <= window.end_ns)
    if inside.sum() <= MINIMUM_SLICES:
        return None
    return replace(found, t_ns=found.t_ns[inside], width_s=found.width_s[inside], value=found.value[inside])


def _edges(ticks: Ticks | None, window: Interval) -> Ints:
    """As many slices of one length as there is room for, their edges moved to the nearest tick."""
    if ticks is None:
        count = min(int(window.duration_s / _WITHOUT_TICKS_S), _MOST_SLICES)
        return np.linspace(window.begin_ns, window.end_ns, count + 1).astype(np.int64)
    followed = float(np.median(ticks.width_s)) <= _TRACKED * ticks.apart_s
    least_s = max(_LEAST_S, (_TRACKED_TICKS if followed else _OTHER_TICKS) * ticks.apart_s)
    first_ns, last_ns = int(ticks.t_ns[0]), int(ticks.t_ns[-1])
    count = min(int((last_ns - first_ns) / NS_PER_S / least_s), _MOST_SLICES)
    wanted_ns = np.linspace(first_ns, last_ns, count + 1)
    later = np.clip(np.searchsorted(ticks.t_ns, wanted_ns), 1, len(ticks.t_ns) - 1)
    earlier_is_nearer = wanted_ns - ticks.t_ns[later - 1] < ticks.t_ns[later] - wanted_ns
    return np.unique(ticks.t_ns[np.where(earlier_is_nearer, later - 1, later)])


def _energies(readout: Readout, channel: Channel, edges_ns: Ints) -> Floats | None:
    """The channel's energy of each slice, from its ticks: between them joules rise evenly in steady work."""
    series = series_of(readout.readings, channel.id)
    ticks = count_of(channel, series)
    if ticks is not None:
        return np.asarray(np.diff(np.interp(edges_ns, ticks.t_ns, ticks.value)))
    found = [energy_of(channel, series, Interval(begin_ns, end_ns)) for begin_ns, end_ns in pairwise(edges_ns.tolist())]
    known = [one.energy_j for one in found if isinstance(one, Joules)]
    return np.array(known) if len(known) == len(found) else None


def _joined(slices: Slices) -> Slices:
    """Two by two, as long as the joules per token of neighbours depend on each other and at least ten are left."""
    while len(slices.energy_j) >= 2 * MINIMUM_SLICES and _depend(slices):
        even = len(slices.energy_j) // 2 * 2
        slices = Slices(
            slices.edges_ns[: even + 1 : 2],
            slices.energy_j[:even].reshape(-1, 2).sum(axis=1),
            slices.tokens[:even].reshape(-1, 2).sum(axis=1),
        )
    return slices


def _depend(slices: Slices) -> bool:
    tokens = slices.tokens if slices.tokens.any() else slices.seconds
    return neighbours_correlate(slices.energy_j, tokens)
