"""What is read of Zeus's devices, and what is left to others."""

from __future__ import annotations

import builtins
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.energy import zeus
from llenergymeasure.energy.contract import Surroundings, Unavailable
from llenergymeasure.energy.select import select
from llenergymeasure.energy.zeus import ZeusSource
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import Channel, Reading, Status
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.zeus_double import (
    AMDGPU,
    NVIDIAGPU,
    RAPLCPU,
    AppleSilicon,
    Jetson,
    ZeusBaseError,
    ZeusDouble,
    ZeusdRAPLCPU,
)

_AROUND = Surroundings(VirtualClock(), "some CPU", 2)
_NAMED = dataclasses.replace(_AROUND, asked_for=True)


def _read(double: ZeusDouble, around: Surroundings = _AROUND) -> tuple[Sequence[Channel], Sequence[Reading]]:
    source = ZeusSource(double, around)
    channels = source.channels()
    assert not isinstance(channels, Unavailable), str(channels)
    return channels, source.read(channels)


def _values(double: ZeusDouble, around: Surroundings = _AROUND) -> dict[tuple[str, str, str], float]:
    channels, readings = _read(double, around)
    return {(c.device, c.domain, c.kind): r.value for c, r in zip(channels, readings, strict=True)}


def test_a_board_of_amd_gives_joules_watts_and_degrees() -> None:
    """Millijoules and milliwatts become joules and watts; what the board does not have is no channel."""
    assert _values(ZeusDouble(gpus=[AMDGPU(energy_mj=5_000, instant_mw=310_000)])) == {
        ("GPU-0", "gpu", "counter"): 5.0,
        ("GPU-0", "gpu", "power_instant"): 310.0,
        ("GPU-0", "gpu", "temperature"): 45.0,
    }


def test_a_counter_that_zeus_distrusts_is_not_read() -> None:
    """Zeus compares it with the power once; where that fails, power is what is left."""
    kinds = {channel.kind for channel in _read(ZeusDouble(gpus=[AMDGPU(counts=False)]))[0]}
    assert kinds == {"power_instant", "temperature"}


def test_zero_from_a_board_is_a_failed_reading() -> None:
    """A counter or a power of 0 is a failure that looks like a success."""
    channels, readings = _read(ZeusDouble(gpus=[AMDGPU(energy_mj=0)]))
    status = {channel.kind: reading.status for channel, reading in zip(channels, readings, strict=True)}
    assert status == {"counter": Status.FAILED, "power_instant": Status.OK, "temperature": Status.OK}


def test_a_board_that_is_lost_says_so() -> None:
    """Readings after the loss say that the device is gone, without a value."""
    board = AMDGPU()
    source = ZeusSource(ZeusDouble(gpus=[board]), _AROUND)
    channels = source.channels()
    assert not isinstance(channels, Unavailable)
    board.lost = True
    readings = source.read(channels)
    assert readings
    assert all(reading.status is Status.DEVICE_LOST and math.isnan(reading.value) for reading in readings)


def test_one_broken_board_leaves_the_others() -> None:
    """A board that cannot even say its name is left out."""

    class Broken(AMDGPU):
        def get_name(self) -> str:
            raise ZeusBaseError("no answer")

    assert {device for device, _, _ in _values(ZeusDouble(gpus=[Broken(0), AMDGPU(1)]))} == {"GPU-1"}


def test_boards_of_nvidia_are_left_to_nvml_unless_zeus_was_named() -> None:
    """Under ``auto`` a board has one reader; named, both are read and held against each other."""
    double = ZeusDouble(gpus=[NVIDIAGPU()])
    found = ZeusSource(double, _AROUND).channels()
    assert isinstance(found, Unavailable)
    assert "NVIDIA GPUs are read by nvml" in found.reason
    assert _values(double, _NAMED)[("GPU-0", "gpu", "power_mean")] == 305.0


