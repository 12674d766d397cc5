"""The contract of an energy source as tests, for sources of this package and of others.

Subclass ``SourceContract`` in a test module, as ``class TestMySource(SourceContract)``, and say how the source is opened::

    def open_source(self) -> EnergySource: ...

The source must be able to read where the tests run: real hardware, or a double of it handed to the source. Nothing here
needs pytest or waits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from llenergymeasure.clock import Clock, MonotonicClock
from llenergymeasure.energy.contract import EnergySource, Unavailable
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, ChannelKind, Domain, Status

_CUMULATIVE: tuple[ChannelKind, ...] = ("counter", "model", "throttle_time", "witness")
_ENERGY_UNITS: dict[ChannelKind, str] = {"counter": "J", "power_instant": "W", "power_mean": "W", "model": "s"}


class SourceContract:
    """What every energy source keeps. ``clock`` is the one that the source under test stamps with."""

    clock: Clock = MonotonicClock()

    def open_source(self) -> EnergySource:
        """A fresh source that can read here."""
        raise NotImplementedError

    def opened(self) -> tuple[EnergySource, Sequence[Channel]]:
        """A source and its channels."""
        source = self.open_source()
        channels = source.channels()
        assert not isinstance(channels, Unavailable), f"the source under test must be able to read: {channels}"
        return source, channels

    def test_channels_count_from_zero_and_are_told_apart(self) -> None:
        """Ids are 0, 1, 2 …, and no two channels share device, domain, kind and detail."""
        source, channels = self.opened()
        source.close()
        assert channels
        assert [channel.id for channel in channels] == list(range(len(channels)))
        assert len({(c.device, c.domain, c.kind, c.detail) for c in channels}) == len(channels)

    def test_at_least_one_channel_yields_energy(self) -> None:
        """A source that is available has a counter, power, or a model, or is a witness."""
        source, channels = self.opened()
        source.close()
        assert any(channel.kind in (*ENERGY_KINDS, "witness") for channel in channels)

    def test_channels_describe_themselves(self) -> None:
        """Domain and kind are known words, energy has its unit, rates are positive, shares are shares."""
        source, channels = self.opened()
        source.close()
        for channel in channels:
            assert channel.domain in get_args(Domain)
            assert channel.kind in get_args(ChannelKind)
            assert channel.source and channel.device and channel.device_name
            assert channel.unit == _ENERGY_UNITS.get(channel.kind, channel.unit)
            assert channel.rate_hz > 0
            assert channel.stated_error is None or 0 <= channel.stated_error < 1
            assert channel.domain not in channel.covers
            assert (channel.kind == "model") == (channel.cpu_power_model is not None)

    def test_each_channel_asked_for_gets_one_reading_in_order(self) -> None:
        """Readings carry the ids of the caller, whatever those are."""
        source, channels = self.opened()
        renumbered = [dataclasses.replace(channel, id=channel.id + 100) for channel in reversed(channels)]
        readings = source.read(renumbered)
        source.close()
        assert [reading.channel for reading in readings] == [channel.id for channel in renumbered]

    def test_readings_are_stamped_when_the_read_returned(self) -> None:
        """The time of a reading lies between the call and its return, on the clock handed in."""
        source, channels = self.opened()
        before_ns = self.clock.now_ns()
        readings = source.read(channels)
        after_ns = self.clock.now_ns()
        source.close()
        assert all(before_ns <= reading.t_ns <= after_ns for reading in readings)
        assert all(0 <= reading.call_ns <= reading.t_ns - before_ns for reading in readings)

    def test_a_value_is_there_exactly_when_the_status_is_ok(self) -> None:
        """Good readings are finite and not negative; all others are NaN, never a zero."""
        source, channels = self.opened()
        readings = source.read(channels)
        source.close()
        for reading in readings:
            if reading.status is Status.OK:
                assert math.isfinite(reading.value) and reading.value >= 0
            else:
                assert math.isnan(reading.value)

    def test_cumulative_quantities_never_fall(self) -> None:
        """Counters, CPU time, throttled time and witnesses stand still or rise over a hundred reads."""
        source, channels = self.opened()
        cumulative = [channel for channel in channels if channel.kind in _CUMULATIVE]
        last = dict.fromkeys((channel.id for channel in cumulative), 0.0)
        for _ in range(100):
            for reading in source.read(cumulative):
                if reading.status is Status.OK:
                    assert reading.value >= last[reading.channel]
                    last[reading.channel] = reading.value
        source.close()

    def test_two_threads_may_read_different_channels(self) -> None:
        """Halves of the channels, read at once from two threads, give what was asked for."""
        source, channels = self.opened()
        halves = [channels[::2], channels[1::2]]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda half: [source.read(half) for _ in range(20)], halves))
        source.close()
        for half, rounds in zip(halves, found, strict=True):
            assert all([reading.channel for reading in readings] == [c.id for c in half] for readings in rounds)

    def test_close_may_be_called_twice_and_before_anything_else(self) -> None:
        """Closing an unused source, and closing again, does nothing."""
        unused = self.open_source()
        unused.close()
        source, _ = self.opened()
        source.close()
        source.close()
