"""Two meters of one board, calibrated channels, grades, and the sum of all that a machine has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from llenergymeasure.analyse.energy.calibration import calibration_of
from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.analyse.energy.series import Joules
from llenergymeasure.analyse.validity import metering_remarks
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import Calibration, SensorProfile
from llenergymeasure.model.reading import Channel, ChannelKind, Domain, Reading, Readings, Readout
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(5 * NS_PER_S, 16 * NS_PER_S)
_CALIBRATION = Calibration(1.04, 0.005, "an interposer", "2026-11-25T00:00:00+00:00")


def _channel(kind: ChannelKind = "counter", domain: Domain = "gpu", device: str = "GPU-1", **more: object) -> Channel:
    unit = "J" if kind == "counter" else "W"
    return dataclasses.replace(
        Channel(0, "nvml", domain, device, device, kind, unit, 50.0, stated_error=0.05),
        **more,  # type: ignore[arg-type]
    )


def _readout(*pairs: tuple[Channel, float], used: Sequence[str] = ("GPU-1",)) -> Readout:
    """Each channel at a steady power, read 50 times a second for 20 s."""
    readings = [
        Reading(step * NS_PER_S // 50, 1000, place, 500 + watts * step / 50 if channel.kind == "counter" else watts)
        for step in range(1001)
        for place, (channel, watts) in enumerate(pairs)
    ]
    channels = tuple(dataclasses.replace(channel, id=place) for place, (channel, _) in enumerate(pairs))
    return Readout(channels, (), Readings.of(readings), tuple(used))


def _codes(readout: Readout, energy: TrialEnergy) -> list[str]:
    return [remark.code for remark in metering_remarks(readout, energy, ())]


@pytest.mark.parametrize(("other_w", "agrees"), [(300.0, True), (295.0, True), (290.0, False), (330.0, False)])
def test_two_meters_of_a_board_are_held_against_each_other(other_w: float, agrees: bool) -> None:
    """Both are published with their ratio; beyond 2 % the interval reaches from one to the other, and it is told."""
    readout = _readout((_channel(), 300.0), (_channel("power_instant"), other_w))
    found = energy_of_window(readout, _WINDOW)
    (check,) = found.checks
    assert (check.record.kind, check.record.other_kind) == ("counter", "power_instant")
    assert check.record.ratio == pytest.approx(300 / other_w, rel=1e-3)
    assert check.record.agrees is agrees
    assert (_codes(readout, found) == ["source_disagreement"]) is not agrees
    bounds = found.total_j.repeatability_95
    assert bounds is not None and found.total_j.value == pytest.approx(3300.0)
    assert (bounds.low <= other_w * 11 <= bounds.high) or agrees
    assert any(term.name == "u_source" for term in found.terms) is not agrees


@pytest.mark.parametrize(("other_gain", "agrees"), [(1.0, True), (1.04, False)])
def test_two_calibrated_meters_are_compared_as_calibrated(other_gain: float, agrees: bool) -> None:
    """What a reference has put right is no disagreement, and what it has put wrong is one."""
    other = _channel("power_instant", calibration=dataclasses.replace(_CALIBRATION, gain=other_gain))
    readout = _readout((_channel(calibration=_CALIBRATION), 312.0), (other, 300.0))
    (check,) = energy_of_window(readout, _WINDOW).checks
    assert check.ratio == pytest.approx(other_gain, rel=1e-3)
    assert check.agrees is agrees


def test_a_difference_that_their_own_uncertainty_explains_is_no_disagreement() -> None:
    """Power that swings and is looked at a quarter of the time may well be 3 % off."""
    counter = dataclasses.replace(_channel(), id=0)
    power = _channel("power_instant", id=1, update_period_s=0.1, averaging_s=0.025, duty=0.25, lag_s=0.0)
    readings = []
    for step in range(1001):
        t_ns = step * NS_PER_S // 50
        readings.append(Reading(t_ns, 1000, 0, 500 + 300 * step / 50))
        readings.append(Reading(t_ns, 1000, 1, 309.0 + (150 if step // 5 % 2 else -150)))
    found = energy_of_window(Readout((counter, power), (), Readings.of(readings), ("GPU-1",)), _WINDOW, 0.1)
    (check,) = found.checks
    assert abs(check.ratio - 1) > 0.02 and check.agrees


def test_a_short_window_is_not_cross_checked() -> None:
    """Below 10 s the edges may be the reason of a difference."""
    readout = _readout((_channel(), 300.0), (_channel("power_instant"), 200.0))
    assert energy_of_window(readout, Interval(5 * NS_PER_S, 14 * NS_PER_S)).checks == ()


def test_meters_of_other_boards_and_domains_prove_nothing() -> None:
    """Only the same domain of the same device is compared."""
    readout = _readout((_channel(), 300.0), (_channel("power_instant", device="GPU-2"), 200.0))
    assert energy_of_window(readout, _WINDOW).checks == ()


def test_a_calibrated_channel_is_corrected_and_its_gain_is_that_of_the_comparison() -> None:
    """Grade A, the value divided by the gain, the maker's error replaced; the cross-check stays with what was read."""
    plain = energy_of_window(_readout((_channel(), 300.0)), _WINDOW)
    readout = _readout((_channel(calibration=_CALIBRATION), 300.0), (_channel("power_instant"), 300.0))
    found = energy_of_window(readout, _WINDOW)
    assert (plain.total_j.grade, found.total_j.grade) == ("B", "A")
    assert found.total_j.value == pytest.approx(3300 / 1.04)
    assert dict((term.name, term.relative) for term in found.terms)["u_gain"] == 0.005
    assert found.checks[0].ratio == pytest.approx(1.0, rel=1e-3)
    assert found.total_j.absolute_95 is not None and plain.total_j.absolute_95 is not None
    assert found.total_j.absolute_95.high < plain.total_j.absolute_95.high


