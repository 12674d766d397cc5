"""What a board's sensor makes of its true power: values that appear now and then, late, and from part of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llenergymeasure.testing.virtual_gpu.workload import Floats, Ints, Workload
from llenergymeasure.units import NS_PER_S, s_to_ns


@dataclass(frozen=True, slots=True)
class Published:
    """Values in thousandths of their unit (mW, mJ, as NVML gives them) and the instants from which they stand."""

    t_ns: Ints
    milli: Ints

    def at(self, t_ns: Ints) -> Ints:
        """The value that stands at each instant. Raises ``ValueError`` for an instant that was not played."""
        place = self.place(t_ns)
        return self.milli[place]

    def place(self, t_ns: Ints) -> Ints:
        """Which value stands at each instant."""
        if len(t_ns) and (t_ns.min() < self.t_ns[0] or t_ns.max() > self.t_ns[-1]):
            raise ValueError("the virtual board was not played for this time: give it a longer horizon")
        return np.searchsorted(self.t_ns, t_ns, side="right") - 1


@dataclass(frozen=True, slots=True)
class Sensor:
    """Once a tick, the mean of the ``window_s`` that ended ``lag_s`` before: a window shorter than a tick misses the rest.

    A reading is gain·power + offset + noise, in whole quanta. ``tick_s`` has a random ``jitter_s`` (standard deviation, no
    drift), ``phase_s`` moves all ticks, ``quantum`` is in mW, of a counter in mJ.
    """

    tick_s: float
    window_s: float
    jitter_s: float = 0.001
    lag_s: float = 0.0
    gain: float = 1.0
    offset_w: float = 0.0
    noise_w: float = 0.5
    quantum: int = 1
    phase_s: float = 0.0
    seed: int = 0

    @property
    def duty(self) -> float:
        """The share of time at which it looks."""
        return min(1.0, self.window_s / self.tick_s)

    def power(self, truth: Workload, begin_ns: int, end_ns: int) -> Published:
        """Power as published between two instants."""
        tick_ns, noise_w = self._ticks(begin_ns, end_ns)
        return Published(tick_ns, self._quanta(self.gain * self._seen_w(truth, tick_ns) + self.offset_w + noise_w))

    def counter(self, truth: Workload, begin_ns: int, end_ns: int, before_j: float = 5000.0) -> Published:
        """Energy as counted between two instants, from ``before_j`` on.

        It adds up what the sensor sees: the true integral at full duty, else each window's mean times the tick.
        """
        tick_ns, noise_w = self._ticks(begin_ns, end_ns)
        lengths_s = np.diff(tick_ns) / NS_PER_S
        if self.duty == 1.0:
            true_j = np.diff(truth.energy_j(tick_ns - s_to_ns(self.lag_s)))
        else:
            true_j = self._seen_w(truth, tick_ns)[1:] * lengths_s
        added_j = self.gain * true_j + (self.offset_w + noise_w[1:]) * lengths_s
        return Published(tick_ns, self._quanta(before_j + np.concatenate(([0.0], np.cumsum(added_j)))))

    def _ticks(self, begin_ns: int, end_ns: int) -> tuple[Ints, Floats]:
        """The ticks from the last before ``begin_ns`` to the first after ``end_ns``, and the noise of each."""
        count = int((end_ns - begin_ns) / NS_PER_S / self.tick_s) + 4
        # Drawn tick by tick, so that a longer horizon changes nothing before it.
        chance = np.random.default_rng(self.seed).standard_normal((count, 2))
        # At most a third of a tick either way: ticks stay in their order.
        jitter_s = np.clip(self.jitter_s * chance[:, 0], -self.tick_s / 3, self.tick_s / 3)
        ticks_s = (np.arange(count) - 2) * self.tick_s + self.phase_s % self.tick_s + jitter_s
        return begin_ns + np.round(ticks_s * NS_PER_S).astype(np.int64), self.noise_w * chance[:, 1]

    def _seen_w(self, truth: Workload, tick_ns: Ints) -> Floats:
        until_ns = tick_ns - s_to_ns(self.lag_s)
        return (truth.energy_j(until_ns) - truth.energy_j(until_ns - s_to_ns(self.window_s))) / self.window_s

    def _quanta(self, value: Floats) -> Ints:
        return np.round(value * 1000 / self.quantum).astype(np.int64) * self.quantum


@dataclass(frozen=True, slots=True)
class Sensors:
    """A board's energy counter, instant power (field 186) and PowerUsage; ``None`` for what the board does not have."""

    counter: Sensor | None
    instant: Sensor | None
    usage: Sensor | None
