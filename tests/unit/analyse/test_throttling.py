"""Time in which clocks were held down, told apart by what held them, and limits that did not stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from llenergymeasure.analyse.throttling import mean_clock_mhz, throttled_s, throttling_remarks
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.testing.builders import session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S, s_to_ns

_WINDOW = Interval(2 * NS_PER_S, 12 * NS_PER_S)

Pairs = Sequence[tuple[float, float]]


def _trace(*series: tuple[str, ChannelKind, str, Pairs], power: PowerKnobs | None = None) -> Trace:
    channels, readings = [], []
    for number, (device, kind, detail, pairs) in enumerate(series):
        channels.append(Channel(number, "s", "gpu", device, device, kind, "", 1.0, detail=detail))
        readings += [Reading(s_to_ns(second), 0, number, value) for second, value in pairs]
    return trace(
        (),
        sorted(readings, key=lambda reading: reading.t_ns),
        channels=tuple(channels),
        session=session_facts(device_ids=("GPU-1", "GPU-2"), device="cuda"),
        job=trial_job(power=power),
    )


def _held(cause: str, begin_s: float, end_s: float, device: str = "GPU-1") -> tuple[str, ChannelKind, str, Pairs]:
    """A counter of seconds, read once a second, that ran between two instants."""
    pairs = [(at, 100 + min(max(at - begin_s, 0.0), end_s - begin_s)) for at in range(15)]
    return device, "throttle_time", cause, pairs


def _said(found: Trace) -> Mapping[str, str]:
    return {one.code: one.evidence for one in throttling_remarks(found, _WINDOW)}


def test_time_is_exact_and_by_cause() -> None:
    """1.2 s of heat and 10 s at the power limit; what lies outside of the window does not count."""
    found = _trace(_held("thermal", 5, 6.2), _held("power", 0, 14), _held("reliability", 12, 14))
    assert throttled_s(found, _WINDOW) == pytest.approx({"thermal": 1.2, "power": 10.0, "reliability": 0.0})
    assert _said(found) == {"throttled": "1.2 s of 10.0 s thermal", "power_capped": "10.0 s of 10.0 s power"}


def test_heat_is_a_warning_and_the_power_limit_is_information() -> None:
    """A board at its limit does what it was set to."""
    found = _trace(_held("hardware_thermal", 3, 4), _held("power", 3, 4))
    assert {one.code: one.severity for one in throttling_remarks(found, _WINDOW)} == {
        "throttled": "warning",
        "power_capped": "info",
    }


@pytest.mark.parametrize("cause", ["thermal", "board_limit", "reliability", "software_thermal", "power_brake"])
def test_what_nobody_chose_is_a_warning(cause: str) -> None:
    """Heat, the board's own limits and its supply."""
    assert set(_said(_trace(_held(cause, 3, 4)))) == {"throttled"}


def test_of_several_devices_the_longest_counts() -> None:
    """They work together: the slowest decides. One that does not work does not."""
    found = _trace(_held("thermal", 3, 4), _held("thermal", 3, 6, "GPU-2"), _held("thermal", 2, 12, "GPU-3"))
    assert throttled_s(found, _WINDOW) == pytest.approx({"thermal": 3.0})


def test_nothing_held_is_nothing_said() -> None:
    """The counters are there and stand still, or moved before the window only."""
    found = _trace(_held("thermal", 0, 1), _held("power", 13, 14))
    assert throttled_s(found, _WINDOW) == {"thermal": 0.0, "power": 0.0} and not _said(found)


def test_without_counters_there_is_no_time() -> None:
    """None is not 0, and readings that do not cover the window are none."""
    assert throttled_s(_trace(), _WINDOW) is None
    assert throttled_s(_trace(("GPU-1", "throttle_time", "thermal", [(3, 0.0), (13, 1.0)])), _WINDOW) is None


def test_reasons_are_counted_where_they_were_seen() -> None:
    """A slowdown by hardware has no counter; the power limit is taken from them only where nothing counts it."""
    masks = ("GPU-1", "clock_reasons", "", [(1, float(0x8)), (3, float(0x8 | 0x4)), (4, 0.0), (5, float(0x1))])
    assert _said(_trace(masks)) == {
        "throttled": "hardware slowdown in 1 of 3 readings",
        "power_capped": "power limit in 1 of 3 readings",
    }
    assert set(_said(_trace(masks, _held("power", 0, 0)))) == {"throttled"}


def test_a_limit_that_changed_is_told() -> None:
    """At any time of the trial; the same watt is the same limit."""
    changed = _trace(("GPU-1", "power_limit", "", [(1, 700.0), (5, 700.0), (8, 400.0)]))
    assert _said(changed) == {"power_limit_changed": "GPU-1: between 400 and 700 W"}
    assert not _said(_trace(("GPU-1", "power_limit", "", [(1, 700.0), (8, 700.4)])))
    assert not _said(_trace(("GPU-3", "power_limit", "", [(1, 700.0), (8, 400.0)])))


def test_clocks_are_means_over_the_window_and_the_devices_that_worked() -> None:
    """With the reason where there is none."""
    found = _trace(
        ("GPU-1", "sm_clock", "", [(1, 300.0), (3, 1980.0), (4, 1960.0)]),
        ("GPU-2", "sm_clock", "", [(3, 1410.0)]),
        ("GPU-1", "memory_clock", "", [(1, 2619.0)]),
    )
    assert mean_clock_mhz(found, _WINDOW, "sm_clock") == (1690.0, "")
    assert mean_clock_mhz(found, _WINDOW, "memory_clock") == (None, "the window holds no reading of it")
    assert mean_clock_mhz(_trace(), _WINDOW, "sm_clock") == (None, "no channel reads it")


def test_clocks_that_were_asked_for_are_checked_where_they_can_be_seen() -> None:
    """In the window; a step of the driver's rounding is not a miss."""
    clocks = (
        ("GPU-1", "sm_clock", "", [(3, 1305.0), (4, 1305.0)]),
        ("GPU-1", "memory_clock", "", [(3, 1600.0)]),
    )
    found = _trace(*clocks, power=PowerKnobs(sm_clock_mhz=1410, mem_clock_mhz=1593))
    assert _said(found) == {"clocks_not_held": "SM clock: 1410 MHz asked for, 1305 MHz in the window"}
    assert not _said(_trace(*clocks, power=PowerKnobs(cap_w=300.0)))
    assert not _said(_trace(*clocks))
