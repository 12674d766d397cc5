"""A virtual board is characterised, and then measured with what was found: narrower where it may be, wider where it must."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.energy.characterising import characterise, program
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.select import Reads
from llenergymeasure.machine.sensor_profiles import told
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import Channel, ChannelKind, Readout
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM, QUARTER
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Piece, Workload
from llenergymeasure.units import s_to_ns

_TICK_S, _LAG_S, _STEP_S = 0.1, 0.02, 0.037


class _Script:
    """A load that was played beforehand."""

    def __init__(self, at: tuple[Interval, ...]) -> None:
        self._at = at

    def work(self, at: Sequence[Interval]) -> None:
        """It is at work by itself."""

    def worked(self) -> tuple[Interval, ...]:
        return self._at

    def heats(self, channel: Channel) -> bool:
        return True


def _profiles(sensors: Sensors) -> dict[ChannelKind, SensorProfile]:
    clock = VirtualClock()
    begin_ns = clock.now_ns()
    at = program(begin_ns + s_to_ns(4.05), _TICK_S).working
    pieces = [Piece(begin_ns, begin_ns, 1, H100_SXM.loaded_w, H100_SXM.loaded_w)]
    for on in at:
        pieces.append(Piece(on.begin_ns, on.begin_ns, 1, H100_SXM.prefill_w, H100_SXM.prefill_w))
        pieces.append(Piece(on.end_ns, on.end_ns, 1, H100_SXM.loaded_w, H100_SXM.loaded_w))
    board = VirtualGpu(H100_SXM, Workload(pieces, H100_SXM.thermal), sensors)
    source = NvmlSource(VirtualNvml(clock, board, horizon_s=40), clock)
    channels = source.channels()
    assert isinstance(channels, tuple)
    reads = [Reads(source, channels)]
    found = characterise(reads, clock, _Script(at), measured_at="now", driver_of=lambda channel: None)
    return {channel.kind: profile for channel, profile in found}


def _measured(sensors: Sensors, profiles: dict[ChannelKind, SensorProfile]) -> tuple[TrialEnergy, float]:
    """The energy of 10 s of decoding by the counter alone, and the truth."""
    clock = VirtualClock()
    phases = (H100_SXM.idle(3), H100_SXM.decode(16, _STEP_S), H100_SXM.idle(4))
    work = Workload.of(clock.now_ns(), phases, H100_SXM.thermal)
    begin_ns = clock.now_ns() + s_to_ns(6)
    window = Interval(begin_ns, begin_ns + s_to_ns(10))
    nvml = VirtualNvml(clock, VirtualGpu(H100_SXM, work, sensors), horizon_s=40)
    readout = metered(nvml, clock, 22.0)
    channels = tuple(told(channel, profiles.get(channel.kind), None) for channel in readout.channels)
    only = tuple(channel for channel in channels if channel.kind == "counter")
    readout = Readout(only, (), readout.readings, readout.device_ids)
    return energy_of_window(readout, window, _STEP_S), nvml.truth_j(0, window.begin_ns, window.end_ns)


def _half(energy: TrialEnergy) -> float:
    bounds = energy.total_j.repeatability_95
    assert bounds is not None
    return (bounds.high - bounds.low) / 2


def test_a_counter_that_passed_is_trusted_more() -> None:
    """B+, and no doubt any more that it might look part of the time; the truth is in the narrower interval."""
    sensors = H100_SXM.sensors(_TICK_S, lag_s=_LAG_S, phase_s=0.04, seed=2)
    profiles = _profiles(sensors)
    known, true_j = _measured(sensors, profiles)
    unknown, _ = _measured(sensors, {})
    assert (known.total_j.grade, unknown.total_j.grade) == ("B+", "B")
    assert _half(known) < _half(unknown)
    assert known.total_j.value == pytest.approx(true_j, abs=_half(known))


def test_a_counter_that_looks_a_quarter_of_the_time_is_known_to() -> None:
    """It stays B, its duty is known, and the interval that follows holds the truth."""
    sensors = H100_SXM.sensors(_TICK_S, counter_duty=QUARTER, lag_s=_LAG_S, phase_s=0.04, seed=2)
    profiles = _profiles(sensors)
    found, true_j = _measured(sensors, profiles)
    assert found.total_j.grade == "B"
    assert dict((term.name, term.relative) for term in found.terms)["u_alias"] > 0
    assert found.total_j.value == pytest.approx(true_j, abs=_half(found))
