"""Every energy source keeps the contract: built-in ones on hardware or a double of it, and the simulation."""

from __future__ import annotations

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import estimate
from llenergymeasure.energy.contract import EnergySource, Surroundings
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.testing import simulated_source
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
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
