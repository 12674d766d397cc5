"""Packages of others that sources read through: they have what is used of them, and keep the contract."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import codecarbon, zeus
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.testing import zeus_double
from llenergymeasure.testing.source_contract import SourceContract

_AROUND = Surroundings(MonotonicClock(), cpu_model="a CPU", visible_cpus=2, asked_for=True)


class TestInstalledCodecarbon(SourceContract):
    """The real tracker on this machine, offline and with no file written."""

    @pytest.fixture(autouse=True)
    def _installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CODECARBON_COUNTRY_ISO_CODE", "FRA")
        # What a person's own settings could turn on.
        monkeypatch.setenv("CODECARBON_SAVE_TO_FILE", "true")
        monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", "http://127.0.0.1:9")
        yield
        assert list(tmp_path.iterdir()) == []
        logging.getLogger("codecarbon").disabled = False

    def open_source(self) -> EnergySource:
        return codecarbon.open_source(_AROUND)

    def test_both_figures_are_given(self) -> None:
        """Joules and grams, with what CodeCarbon says that it looks at."""
        source, channels = self.opened()
        source.close()
        assert [channel.unit for channel in channels] == ["J", "g"]
        assert "does not say" not in channels[0].device_name


def test_the_double_of_zeus_has_the_methods_of_zeus() -> None:
    """What the source calls exists in the installed package, and takes no argument."""
    from zeus.device.cpu.rapl import RAPLCPU, ZeusdRAPLCPU
    from zeus.device.gpu.amd import AMDGPU
    from zeus.device.gpu.nvidia import NVIDIAGPU
    from zeus.device.soc.apple import AppleSilicon
    from zeus.device.soc.jetson import DirectPower, Jetson

    for real in (AMDGPU, NVIDIAGPU, RAPLCPU, ZeusdRAPLCPU, AppleSilicon):
        double = getattr(zeus_double, real.__name__)
        called = [name for name, _ in inspect.getmembers(double, inspect.isfunction) if not name.startswith("_")]
        assert called
        for name in called:
            wanted = [p for p in inspect.signature(getattr(real, name)).parameters.values() if p.default is p.empty]
            assert [parameter.name for parameter in wanted] == ["self"], name
    assert list(inspect.signature(DirectPower.measure_power).parameters) == ["self"]
    assert {"self.power_measurement", "self.process"} <= set(inspect.getsource(Jetson.__init__).split())


def test_the_installed_zeus_answers_or_says_why_not() -> None:
    """On a machine without its devices it is importable and unusable, with a reason for each kind."""
    source = zeus.open_source(_AROUND)
    found = source.channels()
    source.close()
    assert found
    if isinstance(found, Unavailable):
        assert found.reason.startswith("Zeus is installed; GPUs: ")
