"""Every energy source keeps the contract: built-in ones on hardware or a double of it, and the simulation."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import estimate
from llenergymeasure.energy.codecarbon import CodecarbonSource, Kept
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.energy.rapl import RaplSource
from llenergymeasure.energy.zeus import ZeusSource
from llenergymeasure.model.reading import Channel
from llenergymeasure.testing import simulated_source
from llenergymeasure.testing.codecarbon_double import TrackerDouble
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
from llenergymeasure.testing.powercap_double import RANGE_UJ, PowercapDouble
from llenergymeasure.testing.recorded_server import recorded_server
from llenergymeasure.testing.source_contract import SourceContract
from llenergymeasure.testing.zeus_double import AMDGPU, AppleSilicon, Jetson, ZeusDouble

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


class TestZeusBoards(SourceContract):
    """Two boards, one of which has no counter that Zeus trusts."""

    def open_source(self) -> EnergySource:
        boards = (AMDGPU(0), AMDGPU(1, counts=False, average_mw=300_000))
        return ZeusSource(ZeusDouble(gpus=boards), _AROUND)


class TestZeusApple(SourceContract):
    """A chip whose counters begin at 0."""

    def open_source(self) -> EnergySource:
        return ZeusSource(ZeusDouble(soc=AppleSilicon()), _AROUND)


class TestZeusJetson(SourceContract):
    """A board with rails."""

    def open_source(self) -> EnergySource:
        return ZeusSource(ZeusDouble(soc=Jetson()), _AROUND)


class TestCodecarbon(SourceContract):
    """The witness, with energy and CO2e."""

    def open_source(self) -> EnergySource:
        around = Surroundings(MonotonicClock(), "a CPU", 2, asked_for=True)
        return CodecarbonSource(TrackerDouble, "3.3.2", around)


class TestFailingCodecarbon(SourceContract):
    """A witness that falls silent once its channels are known."""

    def opened(self) -> tuple[EnergySource, Sequence[Channel]]:
        trackers: list[TrackerDouble] = []

        def open_tracker(kept: Kept) -> TrackerDouble:
            trackers.append(TrackerDouble(kept))
            return trackers[0]

        source = CodecarbonSource(open_tracker, "3.3.2", Surroundings(MonotonicClock(), "a CPU", 2, asked_for=True))
        channels = source.channels()
        assert not isinstance(channels, Unavailable)
        trackers[0].broken = True
        return source, channels

    def open_source(self) -> EnergySource:
        return CodecarbonSource(TrackerDouble, "3.3.2", _AROUND)


class TestShelly(SourceContract):
    """The example of a wall meter, over HTTP from recorded answers."""

    @pytest.fixture(autouse=True)
    def _plug(self) -> Iterator[None]:
        path = Path(__file__).parents[2] / "examples" / "wall_meter_shelly" / "llem_shelly.py"
        found = importlib.util.spec_from_file_location("llem_shelly_example", path)
        assert found is not None and found.loader is not None
        self.module = importlib.util.module_from_spec(found)
        found.loader.exec_module(self.module)
        status = b'{"id": 0, "apower": 312.4, "aenergy": {"total": 1234.567}}'
        answers = {"/rpc/Shelly.GetDeviceInfo": (200, b'{"id": "plug"}'), "/rpc/Switch.GetStatus?id=0": (200, status)}
        with recorded_server(answers) as self.plug:
            yield

    def open_source(self) -> EnergySource:
        source: EnergySource = self.module.ShellySource(self.plug.address, "switch:0", _AROUND)
        return source


class TestFailingShelly(TestShelly):
    """A plug that falls silent once its channels are known."""

    def opened(self) -> tuple[EnergySource, Sequence[Channel]]:
        source, channels = super().opened()
        self.plug.answers.clear()
        return source, channels
