"""True power over time as a piecewise function whose integral is known in closed form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llenergymeasure.units import NS_PER_S, ns_to_s, s_to_ns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoadPhase:
    """What a phase of work draws: ``power_w`` on average, ``swing_w`` more and then less in the halves of each step."""

    length_s: float
    power_w: float
    swing_w: float = 0.0
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Thermal:
    """Heat and what it costs: the rise over ambient is a sum of parts, each (K/W, time constant in s); leakage follows it."""

    parts: tuple[tuple[float, float], ...] = ()
    leakage_w_per_k: float = 0.0
    ambient_c: float = 28.0


@dataclass(frozen=True, slots=True)
class Piece:
    """From ``begin_ns`` until the next piece: ``high_w``, then ``low_w``, for half of ``step_ns`` each, over and over.

    Steps are counted from ``origin_ns``.
    """

    begin_ns: int
    origin_ns: int
    step_ns: int
    high_w: float
    low_w: float


class Workload:
    """Power of one board for all time: before the first piece it is as at its begin and the board is as warm as it gets."""

    def __init__(self, pieces: Iterable[Piece], thermal: Thermal | None = None) -> None:
        self.pieces = tuple(pieces)
        self.thermal = thermal or Thermal()
        self._begin_ns = np.array([piece.begin_ns for piece in self.pieces], dtype=np.int64)
        self._origin_ns = np.array([piece.origin_ns for piece in self.pieces], dtype=np.int64)
        self._step_ns = np.array([max(piece.step_ns, 1) for piece in self.pieces], dtype=np.int64)
        self._mean_w = np.array([(piece.high_w + piece.low_w) / 2 for piece in self.pieces])
        self._swing_w = np.array([(piece.high_w - piece.low_w) / 2 for piece in self.pieces])
        self._rises_k = self._rises()
        self._energy_j = np.zeros(len(self.pieces))
        for place in range(1, len(self.pieces)):
            begin = self._begin_ns[place : place + 1]
            self._energy_j[place] = self._energy(np.array([place - 1]), begin)[0]

    @classmethod
    def of(cls, begin_ns: int, phases: Iterable[LoadPhase], thermal: Thermal | None = None) -> Workload:
        """Phases one after the other from ``begin_ns``; the last goes on for ever."""
        pieces, at_ns = [], begin_ns
        for phase in phases:
            high_w, low_w = phase.power_w + phase.swing_w, phase.power_w - phase.swing_w
            pieces.append(Piece(at_ns, at_ns, s_to_ns(phase.step_s), high_w, low_w))
            at_ns += s_to_ns(phase.length_s)
        return cls(pieces, thermal)

    def plus(self, begin_ns: int, end_ns: int, watts: float) -> Workload:
        """The same with ``watts`` more between two instants: other work on the board."""
        return self._changed(begin_ns, end_ns, lambda level_w: level_w + watts)

    def capped(self, begin_ns: int, end_ns: int, cap_w: float) -> Workload:
        """The same, but no more than ``cap_w`` (leakage apart) between two instants."""
        return self._changed(begin_ns, end_ns, lambda level_w: min(level_w, cap_w))

    def truth_j(self, begin_ns: int, end_ns: int) -> float:
        """The true energy between two instants."""
        begin_j, end_j = self.energy_j(np.array([begin_ns, end_ns]))
        return float(end_j - begin_j)

    def energy_j(self, t_ns: Ints) -> Floats:
        """The integral of power from the begin of the first piece to each instant (negative before it)."""
        return self._energy(self._place(t_ns), t_ns)

    def power_w(self, t_ns: Ints) -> Floats:
        """Power at each instant."""
        place = self._place(t_ns)
        early = 2 * ((t_ns - self._origin_ns[place]) % self._step_ns[place]) < self._step_ns[place]
        leakage_w = self.thermal.leakage_w_per_k * self._rise_k(place, t_ns)
        swing_w = np.where(early, self._swing_w[place], -self._swing_w[place])
        return np.asarray(self._mean_w[place] + swing_w + leakage_w, dtype=np.float64)

    def temperature_c(self, t_ns: Ints) -> Floats:
        """Temperature of the die at each instant."""
        return self.thermal.ambient_c + self._rise_k(self._place(t_ns), t_ns)

    def _changed(self, begin_ns: int, end_ns: int, level: Callable[[float], float]) -> Workload:
        def change(piece: Piece) -> Piece:
            if not begin_ns <= piece.begin_ns < end_ns:
                return piece
            return dataclasses.replace(piece, high_w=level(piece.high_w), low_w=level(piece.low_w))

        return Workload((change(piece) for piece in self._split(begin_ns, end_ns)), self.thermal)

    def _split(self, *edges_ns: int) -> list[Piece]:
        """The pieces, cut at the edges."""
        pieces = list(self.pieces)
        for edge_ns in edges_ns:
            within = [piece for piece in pieces if piece.begin_ns < edge_ns]
            if within and all(piece.begin_ns != edge_ns for piece in pieces):
                pieces.insert(len(within), dataclasses.replace(within[-1], begin_ns=edge_ns))
        return pieces

    def _rises(self) -> Floats:
        """Of each thermal part, the rise at the begin of each piece: what the mean power has made of it."""
        rises = np.zeros((len(self.thermal.parts), len(self.pieces)))
        for part, (k_per_w, tau_s) in enumerate(self.thermal.parts):
            rises[part, 0] = k_per_w * self._mean_w[0]
            for place in range(1, len(self.pieces)):
                end = k_per_w * self._mean_w[place - 1]
                length_s = ns_to_s(int(self._begin_ns[place] - self._begin_ns[place - 1]))
                rises[part, place] = end + (rises[part, place - 1] - end) * np.exp(-length_s / tau_s)
        return rises

    def _place(self, t_ns: Ints) -> Ints:
        return np.maximum(np.searchsorted(self._begin_ns, t_ns, side="right") - 1, 0)

    def _since_s(self, place: Ints, t_ns: Ints) -> Floats:
        return np.asarray((t_ns - self._begin_ns[place]) / NS_PER_S, dtype=np.float64)

    def _rise_k(self, place: Ints, t_ns: Ints) -> Floats:
        since_s = self._since_s(place, t_ns)
        rise_k = np.zeros(len(t_ns))
        for (k_per_w, tau_s), at_begin in zip(self.thermal.parts, self._rises_k, strict=True):
            end = k_per_w * self._mean_w[place]
            rise_k += end + (at_begin[place] - end) * np.exp(-np.maximum(since_s, 0) / tau_s)
        return rise_k

    def _energy(self, place: Ints, t_ns: Ints) -> Floats:
        since_s = self._since_s(place, t_ns)
        step_j = self._swing_w[place] * (self._step_s(place, t_ns) - self._step_s(place, self._begin_ns[place]))
        energy_j = self._energy_j[place] + self._mean_w[place] * since_s + step_j
        for (k_per_w, tau_s), at_begin in zip(self.thermal.parts, self._rises_k, strict=True):
            end = k_per_w * self._mean_w[place]
            decay_s = tau_s * -np.expm1(-np.maximum(since_s, 0) / tau_s)
            energy_j += self.thermal.leakage_w_per_k * (end * since_s + (at_begin[place] - end) * decay_s)
        return np.asarray(energy_j, dtype=np.float64)

    def _step_s(self, place: Ints, t_ns: Ints) -> Floats:
        """The integral of a step's +1, then −1: it rises over the first half and falls back over the second."""
        within_ns = (t_ns - self._origin_ns[place]) % self._step_ns[place]
        return np.asarray(np.minimum(within_ns, self._step_ns[place] - within_ns) / NS_PER_S, dtype=np.float64)
