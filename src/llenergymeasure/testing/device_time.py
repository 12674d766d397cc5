"""How long a device is busy until energy per token is known to ±2 %: our protocol beside a fixed one, on a virtual board.

Studies of four experiments are played on one virtual H100: its heat goes from trial to trial, its counter is read at the ticks,
and energy, steadiness and the number of cycles come from the functions that make results. Both ways end by the same rule
(Stein's, first stage 5 cycles); only what a trial is made of differs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.statistics import log_mean_interval
from llenergymeasure.analyse.study.stopping import cycles_needed
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Readings, Readout
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import Ints, LoadPhase, Workload
from llenergymeasure.trial.power_trend import trend_of
from llenergymeasure.units import ns_to_s, s_to_ns
from llenergymeasure.worker.steady import power_is_steady

TARGET = 0.02
_FIRST_STAGE, _MAX_CYCLES = 5, 20
# What one process differs from the next by, as a standard deviation: batches take so much longer or shorter.
_SPREAD = 0.015
_LOAD_S, _CLOSE_S, _QUIET_S, _WINDOW_S = 20.0, 2.0, 0.5, 10.0
_BATCHES_A_PASS = 3
_LEAST_BATCHES, _MOST_WARM_UP_S = 5, 120.0
_MOST_DRIFT = TARGET / 4
# Heat from longer ago is gone: ten times the slowest time constant.
_MEMORY_NS = s_to_ns(600.0)
_EDGE_S = 1.0

_UUID = "GPU-0"
_COUNTER = Channel(0, "nvml", "gpu", _UUID, "virtual", "counter", "J", 50.0, update_period_s=0.1, stated_error=0.05)
_HEAT = Channel(1, "nvml", "gpu", _UUID, "virtual", "temperature", "°C", 1.0)


@dataclass(frozen=True, slots=True)
class Way:
    """What a trial is made of. ``warm_up_batches`` of ``None``: until steady, as ours; waits are in seconds."""

    name: str
    warm_up_batches: int | None = None
    idle_s: float = 0.0
    wait_s: float = 0.0
    trial_gap_s: float = 0.0
    cycle_gap_s: float = 0.0


# The fixed one: 5 warm-up batches, 60 s of waiting after them, 60 s between trials, 300 s between cycles.
OURS = Way("ours", idle_s=5.0)
FIXED = Way("fixed", warm_up_batches=5, wait_s=60.0, trial_gap_s=60.0, cycle_gap_s=300.0)


@dataclass(frozen=True, slots=True)
class Work:
    """One experiment: the power at which it decodes, and what a batch takes and gives."""

    power_w: float
    batch_s: float
    tokens: int


WORKS = (Work(330.0, 1.2, 600), Work(420.0, 1.8, 2_400), Work(520.0, 2.4, 9_600), Work(650.0, 3.0, 24_000))


@dataclass(slots=True)
class Outcome:
    """One study: joules per token of each experiment by cycle, and seconds of the device by what they went into."""

    values: list[list[float]] = field(default_factory=lambda: [[] for _ in WORKS])
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def device_s(self) -> float:
        return math.fsum(self.seconds.values())


class _Board:
    """A virtual board that is put through one phase after the other."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.now_ns = s_to_ns(1000.0)
        self._begins: list[tuple[int, LoadPhase]] = [(self.now_ns, H100_SXM.idle(60.0, loaded=False))]
        self.now_ns += s_to_ns(60.0)
        self._sensor = H100_SXM.sensors(0.1, phase_s=generator.uniform(0, 0.1), seed=int(generator.integers(2**31)))
        self._generator = generator

    def spend(self, phase: LoadPhase) -> Interval:
        """Go through a phase; from when to when it went."""
        begin_ns, self.now_ns = self.now_ns, self.now_ns + s_to_ns(phase.length_s)
        self._begins = [one for one in self._begins if one[0] > begin_ns - _MEMORY_NS]
        self._begins.append((begin_ns, phase))
        return Interval(begin_ns, self.now_ns)

    def work(self) -> Workload:
        return Workload.of(self._begins[0][0], [phase for _, phase in self._begins], H100_SXM.thermal)

    def readout(self, begin_ns: int, end_ns: int) -> Readout:
        """What a meter that follows the ticks reads: the counter within a millisecond of both sides of each, heat each second."""
        assert self._sensor.counter is not None
        truth = self.work()
        counted = self._sensor.counter.counter(truth, begin_ns, end_ns + s_to_ns(_EDGE_S))
        near_ns = self._generator.integers(1, s_to_ns(0.001), (2, len(counted.t_ns) - 2))
        ticks_ns = counted.t_ns[1:-1]
        t_ns = np.sort(np.concatenate((ticks_ns - near_ns[0], ticks_ns + near_ns[1])))
        heat_ns = np.arange(begin_ns, end_ns + 1, s_to_ns(1.0))
        readings = _readings(0, t_ns, counted.at(t_ns) / 1000)
        readings.extend(_readings(1, heat_ns, np.round(truth.temperature_c(heat_ns))))
        return Readout((_COUNTER, _HEAT), (), readings, (_UUID,))


def _readings(channel: int, t_ns: Ints, value: np.ndarray) -> Readings:
    zeros = np.zeros(len(t_ns), dtype=np.int64)
    return Readings(
        array("q", t_ns.tobytes()),
        array("q", zeros.tobytes()),
        array("q", (zeros + channel).tobytes()),
        array("d", np.asarray(value, dtype=np.float64).tobytes()),
        array("q", zeros.tobytes()),
    )


