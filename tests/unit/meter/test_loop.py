"""Reading channels at their rates until told to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import Unavailable
from llenergymeasure.energy.select import Reads
from llenergymeasure.meter.loop import batches_of, read_until
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.testing.simulated_source import GPU_TRUTH, SIMULATED_GPU, SimulatedSource
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import NS_PER_S, s_to_ns


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


def _read_for(read: Reads, clock: VirtualClock, seconds: float, cap_hz: float | None = None) -> Kept:
    sink = Kept()
    end_ns = clock.now_ns() + s_to_ns(seconds)
    read_until(lambda: clock.now_ns() >= end_ns, batches_of([read], cap_hz), sink, clock, threads=False)
    return sink


def test_each_channel_is_read_at_its_own_rate() -> None:
    """Over a minute, and ticks not followed, a counter at 100 Hz and a temperature at 1 Hz give 6,000 and 60 readings."""
    clock = VirtualClock()
    read = _simulated(clock)
    sink = _read_for(read, clock, 60, cap_hz=100.0)
    counted = {channel.kind: len(sink.of(channel)) for channel in read.channels if channel.device == SIMULATED_GPU}
    assert counted == {"counter": 6001, "power_instant": 6001, "temperature": 62}


def test_ticks_are_followed() -> None:
    """Each tick of a counter and of instant power lies between two reads less than 2 ms apart."""
    clock = VirtualClock()
    read = _simulated(clock)
    begin_ns = clock.now_ns()
    sink = _read_for(read, clock, 20)
    for channel in read.channels:
        if channel.kind in ("counter", "power_instant"):
            found = [reading for reading in sink.of(channel) if reading.t_ns > begin_ns + NS_PER_S]
            ticks = [later.t_ns - earlier.t_ns for earlier, later in pairwise(found) if later.value != earlier.value]
            assert len(ticks) == pytest.approx(19 / 0.02, abs=2)
            assert max(ticks) < 2_000_000
            assert len(found) < 19 * 250


def test_a_cap_below_what_following_needs_turns_it_off() -> None:
    """``sampling_hz`` bounds the distance of any two reads: at 100 Hz nothing is read twice within 9 ms."""
    clock = VirtualClock()
    read = _simulated(clock)
    sink = _read_for(read, clock, 10, cap_hz=100.0)
    times_ns = [reading.t_ns for reading in sink.of(read.channels[0])][:-1]
    assert min(later - earlier for earlier, later in pairwise(times_ns)) > 9_000_000


@pytest.mark.parametrize(
    ("channel", "followed"),
    [
        (Channel(0, "s", "gpu", "G", "x", "counter", "J", 50.0), True),
        (Channel(0, "s", "gpu", "G", "x", "counter", "J", 50.0, update_period_s=0.02), True),
        (Channel(0, "s", "gpu", "G", "x", "power_instant", "W", 50.0), True),
        (Channel(0, "s", "package", "cpu", "x", "counter", "J", 50.0, update_period_s=0.001), False),
        (Channel(0, "s", "wall", "plug", "x", "counter", "J", 5.0), False),
        (Channel(0, "s", "gpu", "G", "x", "power_mean", "W", 50.0), False),
    ],
)
def test_what_is_followed(channel: Channel, followed: bool) -> None:
    """Counters and instant power that ask for 50 Hz, unless they are known to tick faster than each 10 ms."""
    (batch,) = batches_of([Reads(SlowSource(1), (channel,))])
    assert (batch.step_ns is not None) is followed


def test_rates_can_be_capped() -> None:
    """``sampling_hz`` lowers what asks for more and raises nothing."""
    read = _simulated(VirtualClock())
    assert [batch.rate_hz for batch in batches_of([read])] == [100.0, 1.0]
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
