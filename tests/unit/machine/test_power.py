"""Caps and clocks of boards: what is refused, what is set and read back, and that it is taken back."""

from __future__ import annotations

import pynvml
import pytest

from llenergymeasure.machine.power import PowerError, PowerSetting, ask_permission, open_boards, refusals
from llenergymeasure.model.event import BoardPower
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble

_ALL = PowerKnobs(cap_w=400.0, sm_clock_mhz=1410, mem_clock_mhz=1593)
_NO_PERMISSION = pynvml.NVML_ERROR_NO_PERMISSION


def _state(gpu: GpuDouble) -> tuple[int, int | None, int | None]:
    return gpu.power_limit_mw, gpu.locked_sm_mhz, gpu.locked_memory_mhz


def _setting(*gpus: GpuDouble, knobs: PowerKnobs = _ALL) -> PowerSetting:
    nvml = NvmlDouble(*gpus)
    return PowerSetting(nvml, open_boards(nvml, {}), knobs)


def test_caps_and_clocks_are_set_read_back_and_taken_back() -> None:
    """Every visible board gets them; afterwards each has the cap that it had, and no lock."""
    gpus = (GpuDouble(uuid="GPU-a"), GpuDouble(uuid="GPU-b", power_limit_mw=650_000))
    setting = _setting(*gpus)
    assert setting.apply() == (
        BoardPower("GPU-a", 700.0, 400.0, 1410, 1593),
        BoardPower("GPU-b", 650.0, 400.0, 1410, 1593),
    )
    assert [_state(gpu) for gpu in gpus] == [(400_000, 1410, 1593)] * 2
    assert setting.restore() == ()
    assert [_state(gpu) for gpu in gpus] == [(700_000, None, None), (650_000, None, None)]
    gpus[0].power_limit_mw = 500_000  # somebody else's
    assert setting.restore() == () and gpus[0].power_limit_mw == 500_000


def test_what_is_not_asked_for_is_left_alone() -> None:
    """A cap alone touches no clock, and a lock that others made stays."""
    gpu = GpuDouble(locked_sm_mhz=1005)
    setting = _setting(gpu, knobs=PowerKnobs(cap_w=300.0))
    setting.apply()
    assert _state(gpu) == (300_000, 1005, None)
    setting.restore()
    assert _state(gpu) == (700_000, 1005, None)


def test_boards_that_are_hidden_from_the_engine_are_left_alone() -> None:
    """``CUDA_VISIBLE_DEVICES`` says whose boards these are."""
    nvml = NvmlDouble(GpuDouble(uuid="GPU-a"), GpuDouble(uuid="GPU-b"))
    assert [board.uuid for board in open_boards(nvml, {"CUDA_VISIBLE_DEVICES": "1"})] == ["GPU-b"]
    with pytest.raises(PowerError, match="none is visible"):
        open_boards(nvml, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.parametrize(
    "function",
    ["nvmlDeviceSetPowerManagementLimit", "nvmlDeviceSetGpuLockedClocks", "nvmlDeviceSetMemoryLockedClocks"],
)
def test_without_permission_nothing_is_left_changed(function: str) -> None:
    """The second board refuses: the first goes back, and the error says what helps."""
    gpus = (GpuDouble(uuid="GPU-a"), GpuDouble(uuid="GPU-b", fails={function: _NO_PERMISSION}))
    with pytest.raises(PowerError, match="this user may not set") as caught:
        _setting(*gpus).apply()
    assert "root" in caught.value.hint
    assert [_state(gpu) for gpu in gpus] == [(700_000, None, None)] * 2


def test_a_cap_that_is_not_in_force_is_refused() -> None:
    """What is read back decides: here another limit is lower."""

    class Limited(NvmlDouble):
        def nvmlDeviceGetEnforcedPowerLimit(self, handle: GpuDouble) -> int:
            return min(250_000, handle.power_limit_mw)

    gpu = GpuDouble()
    nvml = Limited(gpu)
    with pytest.raises(PowerError, match="a cap of 400 W was set and 250 W is in force"):
        PowerSetting(nvml, open_boards(nvml, {}), _ALL).apply()
    assert gpu.power_limit_mw == 700_000


def test_a_cap_that_could_not_be_set_back_is_not_set() -> None:
    """A board that does not tell its limit keeps it."""
    gpu = GpuDouble(fails={"nvmlDeviceGetPowerManagementLimit": pynvml.NVML_ERROR_UNKNOWN})
    with pytest.raises(PowerError, match="could not be set back"):
        _setting(gpu).apply()
    assert gpu.power_limit_mw == 700_000


def test_what_cannot_be_taken_back_is_said() -> None:
    """The rest is taken back all the same."""
    gpu = GpuDouble()
    setting = _setting(gpu)
    setting.apply()
    gpu.fails["nvmlDeviceSetPowerManagementLimit"] = pynvml.NVML_ERROR_GPU_IS_LOST
    (problem,) = setting.restore()
    assert "could not be set back to 700 W" in problem and gpu.locked_sm_mhz is None


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (PowerKnobs(cap_w=100.0), "takes 200 to 700 W, not 100"),
        (PowerKnobs(cap_w=900.0), "takes 200 to 700 W, not 900"),
        (PowerKnobs(sm_clock_mhz=1400), "no clock of 1400 MHz; the nearest is 1410"),
        (PowerKnobs(mem_clock_mhz=2600), "no clock of 2600 MHz; the nearest is 2619"),
    ],
)
def test_what_a_board_does_not_take_is_known_before(knobs: PowerKnobs, words: str) -> None:
    """By the ranges and clocks that the driver lists, with nothing changed."""
    nvml = NvmlDouble(GpuDouble())
    (problem,) = refusals(nvml, open_boards(nvml, {}), knobs)
    assert words in problem
    assert list(refusals(nvml, open_boards(nvml, {}), _ALL)) == []


def test_a_board_without_a_settable_limit_says_so() -> None:
    """Many laptops have none; a board that lists no clocks may still take one."""
    unsupported = pynvml.NVML_ERROR_NOT_SUPPORTED
    fails: dict[str | int, int] = {
        "nvmlDeviceGetPowerManagementLimitConstraints": unsupported,
        "nvmlDeviceGetSupportedMemoryClocks": unsupported,
    }
    nvml = NvmlDouble(GpuDouble(fails=fails))
    (problem,) = refusals(nvml, open_boards(nvml, {}), _ALL)
    assert "no power limit that can be set" in problem


def test_permission_is_asked_for_without_changing_anything() -> None:
    """The limit in force is set again; a board without one is not asked."""
    gpu = GpuDouble(power_limit_mw=512_000)
    nvml = NvmlDouble(gpu)
    ask_permission(nvml, open_boards(nvml, {}))
    assert gpu.power_limit_mw == 512_000
    gpu.fails["nvmlDeviceSetPowerManagementLimit"] = pynvml.NVML_ERROR_NOT_SUPPORTED
    ask_permission(nvml, open_boards(nvml, {}))
    gpu.fails["nvmlDeviceSetPowerManagementLimit"] = _NO_PERMISSION
    with pytest.raises(PowerError, match="may not set its power limit"):
        ask_permission(nvml, open_boards(nvml, {}))


def test_without_a_gpu_there_is_nothing_to_set() -> None:
    """No driver and no board are both said plainly."""
    with pytest.raises(PowerError, match="need an NVIDIA GPU"):
        open_boards(NvmlDouble(init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND), {})
    with pytest.raises(PowerError, match="none is visible"):
        open_boards(NvmlDouble(), {})
