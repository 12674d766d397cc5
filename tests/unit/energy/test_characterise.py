"""Sensors of virtual boards are characterised, and what is found is what the boards were given."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from llenergymeasure.energy.characterise import NO_LOAD
from llenergymeasure.energy.characterising import characterise, program
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.select import Reads
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import Channel, ChannelKind
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.presets import A100_80G, H100_SXM, H200_SXM, QUARTER, RTX_4090, Preset
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Piece, Workload
from llenergymeasure.units import NS_PER_S, s_to_ns

# The rest that the first reads see, and the time until a load works.
_BEFORE_S = 4.05
_LAG_S = 0.03


@dataclass
class Script:
    """A load that was played beforehand: a virtual board's power cannot be changed once its meters run."""

    at: tuple[Interval, ...]
    asked: list[Sequence[Interval]] = field(default_factory=list)

    def work(self, at: Sequence[Interval]) -> None:
        self.asked.append(at)

    def worked(self) -> tuple[Interval, ...]:
        return self.at

    def heats(self, channel: Channel) -> bool:
        return channel.domain == "gpu"


def _found(preset: Preset, sensors: Sensors, tick_s: float, *, load: bool = True) -> dict[ChannelKind, SensorProfile]:
    """The profile of each energy channel of one board, which takes 20 s of virtual time or less."""
    clock = VirtualClock()
    begin_ns = clock.now_ns()
    script = Script(program(begin_ns + s_to_ns(_BEFORE_S), tick_s).working)
    pieces = [Piece(begin_ns, begin_ns, 1, preset.loaded_w, preset.loaded_w)]
    for on in script.at if load else ():
        pieces.append(Piece(on.begin_ns, on.begin_ns, 1, preset.prefill_w, preset.prefill_w))
        pieces.append(Piece(on.end_ns, on.end_ns, 1, preset.loaded_w, preset.loaded_w))
    source = NvmlSource(
        VirtualNvml(clock, VirtualGpu(preset, Workload(pieces, preset.thermal), sensors), horizon_s=40), clock
    )
    channels = source.channels()
    assert isinstance(channels, tuple)
    found = characterise(
        [Reads(source, channels)],
        clock,
        script if load else None,
        measured_at="2026-11-25T00:00:00+00:00",
        driver_of=lambda channel: "570.86.15",
    )
    assert clock.now_ns() - begin_ns < 20 * NS_PER_S
    return {channel.kind: profile for channel, profile in found}


@pytest.mark.parametrize(
    ("preset", "tick_s", "window_s"),
    [
        (A100_80G, 0.1, 0.025),
        (H100_SXM, 0.1, 0.025),
        (H200_SXM, 0.05, 0.1),
        (H200_SXM, 0.01, 0.025),
        (RTX_4090, 0.02, 0.1),
    ],
    ids=lambda value: value.name if isinstance(value, Preset) else f"{1000 * value:g} ms",
)
def test_the_profile_is_what_the_board_was_given(preset: Preset, tick_s: float, window_s: float) -> None:
    """Tick, jitter, lag, averaging and duty of counter, instant power and mean power; a whole counter passes."""
    found = _found(preset, preset.sensors(tick_s, window_s=window_s, lag_s=_LAG_S, phase_s=0.037, seed=3), tick_s)
    counter, instant = found["counter"], found["power_instant"]
    for profile in (counter, instant):
        assert profile.tick_s == pytest.approx(tick_s, rel=2e-3)
        assert profile.tick_jitter_s == pytest.approx(min(0.001, tick_s / 20), rel=0.25, abs=1e-4 + tick_s / 200)
        assert profile.call_s == pytest.approx(30e-6, rel=0.01)
        assert profile.lag_s == pytest.approx(_LAG_S, abs=0.001)
    assert (counter.averaging_s, counter.duty) == (pytest.approx(tick_s, rel=0.02), pytest.approx(1.0, abs=0.02))
    assert instant.averaging_s == pytest.approx(window_s, abs=0.001)
    assert instant.duty == pytest.approx(min(1.0, window_s / tick_s), abs=0.02)
    assert counter.alias_locked == pytest.approx(0.0, abs=0.01)
    assert counter.alias_unlocked == pytest.approx(0.0, abs=0.01)
    assert counter.to_power_idle == pytest.approx(1.0, abs=0.003)
    assert counter.to_power_load == pytest.approx(1.0, abs=0.003)
    assert counter.passed and counter.notes == ()
    if preset.usage_is_a_mean:
        assert found["power_mean"].averaging_s == pytest.approx(1.0, abs=0.01)
        assert found["power_mean"].lag_s == pytest.approx(_LAG_S, abs=0.01)
        assert found["power_mean"].alias_locked is None


@pytest.mark.parametrize("tick_s", [0.1, 0.02])
def test_a_counter_that_looks_a_quarter_of_the_time_does_not_pass(tick_s: float) -> None:
    """Its duty is found, and it says why."""
    sensors = H200_SXM.sensors(tick_s, counter_duty=QUARTER, lag_s=_LAG_S, phase_s=0.037, seed=4)
    counter = _found(H200_SXM, sensors, tick_s)["counter"]
    assert counter.duty == pytest.approx(QUARTER, abs=0.04)
    assert counter.alias_locked is not None and abs(counter.alias_locked) > 0.05
    assert not counter.passed and any("see all the time" in note for note in counter.notes)


def test_without_a_load_some_of_it_stays_unknown() -> None:
    """Tick, jitter, latency and the ratio at rest are found; the rest is ``None`` with the reason, and nothing passes."""
    counter = _found(H100_SXM, H100_SXM.sensors(0.1, seed=1), 0.1, load=False)["counter"]
    assert counter.tick_s == pytest.approx(0.1, rel=2e-3) and counter.to_power_idle == pytest.approx(1.0, abs=0.003)
    assert (counter.lag_s, counter.averaging_s, counter.duty, counter.alias_locked, counter.to_power_load) == (
        None,
    ) * 5
    assert NO_LOAD in counter.notes and not counter.passed


def test_values_that_do_not_follow_the_load_are_not_fitted() -> None:
    """A board that was to work and did not gives no lag."""
    idle = H100_SXM.sensors(0.1, seed=1)
    clock = VirtualClock()
    work = Workload.of(clock.now_ns(), [H100_SXM.idle(60)])
    source = NvmlSource(VirtualNvml(clock, VirtualGpu(H100_SXM, work, idle)), clock)
    channels = source.channels()
    assert isinstance(channels, tuple)
    script = Script(program(clock.now_ns() + s_to_ns(_BEFORE_S), 0.1).working)
    found = characterise([Reads(source, channels)], clock, script, measured_at="", driver_of=lambda channel: None)
    assert all(profile.lag_s is None and profile.duty is None for _, profile in found)
    assert all(any("did not follow" in note for note in profile.notes) for _, profile in found)
    assert script.asked and len(script.asked[0]) == len(script.at)


def test_a_disagreeing_counter_does_not_pass() -> None:
    """One whose energy is 5 % above that of the power readings says so."""
    sensors = H100_SXM.sensors(0.1, lag_s=_LAG_S, phase_s=0.02, seed=5)
    assert sensors.counter is not None
    sensors = dataclasses.replace(sensors, counter=dataclasses.replace(sensors.counter, gain=1.05))
    counter = _found(H100_SXM, sensors, 0.1)["counter"]
    assert counter.to_power_load == pytest.approx(1.05, abs=0.003)
    assert counter.notes == ("it does not agree with the power readings",)
