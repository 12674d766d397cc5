"""What the machine was like while it was measured."""

from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.analyse.conditions import condition_remarks
from llenergymeasure.model.event import PowerRestored
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.testing.builders import machine, session_facts, trace
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(2 * NS_PER_S, 14 * NS_PER_S)


def _said(found: Trace) -> dict[str, str]:
    return {one.code: one.evidence for one in condition_remarks(found, _WINDOW)}


def _used(gpu: Gpu, **changes: Any) -> Trace:
    return trace(
        (), machine=machine(gpus=(gpu,)), session=session_facts(device_ids=(gpu.uuid,), device="cuda"), **changes
    )


@pytest.mark.parametrize("second", [0, 5, 15])
def test_a_battery_at_any_time_is_told(second: int) -> None:
    """In the first idle, in the window, or at the end."""
    channel = Channel(0, "host", "package", "cpu", "a CPU", "on_battery", "", 1.0)
    readings = [Reading(at * NS_PER_S, 0, 0, float(at == second)) for at in range(16)]
    found = trace((), readings, channels=(channel,), machine=machine(power_source="mains"))
    assert _said(found)["on_battery"] == "the machine ran on its battery in 1 of 16 readings"


def test_mains_all_the_time_is_not() -> None:
    """What was read counts, and without readings what was seen at the begin."""
    channel = Channel(0, "host", "package", "cpu", "a CPU", "on_battery", "", 1.0)
    readings = [Reading(at * NS_PER_S, 0, 0, 0.0) for at in range(16)]
    assert not _said(trace((), readings, channels=(channel,), machine=machine(power_source="mains")))
    assert set(_said(trace((), machine=machine(power_source="battery")))) == {"on_battery"}


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (Gpu("GPU-1", "G", mig=True), "MIG mode"),
        (Gpu("GPU-1", "G", virtualization="vgpu"), "virtual machines (vgpu)"),
        (Gpu("MIG-0f", "G"), "instance of a partitioned board"),
    ],
)
def test_a_part_of_a_board_is_told(gpu: Gpu, words: str) -> None:
    """By the board's mode, by its virtualization, or by the name that the engine has for it."""
    assert words in _said(_used(gpu))["mig_or_vgpu"]


@pytest.mark.parametrize("virtualization", [None, "none", "passthrough"])
def test_a_whole_board_is_not(virtualization: str | None) -> None:
    """Passed through to a virtual machine it is whole."""
    assert not _said(_used(Gpu("GPU-1", "G", mig=False, virtualization=virtualization)))


def test_a_board_that_did_not_work_may_be_partitioned() -> None:
    """It is no business of this trial's."""
    found = trace((), machine=machine(gpus=(Gpu("GPU-2", "G", mig=True),)))
    assert not _said(found)


def test_contention_is_a_remark_and_what_is_not_known_is_none() -> None:
    """Its evidence names the device."""
    channels = tuple(
        Channel(number, "nvml", "gpu", "GPU-1", "G", "processes", "", 1.0, detail=detail)
        for number, detail in enumerate(("own", "foreign"))
    )
    readings = [Reading(5 * NS_PER_S, 0, number, 1.0) for number in range(2)]
    gpu = Gpu("GPU-1", "G")
    shared = trace(
        (),
        readings,
        channels=channels,
        machine=machine(gpus=(gpu,)),
        session=session_facts(device_ids=("GPU-1",), device="cuda"),
    )
    assert _said(shared)["contention"].startswith("GPU-1: processes of others, up to 1 at a time")
    assert not _said(_used(gpu))


def test_limits_that_were_not_taken_back_are_told() -> None:
    """With what is left to do."""
    gpu = Gpu("GPU-1", "G")
    left = _used(gpu, power_restored=PowerRestored(("GPU-1: the cap could not be set back to 700 W",)))
    assert _said(left) == {"power_not_restored": "GPU-1: the cap could not be set back to 700 W"}
    assert not _said(_used(gpu, power_restored=PowerRestored()))
