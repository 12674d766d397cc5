"""The power model of the CPUs: its bounds and its one channel."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from llenergymeasure.energy.contract import Surroundings, Unavailable
from llenergymeasure.energy.cpu_time import Times
from llenergymeasure.energy.estimate import EstimateSource, cpu_power_model
from llenergymeasure.model.reading import Status
from llenergymeasure.testing.virtual_clock import VirtualClock


class OneProcess:
    """A table with process 7, whose CPU time a test sets; ``None`` hides it."""

    own_s: float | None = 0.0

    def times(self, pid: int) -> Times | None:
        return None if self.own_s is None or pid != 7 else Times(1, self.own_s, 0.0)

    def children(self, pid: int) -> Iterable[int]:
        return ()


def test_a_guest_is_charged_its_share_of_a_known_part() -> None:
    """Two of a 128-CPU part's logical CPUs get 2/128 of its rated power, times 0.8 to 1.25."""
    model = cpu_power_model("AMD EPYC 7763 64-Core Processor", 2)
    assert model.p_max_w == pytest.approx((280 * 2 / 128 * 0.8, 280 * 2 / 128 * 1.25))
    assert (model.idle_share, model.gamma, model.logical_cpus) == ((0.1, 0.3), (0.5, 1.0), 2)
    assert "AMD EPYC 7763" in model.basis and "2 of them here" in model.basis


def test_two_sockets_are_twice_the_part() -> None:
    """More visible CPUs than one part has means more parts."""
    assert cpu_power_model("AMD EPYC 7763", 256).p_max_w == pytest.approx((2 * 280 * 0.8, 2 * 280 * 1.25))


def test_a_higher_published_limit_widens_the_upper_bound_only() -> None:
    """A laptop part may run at its turbo power for as long as its cooling allows."""
    assert cpu_power_model("12th Gen Intel(R) Core(TM) i7-1260P", 16).p_max_w == pytest.approx((28 * 0.8, 64 * 1.25))


def test_an_unknown_cpu_has_wide_bounds_and_says_so() -> None:
    """Rated power of 2 to 12 W for each logical CPU, and a basis that names what was not found."""
    model = cpu_power_model("Intel(R) Xeon(R) Processor @ 2.60GHz", 4)
    assert model.p_max_w == pytest.approx((4 * 2 * 0.8, 4 * 12 * 1.25))
    assert "not in the table" in model.basis and "Xeon(R) Processor" in model.basis


def test_cpu_time_is_a_true_zero_before_there_is_a_worker() -> None:
    """Nobody works yet, and that is known."""
    source = EstimateSource(Surroundings(VirtualClock(), "x", 2), OneProcess())
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    (reading,) = source.read(channels)
    assert (reading.value, reading.status) == (0.0, Status.OK)


def test_cpu_time_of_the_worker_is_read_once_there_is_one() -> None:
    """The channel follows the process that the driver names, as soon as it does."""
    pid: list[int] = []
    process = OneProcess()
    source = EstimateSource(Surroundings(VirtualClock(), "x", 2, lambda: pid[0] if pid else None), process)
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    assert source.read(channels)[0].value == 0.0
    pid.append(7)
    process.own_s = 2.5
    assert source.read(channels)[0].value == 2.5


def test_a_worker_that_cannot_be_read_gives_a_failed_reading() -> None:
    """Not being allowed to look is not the same as no work."""
    process = OneProcess()
    process.own_s = None
    source = EstimateSource(Surroundings(VirtualClock(), "x", 2, lambda: 7), process)
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    (reading,) = source.read(channels)
    assert reading.status is Status.FAILED
    assert math.isnan(reading.value)
