"""A running trial seen from outside, by its files alone."""

from __future__ import annotations

from contextlib import closing

import pytest

from llenergymeasure.meter.binary import ReadingsWriter
from llenergymeasure.model.event import EventLog, Metered, WarmupDone
from llenergymeasure.model.folder import METER_EVENTS, METER_READINGS, STAMPS
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.model.stamps import StampWriter
from llenergymeasure.study.live import LiveTrial
from llenergymeasure.testing.builders import session_facts
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import s_to_ns

_WARM = WarmupDone(5, 2.0, True, 0.01, "pool")


def _metered(folder, watts: float, seconds: int) -> None:
    """Ten readings a second of a counter that ticks each time."""
    channel = Channel(0, "nvml", "gpu", "GPU-1", "a GPU", "counter", "J", 10.0)
    log = EventLog.append_to(folder / METER_EVENTS)
    log.write(Metered((), (channel,)))
    log.close()
    with closing(ReadingsWriter(folder / METER_READINGS)) as readings:
        readings.append(Reading(s_to_ns(tick / 10), 0, 0, watts * tick / 10) for tick in range(seconds * 10 + 1))
        readings.flush()


@pytest.mark.parametrize(("batching", "tokens"), [("engine", 60), ("static", 240)])
def test_power_and_joules_of_the_window_so_far(tmp_path, batching, tokens):
    """Tokens by their stamps, of a static batch by its steps; W = J/token × tokens/s for what is shown."""
    clock = VirtualClock(0)
    live = LiveTrial(tmp_path, 4, clock)
    with StampWriter(tmp_path / STAMPS) as stamps:
        stamps.reserve(200)
        for _ in range(7):
            stamps.token(0, clock.now_ns())  # the warm-up's
        clock.sleep(5)
        assert live.look().tokens is None
        live.event(session_facts(batching=batching, device_ids=("GPU-1",)))
        live.event(_WARM)
        for _ in range(60):
            stamps.token(1, clock.now_ns())
        clock.sleep(10)
        _metered(tmp_path, 50.0, 15)
        shown = live.look()
    assert shown.seconds == 15
    assert (shown.tokens, shown.counted_by_steps) == (tokens, batching == "static")
    assert shown.power_w == pytest.approx(50.0)
    assert shown.energy_per_token_j == pytest.approx(50.0 * 10 / tokens)
    assert not shown.estimated


def test_without_a_meter_there_are_tokens_and_no_watts(tmp_path):
    """Missing is missing, not 0."""
    clock = VirtualClock(0)
    live = LiveTrial(tmp_path, 1, clock)
    live.event(session_facts(batching="engine"))
    live.event(_WARM)
    with StampWriter(tmp_path / STAMPS) as stamps:
        stamps.reserve(3)
        stamps.token(1, 0)
        clock.sleep(3)
        shown = live.look()
    assert shown.tokens == 1
    assert shown.power_w is None and shown.energy_per_token_j is None


def test_figures_change_at_most_once_a_second(tmp_path):
    """A person reads them."""
    clock = VirtualClock(0)
    live = LiveTrial(tmp_path, 1, clock)
    clock.sleep(1)
    live.event(session_facts(batching="engine", device_ids=("GPU-1",)))
    live.event(_WARM)
    with StampWriter(tmp_path / STAMPS) as stamps:
        stamps.reserve(3)
        stamps.token(1, 0)
        clock.sleep(5)
        assert live.look().power_w is None
        _metered(tmp_path, 50.0, 5)
        clock.sleep(0.5)
        assert live.look().power_w is None
        clock.sleep(0.5)
        assert live.look().power_w == pytest.approx(50.0)