def study(way: Way, seed: int) -> Outcome:
    """One study from its first trial until every experiment has the cycles that it needs."""
    generator = np.random.default_rng(seed)
    board, outcome = _Board(generator), Outcome()
    needed = [_FIRST_STAGE] * len(WORKS)
    for cycle in range(_MAX_CYCLES):
        if cycle == _FIRST_STAGE:
            needed = [cycles_needed(values, TARGET, _MAX_CYCLES) for values in outcome.values]
        due = [place for place in generator.permutation(len(WORKS)) if needed[place] > cycle]
        if not due:
            break
        if cycle:
            _spend(board, outcome, "waits", H100_SXM.idle(way.cycle_gap_s, loaded=False))
        for place in due:
            outcome.values[place].append(_trial(way, WORKS[place], board, outcome, generator))
    return outcome


def _spend(board: _Board, outcome: Outcome, what: str, phase: LoadPhase) -> Interval:
    outcome.seconds[what] = outcome.seconds.get(what, 0.0) + phase.length_s
    return board.spend(phase)


def _trial(way: Way, work: Work, board: _Board, outcome: Outcome, generator: np.random.Generator) -> float:
    """Joules per token of one trial."""
    batch_s = work.batch_s * math.exp(generator.normal(0, _SPREAD))
    batch = LoadPhase(batch_s, work.power_w, 0.2 * work.power_w, 0.03)
    _spend(board, outcome, "waits", H100_SXM.idle(way.trial_gap_s, loaded=False))
    _spend(board, outcome, "load", LoadPhase(_LOAD_S, 1.3 * H100_SXM.loaded_w))
    _spend(board, outcome, "idle power", H100_SXM.idle(way.idle_s))
    began_ns, batches = board.now_ns, 0
    while not _warm(way, board, began_ns, batches):
        _spend(board, outcome, "warm-up", batch)
        batches += 1
    _spend(board, outcome, "waits", H100_SXM.idle(way.wait_s))
    passes = math.ceil(_WINDOW_S / (_BATCHES_A_PASS * batch_s))
    measured = _BATCHES_A_PASS * passes
    window = _spend(board, outcome, "window", LoadPhase(measured * batch_s, batch.power_w, batch.swing_w, batch.step_s))
    _spend(board, outcome, "idle power", H100_SXM.idle(_QUIET_S))
    _spend(board, outcome, "load", H100_SXM.idle(_CLOSE_S))
    readout = board.readout(window.begin_ns - s_to_ns(_EDGE_S), window.end_ns + s_to_ns(_EDGE_S))
    total_j = energy_of_window(readout, window).total_j.value
    assert total_j is not None, "a tracked counter has an energy for 10 s"
    return total_j / (measured * work.tokens)


def _warm(way: Way, board: _Board, began_ns: int, batches: int) -> bool:
    if way.warm_up_batches is not None:
        return batches >= way.warm_up_batches
    spent_s = ns_to_s(board.now_ns - began_ns)
    if batches < _LEAST_BATCHES or spent_s < 10.0:
        return False
    trend = trend_of(board.readout(board.now_ns - s_to_ns(11.5), board.now_ns), board.now_ns - s_to_ns(_QUIET_S))
    return power_is_steady(trend, _MOST_DRIFT, _WINDOW_S) or spent_s >= _MOST_WARM_UP_S


@dataclass(frozen=True, slots=True)
class Compared:
    """Many studies one way: mean seconds of the device, by use, mean cycles of an experiment, and how often ±2 % was right.

    ``covered`` is the share of intervals that hold the mean of all cycles of that experiment in that way; ``narrow`` the share
    that is as narrow as was asked for.
    """

    way: Way
    device_s: list[float]
    seconds: dict[str, float]
    cycles: float
    covered: float
    narrow: float


def compare(way: Way, studies: int, seed: int = 0) -> Compared:
    """So many studies, the same seeds whatever the way."""
    outcomes = [study(way, seed + number) for number in range(studies)]
    truths = [
        math.fsum(math.log(value) for outcome in outcomes for value in outcome.values[place])
        / sum(len(outcome.values[place]) for outcome in outcomes)
        for place in range(len(WORKS))
    ]
    intervals = list(_intervals(outcomes))
    uses = dict.fromkeys(use for outcome in outcomes for use in outcome.seconds)
    return Compared(
        way=way,
        device_s=[outcome.device_s for outcome in outcomes],
        seconds={use: math.fsum(outcome.seconds.get(use, 0.0) for outcome in outcomes) / studies for use in uses},
        cycles=float(np.mean([len(values) for outcome in outcomes for values in outcome.values])),
        covered=float(np.mean([low <= truths[place] <= high for place, low, high in intervals])),
        narrow=float(np.mean([(high - low) / 2 <= math.log1p(TARGET) * 1.0001 for _, low, high in intervals])),
    )


def _intervals(outcomes: Sequence[Outcome]) -> Iterator[tuple[int, float, float]]:
    """(experiment, low, high) of the logarithm, one for each experiment of each study."""
    for outcome in outcomes:
        for place, values in enumerate(outcome.values):
            found = log_mean_interval(values, _FIRST_STAGE if len(values) > _FIRST_STAGE else None)[1]
            assert found is not None
            yield place, math.log(found.low), math.log(found.high)
