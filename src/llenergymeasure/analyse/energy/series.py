"""The good readings of one channel, and what a sum of them may be called."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Readings, Status
from llenergymeasure.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Series:
    """The good readings of one channel in order of time: when each read returned, how long it took, and its value."""

    t_ns: Ints
    value: Floats
    failed: int
    call_ns: Ints


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy of one channel over an interval.

    ``energy_j`` lies in [``low_j``, ``high_j``]: for a meter the 95 % interval of everything, for a model its bounds.
    ``terms`` are relative standard uncertainties by name (``u_gain``, ``u_edge``, ``u_alias``, ``u_res``); a model has none.
    ``in_pace``: steps of the work keep pace with the ticks of a sensor of which nobody knows how long it looks; no term has that.
    """

    energy_j: float
    low_j: float
    high_j: float
    method: str
    terms: tuple[tuple[str, float], ...] = ()
    largest_gap_s: float = 0.0
    in_pace: bool = False


@dataclass(frozen=True, slots=True)
class NoEnergy:
    """Why a channel gives no energy; ``reset`` when its counter fell."""

    reason: str
    reset: bool = False


def series_of(readings: Readings, channel: int) -> Series:
    """The readings of one channel."""
    mask = _ints(readings.channel) == channel
    good = _ints(readings.status)[mask] == int(Status.OK)
    value = np.frombuffer(readings.value, dtype=np.float64) if len(readings) else np.zeros(0)
    t_ns, call_ns = _ints(readings.t_ns)[mask][good], _ints(readings.call_ns)[mask][good]
    return Series(t_ns, value[mask][good], int((~good).sum()), call_ns)


def gap_s(series: Series, over: Interval) -> float:
    """The longest time within ``over`` without a reading."""
    inside = series.t_ns[(series.t_ns > over.begin_ns) & (series.t_ns < over.end_ns)]
    return float(np.diff(np.concatenate(([over.begin_ns], inside, [over.end_ns]))).max()) / NS_PER_S


def median_s(t_ns: Ints) -> float:
    """The usual time between two instants."""
    return float(np.median(np.diff(t_ns))) / NS_PER_S


def _ints(column: array[int]) -> Ints:
    return np.frombuffer(column, dtype=np.int64) if len(column) else np.zeros(0, dtype=np.int64)
