"""GPUs as their driver describes them, on a double of the vendor's binding."""

from __future__ import annotations

import dataclasses

import pynvml
import pytest

from llenergymeasure.machine.gpus import gpus, gpus_of
from llenergymeasure.model.machine import Gpu
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble


def test_a_board_is_described_whole() -> None:
    """Milliwatts become W, flags truth values, and nothing is left out."""
    nvml = NvmlDouble(
        GpuDouble(power_limit_mw=500_000, mig=True, smoothing_profile=3),
        GpuDouble(uuid="GPU-2", persistence=False, ecc=False),
    )
    first, second = gpus_of(nvml)
    assert first == Gpu(
        uuid="GPU-00000000-0000-0000-0000-000000000001",
        name="NVIDIA H100 80GB HBM3",
        memory_bytes=80 * 2**30,
        driver_version="570.86.15",
        vbios_version="96.00.89.00.01",
        compute_capability="9.0",
        power_limit_w=500.0,
        power_limit_default_w=700.0,
        sm_clock_max_mhz=1980,
        memory_clock_max_mhz=2619,
        application_sm_clock_mhz=1980,
        application_memory_clock_mhz=2619,
        persistence_mode=True,
        ecc=True,
        mig=True,
        virtualization="none",
        compute_mode="default",
        performance_state=0,
        fan_percent=30,
        temperature_c=45,
        memory_temperature_c=52,
        pcie_generation=5,
        pcie_width=16,
        power_smoothing_profile=3,
    )
    assert (second.uuid, second.persistence_mode, second.ecc, second.mig) == ("GPU-2", False, False, False)
    assert second.power_smoothing_profile is None
    assert nvml.opened == 0


def test_what_a_board_does_not_answer_is_none() -> None:
    """Each question fails for itself; a limit of 0 is no limit."""
    functions = [name for name in vars(NvmlDouble) if name.startswith("nvmlDeviceGet") and "Handle" not in name]
    fails = {name: pynvml.NVML_ERROR_NOT_SUPPORTED for name in functions if name != "nvmlDeviceGetCount"}
    (gpu,) = gpus_of(NvmlDouble(GpuDouble(fails=fails)))
    assert (gpu.uuid, gpu.name, gpu.driver_version) == ("unknown", "unknown", "570.86.15")
    rest = [value for name, value in dataclasses.asdict(gpu).items() if name not in ("uuid", "name", "driver_version")]
    assert rest and set(rest) == {None}
    assert gpus_of(NvmlDouble(GpuDouble(power_limit_mw=0)))[0].power_limit_w is None


@pytest.mark.parametrize(("mode", "word"), [(1, "passthrough"), (2, "vgpu"), (3, "vgpu host"), (9, "9")])
def test_a_board_that_is_shared_out_to_virtual_machines_says_so(mode: int, word: str) -> None:
    """A mode that is not known keeps its number."""
    assert gpus_of(NvmlDouble(GpuDouble(virtualization=mode)))[0].virtualization == word


def test_without_a_driver_there_are_no_gpus() -> None:
    """No library, no driver, a board that is lost: nothing is raised, and the binding is closed again."""
    assert gpus_of(NvmlDouble(init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)) == ()
    lost = NvmlDouble(GpuDouble(fails={"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_GPU_IS_LOST}))
    assert gpus_of(lost) == () and lost.opened == 0


def test_boards_that_cannot_be_counted_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that fails after it was opened is closed."""
    nvml = NvmlDouble()

    def fail() -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", fail)
    assert gpus_of(nvml) == () and nvml.opened == 0


def test_this_machine_answers() -> None:
    """Whatever is here, each board has a name."""
    assert all(gpu.name for gpu in gpus())
