"""``measure()``: a real meter around code of one's own."""

import dataclasses
import os
import subprocess
import sys
import time

import psutil
import pytest

import llenergymeasure as llem
from llenergymeasure.measuring import beside_s, counted
from llenergymeasure.model.reading import Channel


def _burn(cpu_s: float) -> None:
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        pass


def _channel(device: str, domain: str = "gpu", kind: str = "counter", name: str = "H100") -> Channel:
    return Channel(0, "nvml", domain, device, name, kind, "J", 10.0)  # type: ignore[arg-type]


def test_a_block_has_energy_by_the_estimate():
    """The work of this process counts, with bounds, marked as estimated; no process is left."""
    with llem.measure(source="estimate") as measured:
        assert measured.energy_j.value is None
        _burn(0.3)
    assert measured.energy_j.value is not None
    bounds = measured.energy_j.absolute_95
    assert bounds is not None and 0 < bounds.low < measured.energy_j.value < bounds.high
    assert measured.energy_j.estimated and measured.energy_j.unit == "J"
    assert measured.duration_s is not None and measured.duration_s >= 0.3
    assert [channel.device for channel in measured.channels] == ["cpu"]
    assert "around a block" in (measured.channels[0].net_j.reason or "")
    assert [remark.code for remark in measured.validity.remarks] == ["estimated_energy"]
    assert not [child for child in psutil.Process().children() if "llenergymeasure.meter" in child.cmdline()]


def test_more_work_is_more_energy():
    """A block that computes takes more power than one that waits for a child that sleeps."""
    with llem.measure(source="estimate") as idle:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.6)"], check=True)
    with llem.measure(source="estimate") as busy:
        _burn(0.6)
    assert idle.energy_j.value and idle.duration_s and busy.energy_j.value and busy.duration_s
    assert busy.energy_j.value / busy.duration_s > 1.2 * idle.energy_j.value / idle.duration_s


def test_a_decorator_holds_the_last_call():
    """Each call is measured; an exception passes through and the block is measured all the same."""
    measured = llem.measure(source="estimate")

    @measured
    def work(fail: bool) -> str:
        _burn(0.05)
        if fail:
            raise ZeroDivisionError
        return "done"

    assert work(False) == "done"
    first_s = measured.duration_s
    with pytest.raises(ZeroDivisionError):
        work(True)
    assert measured.duration_s != first_s
    assert measured.energy_j.value is not None


def test_nothing_read_is_no_energy():
    """Energy is missing with its reason, not 0."""
    with llem.measure(source="none") as measured:
        pass
    assert measured.energy_j.value is None
    assert measured.energy_j.reason == "no energy was read, as asked"


@pytest.mark.parametrize("given", [{"source": "estimate", "devices": [0]}, {"source": "no-such-source"}])
def test_what_cannot_be_read_is_refused_at_the_start(given):
    """A device or source that is not there is an error before the block runs, and leaves no meter."""
    with pytest.raises(llem.EnergyError), llem.measure(**given):
        raise AssertionError("the block must not run")
    assert not [child for child in psutil.Process().children() if "llenergymeasure.meter" in child.cmdline()]


def test_one_measurement_does_not_hold_two_blocks():
    """Entering it again while it runs is an error that says so."""
    measured = llem.measure(source="estimate")
    with measured, pytest.raises(llem.LLEMError, match="running already"), measured:
        pass
    assert measured.energy_j.value is not None


def test_accelerators_that_can_be_seen_count_before_the_cpu():
    """A GPU hidden from this process is a bystander; without any, the CPU counts."""
    channels = [_channel("GPU-1"), _channel("GPU-2"), _channel("cpu", "package", "model", "a CPU")]
    assert counted(channels, None, {}) == ("GPU-1", "GPU-2")
    assert counted(channels, None, {"CUDA_VISIBLE_DEVICES": "1"}) == ("GPU-2",)
    assert counted(channels, None, {"CUDA_VISIBLE_DEVICES": ""}) == ("cpu",)
    assert counted(channels, [1, "cpu"], {}) == ("GPU-2", "cpu")
    with pytest.raises(llem.EnergyError) as refused:
        counted(channels, ["GPU-9"], {})
    assert refused.value.hint == "can be read: GPU-1, GPU-2, cpu"


def test_the_environment_names_the_source(monkeypatch):
    """Without ``source`` the effective setting decides, as for a run."""
    monkeypatch.setitem(os.environ, "LLEM_ENERGY_SOURCE", "none")
    with llem.measure() as measured:
        pass
    assert measured.energy_j.reason == "no energy was read, as asked"


def test_meters_are_read_beside_the_block_for_a_few_of_their_ticks():
    """A second for fast ones, five ticks of slow ones, a mean until it is whole; a model needs nothing."""

    def channel(**more: object) -> Channel:
        return dataclasses.replace(_channel("GPU-1"), **more)  # type: ignore[arg-type]

    used = ("GPU-1",)
    assert beside_s([channel(rate_hz=50.0)], used) == 1.0
    assert beside_s([channel(rate_hz=50.0, update_period_s=0.5)], used) == 2.5
    assert beside_s([channel(rate_hz=1.0)], used) == 5.0
    assert beside_s([channel(rate_hz=50.0), channel(kind="power_mean", rate_hz=10.0, averaging_s=2.0)], used) == 2.4
    assert beside_s([channel(rate_hz=1.0), channel(device="cpu", kind="model", rate_hz=1.0)], ("cpu",)) == 0.0


def test_a_slow_meter_that_is_no_device_in_use_is_read_beside_the_block_where_sources_are_named():
    """A meter at the wall reads once a second: five of its ticks."""
    wall = dataclasses.replace(_channel("plug", "wall"), rate_hz=1.0)
    channels = [dataclasses.replace(_channel("GPU-1"), rate_hz=50.0), wall]
    assert (beside_s(channels, ("GPU-1",)), beside_s(channels, None)) == (1.0, 5.0)
