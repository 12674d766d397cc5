"""Joules that are part of others' are never added to them."""

from __future__ import annotations

import pytest

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, CpuPowerModel, Domain, Reading, Readings, Readout
from llenergymeasure.units import NS_PER_S

_HOST: tuple[Domain, ...] = ("gpu", "package", "dram")


def _counter(number: int, domain: Domain, device: str, covers: tuple[Domain, ...] = ()) -> Channel:
    return Channel(number, "s", domain, device, device, "counter", "J", 10.0, stated_error=0.05, covers=covers)


def _energy(power_w: dict[Channel, float], *used: str) -> TrialEnergy:
    """Counters that run at these powers, over 100 s."""
    readings = [
        Reading(tenth * NS_PER_S // 10, 0, channel.id, watts * tenth / 10)
        for tenth in range(1201)
        for channel, watts in power_w.items()
    ]
    readout = Readout(tuple(power_w), (), Readings.of(readings), used)
    return energy_of_window(readout, Interval(10 * NS_PER_S, 110 * NS_PER_S))


def test_the_processor_of_a_module_is_in_its_joules() -> None:
    """An engine that used a superchip and its CPU is charged the module once; the package is shown beside it."""
    module, package = _counter(0, "module", "GPU-1", _HOST), _counter(1, "package", "cpu")
    energy = _energy({module: 500.0, package: 100.0}, "GPU-1", "cpu")
    assert energy.total_j.value == pytest.approx(50_000, rel=1e-3)
    assert [(part.domain, part.in_headline) for part in energy.parts] == [("module", True), ("package", False)]
    assert energy.scope == "module, metered"


def test_another_gpu_is_not_in_a_module() -> None:
    """A module covers its own GPU alone."""
    module, gpu = _counter(0, "module", "GPU-1", _HOST), _counter(1, "gpu", "GPU-2")
    assert _energy({module: 500.0, gpu: 300.0}, "GPU-1", "GPU-2").total_j.value == pytest.approx(80_000, rel=1e-3)


def test_two_modules_are_two() -> None:
    """What they cover is covered once, and both count."""
    modules = {_counter(number, "module", f"GPU-{number}", _HOST): 500.0 for number in range(2)}
    assert _energy(modules, "GPU-0", "GPU-1").total_j.value == pytest.approx(100_000, rel=1e-3)


def test_a_gpu_and_a_package_are_added() -> None:
    """They are disjoint."""
    parts = {_counter(0, "gpu", "GPU-1"): 300.0, _counter(1, "package", "cpu"): 100.0, _counter(2, "dram", "cpu"): 10.0}
    assert _energy(parts, "GPU-1", "cpu").total_j.value == pytest.approx(41_000, rel=1e-3)


def test_an_estimate_of_what_a_module_meters_costs_no_total() -> None:
    """The module's joules are metered as a whole: what the model says of its processor is not needed."""
    bounds = CpuPowerModel(2, (1.0, 2.0), (0.1, 0.3), (0.5, 1.0), "made up")
    estimate = Channel(1, "estimate", "package", "cpu", "cpu", "model", "s", 10.0, cpu_power_model=bounds)
    energy = _energy({_counter(0, "module", "GPU-1", _HOST): 500.0, estimate: 1.0}, "GPU-1", "cpu")
    assert energy.total_j.value == pytest.approx(50_000, rel=1e-3)


@pytest.mark.parametrize("whole", ["wall", "node"])
def test_a_meter_of_the_whole_machine_speaks_for_the_node_and_is_added_to_nothing(whole: Domain) -> None:
    """It is no device that worked: a bystander beside the total, and the energy of the node."""
    meter = _counter(0, whole, "plug", ("gpu", "module", "package", "dram"))
    energy = _energy({meter: 600.0, _counter(1, "gpu", "GPU-1"): 300.0}, "GPU-1")
    assert energy.total_j.value == pytest.approx(30_000, rel=1e-3)
    assert energy.node_j.value == pytest.approx(60_000, rel=1e-3)
    assert [part.domain for part in energy.bystanders] == [whole]


def test_a_meter_of_the_whole_machine_that_is_asked_for_holds_the_others() -> None:
    """Wall and GPU together are the wall's joules, once."""
    meter = _counter(0, "wall", "plug", ("gpu", "module", "package", "dram", "node"))
    energy = _energy({meter: 600.0, _counter(1, "gpu", "GPU-1"): 300.0}, "plug", "GPU-1")
    assert energy.total_j.value == pytest.approx(60_000, rel=1e-3)
    assert energy.scope == "wall, metered"


def test_a_module_hides_no_other_gpu_of_the_node() -> None:
    """The node's sum holds both."""
    module, gpu = _counter(0, "module", "GPU-1", _HOST), _counter(1, "gpu", "GPU-2")
    assert _energy({module: 500.0, gpu: 300.0}, "GPU-1").node_j.value == pytest.approx(80_000, rel=1e-3)
