"""A window cut at ticks, with the joules and tokens of each piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from llenergymeasure.analyse.energy.slices import TOO_SHORT, Slices, slices_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, Reading, Readings, Readout
from llenergymeasure.units import NS_PER_S, s_to_ns

_WINDOW = Interval(5 * NS_PER_S, 35 * NS_PER_S)
_NO_TOKENS = np.zeros(0, np.int64)


def _channel(kind: ChannelKind = "counter", number: int = 0) -> Channel:
    return Channel(number, "s", "gpu", f"GPU-{number}", "a board", kind, "J", 50.0)


def _readout(*value: Callable[[float], float], every_s: float = 0.01, until_s: float = 42.0) -> Readout:
    """One counter for each function of the time of its last tick."""
    readings = [
        Reading(s_to_ns(step * every_s), 1000, number, of(step * every_s))
        for step in range(int(until_s / every_s))
        for number, of in enumerate(value)
    ]
    channels = tuple(_channel(number=number) for number in range(len(value)))
    return Readout(channels, (), Readings.of(readings), tuple(channel.device for channel in channels))


def _ticking(tick_s: float, watts: float = 100.0) -> Callable[[float], float]:
    return lambda t_s: watts * tick_s * np.floor(t_s / tick_s + 1e-9)


def _sliced(readout: Readout, window: Interval = _WINDOW, tokens: np.ndarray = _NO_TOKENS) -> Slices:
    found = slices_of(readout, readout.channels, window, tokens)
    assert isinstance(found, Slices), found
    return found


def test_edges_are_ticks_and_energy_is_the_counters() -> None:
    """Every slice begins and ends at a tick, and its joules are what the counter rose by."""
    found = _sliced(_readout(_ticking(0.1)))
    off_s = (found.edges_ns / NS_PER_S + 0.05) % 0.1 - 0.05
    assert np.abs(off_s).max() < 0.006
    assert found.energy_j == pytest.approx(100 * found.seconds, rel=1e-6)
    assert found.edges_ns[0] >= _WINDOW.begin_ns and found.edges_ns[-1] <= _WINDOW.end_ns


@pytest.mark.parametrize(
    ("tick_s", "every_s", "least_s"),
    [(0.1, 0.01, 0.5), (0.2, 0.02, 1.0), (0.1, 0.05, 2.0)],
    ids=["half a second", "five ticks that are followed", "twenty ticks that are not"],
)
def test_a_slice_is_long_enough(tick_s: float, every_s: float, least_s: float) -> None:
    """Half a second, 5 ticks where they are followed, else 20, and no longer than that calls for."""
    found = _sliced(_readout(_ticking(tick_s), every_s=every_s))
    assert least_s - 2 * tick_s < found.seconds.min()
    assert found.seconds.max() < 2 * least_s + 2 * tick_s


def test_a_long_window_has_no_more_slices_than_are_of_use() -> None:
    """Sixty give an interval that more would hardly narrow."""
    found = _sliced(_readout(_ticking(0.1), every_s=0.01, until_s=130), Interval(5 * NS_PER_S, 125 * NS_PER_S))
    assert len(found.energy_j) == 60


def test_a_short_window_has_none() -> None:
    """Fewer than ten slices give no interval."""
    window = Interval(5 * NS_PER_S, 9 * NS_PER_S)
    readout = _readout(_ticking(0.1))
    assert slices_of(readout, readout.channels, window, _NO_TOKENS) == TOO_SHORT


def test_tokens_belong_to_the_slice_of_their_stamp() -> None:
    """They are counted by when they appeared, in any order; those outside of all slices are left out."""
    stamps = np.arange(0, 42 * NS_PER_S, s_to_ns(0.01))[::-1]
    found = _sliced(_readout(_ticking(0.1)), tokens=stamps)
    assert np.abs(found.tokens - 100 * found.seconds).max() <= 1
    assert 2900 < found.tokens.sum() <= 3000


def test_the_slowest_of_several_channels_gives_the_edges() -> None:
    """Two boards are added over the same time."""
    found = _sliced(_readout(_ticking(0.05, 100), _ticking(0.2, 300)))
    off_s = (found.edges_ns / NS_PER_S + 0.1) % 0.2 - 0.1
    assert np.abs(off_s).max() < 0.011
    assert found.energy_j == pytest.approx(400 * found.seconds, rel=0.02)


def test_slices_that_wander_are_joined() -> None:
    """Where neighbours depend on each other, slices are made longer, down to no fewer than ten."""
    slow = _sliced(_readout(lambda t_s: 100 * t_s + 100 * np.sin(t_s / 2)))
    steady = _sliced(_readout(_ticking(0.1)))
    assert 10 <= len(slow.energy_j) < 20 < len(steady.energy_j)
    assert slow.energy_j.sum() == pytest.approx(100 * slow.seconds.sum(), rel=0.1)


def test_slices_that_are_shorter_than_a_batch_are_joined() -> None:
    """Half seconds of which every other has all the tokens say nothing of how well batches of a second repeat themselves."""
    stamps = np.concatenate([np.arange(second, second + 0.5, 0.005) for second in range(4, 40)]) * NS_PER_S
    readout = _readout(_ticking(0.1))
    found = _sliced(readout, tokens=stamps.astype(np.int64))
    assert 10 <= len(found.energy_j) <= 30
    assert np.std(found.tokens / found.seconds) < 0.25 * np.mean(found.tokens / found.seconds)


def test_power_that_cannot_be_cut_gives_a_reason() -> None:
    """A mean over a second says nothing of half a second."""
    readings = [Reading(s_to_ns(step / 10), 1000, 0, 100.0 + step % 3) for step in range(420)]
    channel = Channel(0, "s", "gpu", "GPU-0", "a board", "power_mean", "W", 10.0, averaging_s=1.0)
    readout = Readout((channel,), (), Readings.of(readings), ("GPU-0",))
    found = slices_of(readout, (channel,), _WINDOW, _NO_TOKENS)
    assert isinstance(found, str) and "slices" in found


def test_power_that_never_changes_is_cut_by_the_second() -> None:
    """Without ticks a slice lasts a second."""
    channel = Channel(0, "s", "gpu", "GPU-0", "a board", "power_instant", "W", 50.0, update_period_s=0.02)
    readings = [Reading(s_to_ns(step / 50), 1000, 0, 250.0) for step in range(42 * 50)]
    readout = Readout((channel,), (), Readings.of(readings), ("GPU-0",))
    found = _sliced(readout)
    assert found.seconds == pytest.approx(np.ones(30))
    assert found.energy_j == pytest.approx(250 * np.ones(30))


def test_a_counter_that_stands_still_has_no_slices() -> None:
    """One change is no energy of pieces."""
    readout = _readout(lambda t_s: 100.0 if t_s < 20 else 200.0)
    assert isinstance(slices_of(readout, readout.channels, _WINDOW, _NO_TOKENS), str)
