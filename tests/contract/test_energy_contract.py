"""Every energy source keeps the contract: built-in ones on hardware or a double of it, and the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import estimate
from llenergymeasure.energy.contract import EnergySource, Surroundings
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.rapl import RaplSource
from llenergymeasure.model.reading import Channel
from llenergymeasure.testing import simulated_source
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
from llenergymeasure.testing.powercap_double import RANGE_UJ, PowercapDouble
from llenergymeasure.testing.source_contract import SourceContract

_AROUND = Surroundings(MonotonicClock(), cpu_model="AMD EPYC 7763 64-Core Processor", visible_cpus=2)


class TestEstimate(SourceContract):
    """The power model of the CPUs."""

    def open_source(self) -> EnergySource:
        return estimate.open_source(_AROUND)


class TestSimulated(SourceContract):
    """The source with a known truth."""

    def open_source(self) -> EnergySource:
        return simulated_source.open_source(_AROUND)


class TestNvml(SourceContract):
    """Three boards of different makes, one of which has no energy counter."""

    def open_source(self) -> EnergySource:
        import pynvml

        boards = (
            GpuDouble(),
            GpuDouble(uuid="GPU-2", name="NVIDIA GH200 480GB"),
            GpuDouble(
                uuid="GPU-3",
                name="Tesla P100",
                capability=(6, 0),
                fails={
                    "nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED,
                    pynvml.NVML_FI_DEV_POWER_INSTANT: pynvml.NVML_ERROR_NOT_SUPPORTED,
                },
            ),
        )
        return NvmlSource(NvmlDouble(*boards), MonotonicClock())


class TestFailingNvml(SourceContract):
    """A board whose counter reads zero and whose power field fails: the contract holds without a value."""

    def open_source(self) -> EnergySource:
        import pynvml

        board = GpuDouble(energy_mj=0, fails={pynvml.NVML_FI_DEV_POWER_INSTANT: pynvml.NVML_ERROR_UNKNOWN})
        return NvmlSource(NvmlDouble(board), MonotonicClock())


class _OnPowercap(SourceContract):
    """A tree in a folder, whose counters turn each time the clock is looked at."""

    @pytest.fixture(autouse=True)
    def _tree(self, tmp_path: Path) -> None:
        self.tree = PowercapDouble(tmp_path, look_s=0.005)
        self.clock = self.tree
        # The first wraps after a few readings.
        self.tree.add("intel-rapl:0", "package-0", uj=RANGE_UJ - 10_000_000, power_w=200.0)
        self.tree.add("intel-rapl:0:0", "dram", power_w=20.0)
        self.tree.add("intel-rapl:1", "package-1", power_w=150.0)
        self.tree.add("intel-rapl:1:0", "dram", power_w=20.0)

    def open_source(self) -> EnergySource:
        return RaplSource(Surroundings(self.clock, "a CPU", 64), self.tree.root, self.tree.read)


class TestRapl(_OnPowercap):
    """Two packages with memory, one of which wraps meanwhile."""


class TestFailingRapl(_OnPowercap):
    """A counter that cannot be read any more once the channels are known."""

    def opened(self) -> tuple[EnergySource, Sequence[Channel]]:
        source, channels = super().opened()
        self.tree.denied.add("intel-rapl:1")
        return source, channels
