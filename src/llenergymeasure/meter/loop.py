"""Read all channels, each at its pace, from the first idle to the last. Edges of windows are none of its business."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.schedule import TOGETHER_NS, Every, Task, repeat
from llenergymeasure.meter.tick_fit import FASTEST_NS
from llenergymeasure.meter.ticks import LOOK_NS, STEP_NS, TickTracker
from llenergymeasure.model.reading import Channel, ChannelKind, Reading
from llenergymeasure.units import NS_PER_S

# Channels that ask for no more than this may take long to answer, and get a thread of their own.
_SLOW_HZ = 1.0
# Ticks are followed of channels that ask for at least this: one that asks for less does not want to be asked a thousand times.
_FAST_HZ = 50.0
_THAT_TICK: tuple[ChannelKind, ...] = ("counter", "power_instant")


class Sink(Protocol):
    """Where readings go. ``append`` may be called from two threads."""

    def append(self, readings: Iterable[Reading]) -> None:
        """Take some readings."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Channels of one source that want the same rate; where ``step_ns`` is given, their ticks are followed with it."""

    source: EnergySource
    channels: tuple[Channel, ...]
    rate_hz: float
    step_ns: int | None = None


def batches_of(reads: Sequence[Reads], cap_hz: float | None = None) -> tuple[Batch, ...]:
    """The channels by source, wanted rate, ``cap_hz`` at most, and whether their ticks are followed; the fastest first."""
    found: dict[tuple[int, float, int | None], list[Channel]] = {}
    for place, read in enumerate(reads):
        for channel in read.channels:
            rate_hz = channel.rate_hz if cap_hz is None else min(channel.rate_hz, cap_hz)
            found.setdefault((place, rate_hz, _step_ns(channel, cap_hz)), []).append(channel)
    batches = [
        Batch(reads[place].source, tuple(channels), rate_hz, step_ns)
        for (place, rate_hz, step_ns), channels in found.items()
    ]
    return tuple(sorted(batches, key=lambda batch: -batch.rate_hz))


def _step_ns(channel: Channel, cap_hz: float | None) -> int | None:
    """How close to each other reads of a channel may be to find its ticks; ``None`` where they are not followed."""
    least_ns = 0 if cap_hz is None else round(NS_PER_S / cap_hz)
    too_fast = channel.update_period_s is not None and channel.update_period_s * NS_PER_S < FASTEST_NS
    if channel.kind not in _THAT_TICK or channel.rate_hz < _FAST_HZ or too_fast or least_ns > LOOK_NS:
        return None
    return max(STEP_NS, least_ns)


def read_once(batches: Iterable[Batch], sink: Sink) -> None:
    """One reading of every channel."""
    for batch in batches:
        sink.append(batch.source.read(batch.channels))


def read_until(
    stopped: Callable[[], bool],
    batches: Sequence[Batch],
    sink: Sink,
    clock: Clock,
    *,
    chores: Sequence[Task] = (),
    threads: bool = True,
) -> None:
    """Read until ``stopped()``, then every channel once more; ``chores`` are done in between.

    Slow channels and chores have a second thread, so that they delay no other channel; ``threads`` off does all in this one,
    for a clock that only one thread may turn.
    """
    apart = [batch for batch in batches if threads and batch.rate_hz <= _SLOW_HZ]
    rest = [_task(batch, sink, clock) for batch in batches if batch not in apart]
    beside = [*(_task(batch, sink, clock) for batch in apart), *chores]
    if threads and beside:
        _repeat_both(rest, beside, clock, stopped)
    else:
        repeat([*rest, *beside], clock, stopped)
    read_once(batches, sink)


class _Wakeable:
    """A clock for the thread beside: its sleep ends when the other thread has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ended = Event()

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def sleep(self, seconds: float) -> None:
        self.ended.wait(seconds)


def _repeat_both(tasks: Sequence[Task], beside: Sequence[Task], clock: Clock, stopped: Callable[[], bool]) -> None:
    """Two lists of tasks in two threads, until ``stopped()`` or one of them raises, which is raised here."""
    wakeable = _Wakeable(clock)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside") as pool:
        other = pool.submit(repeat, beside, wakeable, lambda: wakeable.ended.is_set() or stopped(), NS_PER_S)
        try:
            repeat(tasks, clock, lambda: stopped() or other.done())
        finally:
            wakeable.ended.set()
        other.result()


def _task(batch: Batch, sink: Sink, clock: Clock) -> Task:
    period_ns = round(NS_PER_S / batch.rate_hz)
    if batch.step_ns is None:
        return Task(partial(read_once, (batch,), sink), Every(period_ns))
    ticking = _Ticking(batch, batch.step_ns, period_ns, sink, clock)
    return Task(ticking.read, ticking)


class _Ticking:
    """Channels whose ticks are followed: those that are due together are read together."""

    slack_ns = TOGETHER_NS

    def __init__(self, batch: Batch, step_ns: int, plain_ns: int, sink: Sink, clock: Clock) -> None:
        self._source = batch.source
        self._trackers = [(channel, TickTracker(plain_ns, step_ns)) for channel in batch.channels]
        self._sink = sink
        self._clock = clock

    def read(self) -> None:
        now_ns = self._clock.now_ns() + self.slack_ns
        due = [(channel, tracker) for channel, tracker in self._trackers if tracker.due_ns <= now_ns]
        readings = self._source.read([channel for channel, _ in due])
        self._sink.append(readings)
        for (_, tracker), reading in zip(due, readings, strict=True):
            tracker.saw(reading)

    def after(self, now_ns: int) -> int:
        return min(tracker.due_ns for _, tracker in self._trackers)
