from __future__ import annotations

import math
from pathlib import Path

import pytest

from llenergymeasure.meter.binary import ReadingsWriter
from llenergymeasure.model.event import EventLog, Metered
from llenergymeasure.model.folder import METER_EVENTS, METER_READINGS
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.reading import Channel, Reading, Readings, Readout
from llenergymeasure.testing.builders import session_facts
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.trial.power_trend import PowerWatch, trend_of, watch
from llenergymeasure.units import NS_PER_S

_COUNTER = Channel(0, "nvml", "gpu", "GPU-1", "a GPU", "counter", "J", 50.0, update_period_s=0.02, stated_error=0.05)
_HEAT = Channel(1, "nvml", "gpu", "GPU-1", "a GPU", "temperature", "°C", 1.0)
_OTHER = Channel(2, "nvml", "gpu", "GPU-2", "a GPU", "temperature", "°C", 1.0)


def _readings(seconds: int, power_w: float, later_w: float, heating: float = 0.0) -> list[Reading]:
    """``power_w`` until 6 s, then ``later_w``; one die grows warmer by ``heating`` a second, another by ten times that."""
    energy_j, found = 0.0, []
    for step in range(seconds * 50):
        t_ns = (step + 1) * NS_PER_S // 50
        energy_j += (power_w if t_ns <= 6 * NS_PER_S else later_w) / 50
        found.append(Reading(t_ns, 0, 0, energy_j))
        if step % 50 == 49:
            found.append(Reading(t_ns, 0, 1, round(50 + heating * t_ns / NS_PER_S, 3)))
            found.append(Reading(t_ns, 0, 2, 50 + 10 * heating * t_ns / NS_PER_S))
    return found


def _readout(*arguments: float, **more: float) -> Readout:
    readings = Readings.of(_readings(12, *arguments, **more))
    return Readout((_COUNTER, _HEAT, _OTHER), (), readings, ("GPU-1",))


def test_power_that_stays_and_power_that_changes_are_told_apart() -> None:
    """From 1 to 11 s: 500 W all the time; and 500 W until 6 s, 550 W after it."""
    assert trend_of(_readout(500.0, 500.0), 11 * NS_PER_S).change == pytest.approx(0.0, abs=2e-3)
    assert trend_of(_readout(500.0, 550.0), 11 * NS_PER_S).change == pytest.approx(50 / 550, abs=5e-3)


def test_heating_is_that_of_the_devices_that_work() -> None:
    """0.3 °C/s of the board at work, whatever another does."""
    assert trend_of(_readout(500.0, 500.0, heating=0.3), 11 * NS_PER_S).heating_c_per_s == pytest.approx(0.3, abs=1e-3)


def test_what_is_not_read_is_not_known() -> None:
    """No energy and no temperature: neither is 0."""
    found = trend_of(Readout((), (), Readings(), ("GPU-1",)), 11 * NS_PER_S)
    assert found.change is None and found.heating_c_per_s is None


def test_the_watch_speaks_once_there_are_two_blocks_of_the_warm_up(tmp_path: Path) -> None:
    """The warm-up begins at 1 s: before 11 s and half a second there is nothing to say; then once a second."""
    clock = VirtualClock()
    writer = ReadingsWriter(tmp_path / METER_READINGS)
    watch = PowerWatch(tmp_path, Metered((), (_COUNTER, _HEAT)), ("GPU-1",), NS_PER_S, clock)
    assert watch.look() is None
    readings = _readings(13, 500.0, 500.0)
    writer.append(one for one in readings if one.t_ns < 11.2 * NS_PER_S)
    writer.flush()
    clock.sleep(1.0)
    assert watch.look() is None
    writer.append(one for one in readings if one.t_ns >= 11.2 * NS_PER_S)
    writer.flush()
    assert watch.look() is None
    clock.sleep(1.0)
    found = watch.look()
    assert found is not None and found.change is not None and math.isclose(found.change, 0.0, abs_tol=2e-3)
    writer.close()


def test_there_is_nothing_to_watch_before_the_warm_up_has_begun(tmp_path: Path) -> None:
    """The devices that work, what is read of them, and the begin of the warm-up must be known."""
    begun = (session_facts(device_ids=("GPU-1",)), Mark("warmup", "begin", NS_PER_S))
    clock = VirtualClock()
    assert watch(tmp_path, begun, clock) is None
    log = EventLog.append_to(tmp_path / METER_EVENTS)
    log.write(Metered((), (_COUNTER,)))
    log.close()
    assert watch(tmp_path, begun[:1], clock) is None and watch(tmp_path, begun[1:], clock) is None
    assert isinstance(watch(tmp_path, begun, clock), PowerWatch)
