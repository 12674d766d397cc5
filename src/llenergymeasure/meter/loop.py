"""Read all channels, each at its pace, from the first idle to the last. Edges of windows are none of its business."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.schedule import Every, Task, repeat
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.units import NS_PER_S

# Channels that ask for no more than this may take long to answer, and get a thread of their own.
_SLOW_HZ = 1.0


class Sink(Protocol):
    """Where readings go. ``append`` may be called from two threads."""

    def append(self, readings: Iterable[Reading]) -> None:
        """Take some readings."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Channels of one source that are read together."""

    source: EnergySource
    channels: tuple[Channel, ...]
    rate_hz: float


def batches_of(reads: Sequence[Reads], cap_hz: float | None = None) -> tuple[Batch, ...]:
    """The channels by source and wanted rate, ``cap_hz`` at most; the fastest first."""
    found: dict[tuple[int, float], list[Channel]] = {}
    for place, read in enumerate(reads):
        for channel in read.channels:
            rate_hz = channel.rate_hz if cap_hz is None else min(channel.rate_hz, cap_hz)
            found.setdefault((place, rate_hz), []).append(channel)
    batches = [Batch(reads[place].source, tuple(channels), rate_hz) for (place, rate_hz), channels in found.items()]
    return tuple(sorted(batches, key=lambda batch: -batch.rate_hz))


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

    Slow channels are read by a second thread, so that they delay no other; ``threads`` off reads all in this one, for a
    clock that only one thread may turn.
    """
    apart = [batch for batch in batches if threads and batch.rate_hz <= _SLOW_HZ]
    rest = [batch for batch in batches if batch not in apart]
    ended = False
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="slow-channels") as pool:
        beside = pool.submit(repeat, _tasks(apart, sink, clock), clock, lambda: ended or stopped()) if apart else None
        try:
            repeat(
                [*_tasks(rest, sink, clock), *chores],
                clock,
                lambda: stopped() or (beside is not None and beside.done()),
            )
        finally:
            ended = True
        if beside is not None:
            beside.result()
    read_once(batches, sink)


def _tasks(batches: Iterable[Batch], sink: Sink, clock: Clock) -> list[Task]:
    now_ns = clock.now_ns()
    return [
        Task(partial(read_once, (batch,), sink), Every(round(NS_PER_S / batch.rate_hz), now_ns)) for batch in batches
    ]
