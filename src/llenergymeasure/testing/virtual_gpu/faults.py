"""What goes wrong with boards and their drivers. Each fault changes the work, the counter, or what calls answer."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pynvml

from llenergymeasure.testing.virtual_gpu.workload import Ints, Workload

COUNTER, USAGE, INSTANT = "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage", "NVML_FI_DEV_POWER_INSTANT"


class Fault:
    """One that does nothing: faults override what they spoil. ``function`` is the name of the call, or of the field."""

    def work(self, truth: Workload) -> Workload:
        """What the board really draws."""
        return truth

    def counter(self, t_ns: Ints, milli: Ints) -> Ints:
        """What the counter shows from each instant."""
        return milli

    def error(self, function: str, now_ns: int) -> int:
        """The code that a call returns."""
        return int(pynvml.NVML_SUCCESS)

    def value(self, function: str, now_ns: int, milli: int) -> int:
        """The value that a call which succeeds returns."""
        return milli

    def shown_ns(self, function: str, now_ns: int) -> int:
        """The instant whose value a call shows."""
        return now_ns

    def delay_s(self, function: str, now_ns: int) -> float:
        """How much longer a call takes."""
        return 0.0

    def throttled_ns(self, policy: int, now_ns: int) -> int:
        """Time until now during which ``policy`` (``NVML_PERF_POLICY_…``) held the clocks down."""
        return 0

    def reasons(self, now_ns: int) -> int:
        """Bits of the reasons for which clocks are held down now."""
        return 0

    def foreign(self, now_ns: int) -> bool:
        """Whether a process of others is on the board now."""
        return False


@dataclass(frozen=True, slots=True)
class CounterReset(Fault):
    """The driver is reloaded: the counter begins again at 0."""

    at_ns: int

    def counter(self, t_ns: Ints, milli: Ints) -> Ints:
        after = t_ns >= self.at_ns
        return np.where(after, milli - milli[np.argmax(after)], milli) if after.any() else milli


@dataclass(frozen=True, slots=True)
class CounterFalls(Fault):
    """The counter goes back by ``by_j`` and counts on."""

    at_ns: int
    by_j: float = 500.0

    def counter(self, t_ns: Ints, milli: Ints) -> Ints:
        return np.where(t_ns >= self.at_ns, milli - round(1000 * self.by_j), milli)


@dataclass(frozen=True, slots=True)
class CounterStuck(Fault):
    """The counter stands still from an instant on."""

    at_ns: int

    def counter(self, t_ns: Ints, milli: Ints) -> Ints:
        after = t_ns >= self.at_ns
        return np.where(after, milli[np.argmax(after)], milli) if after.any() else milli


@dataclass(frozen=True, slots=True)
class Zeros(Fault):
    """Calls succeed and give 0."""

    function: str
    begin_ns: int
    end_ns: int

    def value(self, function: str, now_ns: int, milli: int) -> int:
        return 0 if function == self.function and self.begin_ns <= now_ns < self.end_ns else milli


@dataclass(frozen=True, slots=True)
class Stale(Fault):
    """Calls succeed and go on showing the value, and the field its timestamp, of the begin."""

    function: str
    begin_ns: int
    end_ns: int

    def shown_ns(self, function: str, now_ns: int) -> int:
        stands = function == self.function and self.begin_ns <= now_ns < self.end_ns
        return self.begin_ns if stands else now_ns


@dataclass(frozen=True, slots=True)
class Refused(Fault):
    """Calls return an error: that the board does not support them, unless told otherwise."""

    function: str
    begin_ns: int
    end_ns: int
    code: int = int(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def error(self, function: str, now_ns: int) -> int:
        hit = function == self.function and self.begin_ns <= now_ns < self.end_ns
        return self.code if hit else int(pynvml.NVML_SUCCESS)


@dataclass(frozen=True, slots=True)
class CallSpikes(Fault):
    """A share of the calls takes 5 to 200 ms longer; which, follows from the instant alone."""

    share: float = 0.02
    seed: int = 0

    def delay_s(self, function: str, now_ns: int) -> float:
        chance = random.Random(now_ns ^ self.seed)
        return chance.uniform(0.005, 0.2) if chance.random() < self.share else 0.0


@dataclass(frozen=True, slots=True)
class ForeignProcess(Fault):
    """Somebody else works on the board."""

    begin_ns: int
    end_ns: int
    watts: float = 80.0

    def work(self, truth: Workload) -> Workload:
        return truth.plus(self.begin_ns, self.end_ns, self.watts)

    def foreign(self, now_ns: int) -> bool:
        return self.begin_ns <= now_ns < self.end_ns


@dataclass(frozen=True, slots=True)
class Capped(Fault):
    """Power is held at ``cap_w``: by a lower limit, or by heat (``NVML_PERF_POLICY_THERMAL``)."""

    begin_ns: int
    end_ns: int
    cap_w: float
    policy: int = int(pynvml.NVML_PERF_POLICY_POWER)

    def work(self, truth: Workload) -> Workload:
        return truth.capped(self.begin_ns, self.end_ns, self.cap_w)

    def throttled_ns(self, policy: int, now_ns: int) -> int:
        return max(0, min(now_ns, self.end_ns) - self.begin_ns) if policy == self.policy else 0

    def reasons(self, now_ns: int) -> int:
        by_heat = self.policy == pynvml.NVML_PERF_POLICY_THERMAL
        bit = pynvml.nvmlClocksEventReasonSwThermalSlowdown if by_heat else pynvml.nvmlClocksEventReasonSwPowerCap
        return int(bit) if self.begin_ns <= now_ns < self.end_ns else 0


@dataclass(frozen=True, slots=True)
class Disappears(Fault):
    """The board falls off the bus: every call about it fails, for ever or until it is back."""

    at_ns: int
    until_ns: int | None = None

    def error(self, function: str, now_ns: int) -> int:
        gone = now_ns >= self.at_ns and (self.until_ns is None or now_ns < self.until_ns)
        return int(pynvml.NVML_ERROR_GPU_IS_LOST if gone else pynvml.NVML_SUCCESS)


def after_all(faults: tuple[Fault, ...], truth: Workload) -> Workload:
    """What the board draws with all faults."""
    for fault in faults:
        truth = fault.work(truth)
    return truth