@pytest.mark.parametrize(
    ("kind", "passed", "grade"), [("counter", True, "B+"), ("counter", False, "B"), ("power_instant", True, "B")]
)
def test_a_counter_that_passed_is_graded_higher(kind: ChannelKind, passed: bool, grade: str) -> None:
    """B+ is for counters that passed their characterisation."""
    profile = SensorProfile("2026-11-25T00:00:00+00:00", "570", passed=passed)
    found = energy_of_window(_readout((_channel(kind, profile=profile), 300.0)), _WINDOW)
    assert found.total_j.grade == grade


def test_the_grade_of_a_sum_is_the_lowest() -> None:
    """One calibrated board does not vouch for another."""
    readout = _readout(
        (_channel(calibration=_CALIBRATION), 300.0), (_channel(device="GPU-2"), 200.0), used=("GPU-1", "GPU-2")
    )
    assert energy_of_window(readout, _WINDOW).total_j.grade == "B"


def test_a_reference_meter_gives_gain_and_its_uncertainty() -> None:
    """The channel's own edges count, its stated gain does not."""
    shown = Joules(1040.0, 0.0, 0.0, "a method", (("u_gain", 0.029), ("u_edge", 0.003)))
    found = calibration_of(shown, 1000.0, 0.004, reference="a meter", measured_at="now")
    assert found.gain == pytest.approx(1.04) and found.u_gain == pytest.approx(0.005)


@pytest.mark.parametrize(("joules", "u"), [(0.0, 0.01), (-5.0, 0.01), (100.0, -0.01)])
def test_a_reference_that_cannot_be_is_refused(joules: float, u: float) -> None:
    """Nothing divided by nothing, and no uncertainty below none."""
    shown = Joules(1040.0, 0.0, 0.0, "a method")
    with pytest.raises(ConfigError, match="calibrates nothing"):
        calibration_of(shown, joules, u, reference="", measured_at="")


def test_the_node_adds_up_disjoint_domains_and_names_what_is_missing() -> None:
    """The processor that did not work for the GPU's backend is in it; what no meter sees is named."""
    found = energy_of_window(_readout((_channel(), 300.0), (_channel(domain="package", device="cpu"), 100.0)), _WINDOW)
    assert found.total_j.value == pytest.approx(3300.0)
    assert found.node_j.value == pytest.approx(4400.0)
    assert found.node_missing == ("memory", "power supply, fans, network and storage")


def test_a_module_holds_the_processor_already() -> None:
    """No joule is counted twice, on whatever device its domain is read."""
    module = _channel(domain="module", covers=("gpu", "package", "dram"))
    found = energy_of_window(_readout((module, 500.0), (_channel(domain="package", device="cpu"), 100.0)), _WINDOW)
    assert found.node_j.value is None and "only module" in str(found.node_j.reason)
    assert found.node_missing == ("power supply, fans, network and storage",)


def test_a_meter_of_the_node_speaks_for_all() -> None:
    """With one at the wall nothing is added and nothing is missing."""
    wall = _channel("power_instant", "wall", "plug")
    found = energy_of_window(_readout((_channel(), 300.0), (wall, 600.0)), _WINDOW)
    assert found.node_j.value == pytest.approx(6600.0, rel=1e-3) and found.node_missing == ()


def test_one_kind_of_domain_is_no_sum() -> None:
    """Nothing is said of a node of which only its GPUs are read."""
    found = energy_of_window(_readout((_channel(), 300.0)), _WINDOW)
    assert found.node_j.value is None and found.node_missing[:2] == ("processors", "memory")