def test_the_counter_of_a_superchip_is_that_of_the_module() -> None:
    """It covers the GPU, the processor and their memory, so that none of them is added to it."""
    board = NVIDIAGPU()
    board._is_grace_hopper = True  # type: ignore[attr-defined]
    channels, _ = _read(ZeusDouble(gpus=[board]), _NAMED)
    counter = next(channel for channel in channels if channel.kind == "counter")
    assert (counter.domain, counter.covers) == ("module", ("gpu", "package", "dram"))


def _tree(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        zone = root / f"intel-rapl:{number}"
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
    return root


def test_processors_are_read_through_the_daemon(tmp_path: Path) -> None:
    """Packages are summed, and their memory; ``psys``, which Zeus numbers among them, is not."""
    tree = _tree(tmp_path, "package-0", "psys", "package-1")
    assert _values(ZeusDouble(cpus=[ZeusdRAPLCPU(number) for number in range(3)], tree=tree)) == {
        ("cpu", "package", "counter"): 2.0,
        ("cpu", "dram", "counter"): 0.4,
    }


def test_memory_that_not_every_package_counts_is_not_read(tmp_path: Path) -> None:
    """A sum that lacks a part would quietly be smaller."""
    tree = _tree(tmp_path, "package-0", "package-1")
    values = _values(ZeusDouble(cpus=[ZeusdRAPLCPU(0), ZeusdRAPLCPU(1, dram_mj=None)], tree=tree))
    assert set(values) == {("cpu", "package", "counter")}


def test_processors_without_the_daemon_are_left_to_rapl(tmp_path: Path) -> None:
    """Zeus would start a process for each counter that `rapl` reads without one."""
    found = ZeusSource(ZeusDouble(cpus=[RAPLCPU(0)], tree=_tree(tmp_path, "package-0")), _NAMED).channels()
    assert isinstance(found, Unavailable)
    assert "read by rapl" in found.reason


def test_a_chip_of_apple_gives_its_counters() -> None:
    """They begin at 0, which is no failure here; what has no domain is left out."""
    assert _values(ZeusDouble(soc=AppleSilicon())) == {
        ("cpu", "package", "counter"): 1.0,
        ("cpu", "dram", "counter"): 0.3,
        ("mps:0", "gpu", "counter"): 0.0,
    }


def test_a_jetson_gives_the_power_of_its_rails_and_no_energy_of_zeus() -> None:
    """Zeus adds up power ten times a second in a process of its own: that is ended, and the meter reads the rails."""
    jetson = Jetson()
    assert _values(ZeusDouble(soc=jetson)) == {
        ("cpu", "package", "power_instant"): 2.0,
        ("jetson", "gpu", "power_instant"): 0.0,
        ("jetson", "module", "power_instant"): 9.0,
    }
    assert jetson.terminated


def test_nothing_found_says_what_zeus_said_of_each_kind() -> None:
    """Importable and useless: the reason names all three."""
    found = ZeusSource(ZeusDouble(), _AROUND).channels()
    assert isinstance(found, Unavailable)
    assert found.reason == (
        "Zeus is installed; GPUs: NVML and AMDSMI unavailable; processor: RAPL unavailable; "
        "system on a chip: no observable SoC was found"
    )


def test_auto_skips_a_zeus_that_is_here_and_reads_nothing() -> None:
    """What can be imported is not chosen for that."""

    def load(name: str) -> Callable[[Surroundings], ZeusSource]:
        return lambda around: ZeusSource(ZeusDouble(gpus=[AMDGPU(energy_mj=0, instant_mw=0)]), around)

    selection = select(("auto",), _AROUND, known=("zeus",), load=load)
    assert selection.reads == ()
    assert not selection.verdicts[0].usable


def test_without_zeus_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is an error of the opening, with the command that mends it."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "zeus":
            raise ImportError("no module named zeus")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnergyError, match="Zeus cannot be imported") as caught:
        zeus.open_source(_AROUND)
    assert "llenergymeasure[zeus]" in caught.value.hint
