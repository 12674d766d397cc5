"""Objects with the names and methods of Zeus's devices, as far as the source calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class ZeusBaseError(Exception):
    """The base of what Zeus raises."""


class ZeusGPUNotSupportedError(ZeusBaseError):
    """A device without that quantity."""


class ZeusGPULostError(ZeusBaseError):
    """A device that is gone."""


@dataclass
class AMDGPU:
    """A board. ``counts``: Zeus found that its counter follows its power; what is ``None`` is not supported."""

    gpu_index: int = 0
    name: str = "AMD Instinct MI300X"
    counts: bool = True
    energy_mj: int = 5_000_000
    instant_mw: int | None = 310_000
    average_mw: int | None = None
    temperature_c: int = 45
    lost: bool = False

    def get_name(self) -> str:
        return self.name

    def supports_get_total_energy_consumption(self) -> bool:
        return self.counts

    def get_total_energy_consumption(self) -> int:
        return self._given(self.energy_mj)

    def get_instant_power_usage(self) -> int:
        return self._given(self.instant_mw)

    def get_average_power_usage(self) -> int:
        return self._given(self.average_mw)

    def get_gpu_temperature(self) -> int:
        return self._given(self.temperature_c)

    def _given(self, value: int | None) -> int:
        if self.lost:
            raise ZeusGPULostError("the GPU has fallen off the bus")
        if value is None:
            raise ZeusGPUNotSupportedError("not supported on this GPU")
        return value


@dataclass
class NVIDIAGPU(AMDGPU):
    """A board of the other maker."""

    name: str = "NVIDIA H100 80GB HBM3"
    average_mw: int | None = 305_000


@dataclass
class RAPLCPU:
    """A zone of the powercap tree, read as a file."""

    cpu_index: int
    cpu_mj: float = 1_000.0
    dram_mj: float | None = 200.0

    def get_total_energy_consumption(self) -> Any:
        return SimpleNamespace(cpu_mj=self.cpu_mj, dram_mj=self.dram_mj)

    def supports_get_dram_energy_consumption(self) -> bool:
        return self.dram_mj is not None


class ZeusdRAPLCPU(RAPLCPU):
    """A zone, read by the daemon."""


@dataclass
class AppleSilicon:
    """A chip with three counters, and one that has no domain."""

    cpu_total_mj: int = 1_000
    gpu_mj: int = 0
    dram_mj: int = 300
    ane_mj: int = 5

    def get_available_metrics(self) -> set[str]:
        return {"cpu_total_mj", "gpu_mj", "dram_mj", "ane_mj"}

    def get_total_energy_consumption(self) -> AppleSilicon:
        return self


class _Rail:
    def __init__(self, power_mw: float) -> None:
        self.power_mw = power_mw

    def measure_power(self) -> float:
        return self.power_mw


class Jetson:
    """A board with three rails and the process that adds up their power."""

    def __init__(self) -> None:
        self.power_measurement = {
            "cpu_power_mw": _Rail(2_000.0),
            "gpu_power_mw": _Rail(0.0),
            "total_power_mw": _Rail(9_000.0),
        }
        self.process = self
        self.terminated = False

    def terminate(self) -> None:
        self.terminated = True


@dataclass
class ZeusDouble:
    """What Zeus finds; what it does not find is an error, as in Zeus."""

    gpus: Sequence[Any] = ()
    cpus: Sequence[Any] = ()
    soc: Any = None
    tree: Path = Path("nowhere")
    error: type[Exception] = ZeusBaseError

    def get_gpus(self) -> Any:
        if not self.gpus:
            raise ZeusBaseError("NVML and AMDSMI unavailable")
        return SimpleNamespace(gpus=self.gpus)

    def get_cpus(self) -> Any:
        if not self.cpus:
            raise ZeusBaseError("RAPL unavailable")
        return SimpleNamespace(cpus=self.cpus, rapl_dir=str(self.tree))

    def get_soc(self) -> Any:
        if self.soc is None:
            raise ZeusBaseError("no observable SoC was found")
        return self.soc

    def uuid(self, gpu: Any) -> str:
        return f"GPU-{gpu.gpu_index}"
