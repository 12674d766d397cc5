"""Reading channels at their rates until told to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import Unavailable
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.loop import batches_of, read_until
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.testing.simulated_source import GPU_TRUTH, SIMULATED_GPU, SimulatedSource
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import NS_PER_S


class Kept:
    """A sink that a test looks into."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []

    def append(self, readings: Iterable[Reading]) -> None:
        self.readings += readings

    def of(self, channel: Channel) -> list[Reading]:
        return [reading for reading in self.readings if reading.channel == channel.id]


def _simulated(clock: VirtualClock | MonotonicClock) -> Reads:
    source = SimulatedSource(clock)
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    return Reads(source, tuple(channels))


def test_each_channel_is_read_at_its_own_rate() -> None:
    """Over a minute a counter at 100 Hz and a temperature at 1 Hz give 6,000 and 60 readings, and the last ones."""
    clock, sink = VirtualClock(), Kept()
    read = _simulated(clock)
    end_ns = clock.now_ns() + 60 * NS_PER_S
    read_until(lambda: clock.now_ns() >= end_ns, batches_of([read]), sink, clock, threads=False)
    counted = {channel.kind: len(sink.of(channel)) for channel in read.channels if channel.device == SIMULATED_GPU}
    assert counted == {"counter": 6001, "power_instant": 6001, "temperature": 61}


def test_rates_can_be_capped() -> None:
    """``sampling_hz`` lowers what asks for more and raises nothing."""
    read = _simulated(VirtualClock())
    assert [batch.rate_hz for batch in batches_of([read], cap_hz=10.0)] == [10.0, 1.0]
    assert [batch.rate_hz for batch in batches_of([read], cap_hz=0.5)] == [0.5]


def test_every_channel_is_read_once_more_at_the_end() -> None:
    """What happened up to the wish to stop is in the counter's last reading."""
    clock, sink = VirtualClock(), Kept()
    read = _simulated(clock)
    end_ns = clock.now_ns() + NS_PER_S // 2
    read_until(lambda: clock.now_ns() >= end_ns, batches_of([read]), sink, clock, threads=False)
    last = sink.readings[-len(read.channels) :]
    assert sorted(reading.channel for reading in last) == [0, 1, 2, 3]
    assert all(reading.t_ns == clock.now_ns() for reading in last)


def test_the_readings_are_the_truth_of_their_time() -> None:
    """The counter's difference over ten seconds is the closed-form energy."""
    clock, sink = VirtualClock(), Kept()
    read = _simulated(clock)
    begin_ns = clock.now_ns()
    read_until(lambda: clock.now_ns() >= begin_ns + 10 * NS_PER_S, batches_of([read]), sink, clock, threads=False)
    (counter,) = (c for c in read.channels if c.kind == "counter" and c.device == SIMULATED_GPU)
    found = sink.of(counter)
    assert found[-1].value - found[0].value == pytest.approx(GPU_TRUTH.energy_j(begin_ns, begin_ns + 10 * NS_PER_S))


class SlowSource:
    """A source whose slow channel blocks until its fast channel has been read often, or for good if that never happens."""

    def __init__(self, fast_reads_needed: int) -> None:
        from threading import Event

        self.needed = fast_reads_needed
        self.enough = Event()

    def channels(self) -> Sequence[Channel]:
        return (
            Channel(0, "slow", "gpu", "GPU-1", "x", "counter", "J", 200.0),
            Channel(1, "slow", "gpu", "GPU-1", "x", "temperature", "°C", 1.0),
        )

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        if channels[0].kind == "temperature":
            assert self.enough.wait(20.0), "the fast channel was held up by the slow one"
        else:
            self.needed -= 1
            if self.needed == 0:
                self.enough.set()
        now_ns = MonotonicClock().now_ns()
        return [Reading(now_ns, 0, channel.id, 1.0) for channel in channels]

    def close(self) -> None:
        """Nothing is held."""


def test_a_slow_channel_does_not_hold_up_a_fast_one() -> None:
    """While one read of a temperature is blocked, the counter goes on being read."""
    source, sink = SlowSource(5), Kept()
    batches = batches_of([Reads(source, tuple(source.channels()))])
    read_until(source.enough.is_set, batches, sink, MonotonicClock())
    kinds = [reading.channel for reading in sink.readings]
    assert kinds.count(0) >= 5
    assert kinds.count(1) >= 2


class BrokenSource(SlowSource):
    """Breaks the contract: its slow channel raises once."""

    raised = False

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        if channels[0].kind == "temperature" and not self.raised:
            self.raised = True
            raise RuntimeError("a broken source")
        return [Reading(0, 0, channel.id, 1.0) for channel in channels]


def test_a_source_that_raises_in_the_second_thread_ends_the_meter() -> None:
    """A broken source is an error of the meter, not silence on half of the channels."""
    source = BrokenSource(1)
    batches = batches_of([Reads(source, tuple(source.channels()))])
    with pytest.raises(RuntimeError, match="a broken source"):
        read_until(lambda: False, batches, Kept(), MonotonicClock())
