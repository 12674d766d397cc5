"""Caps and clocks are refused before anything runs, where they cannot be set."""

from __future__ import annotations

from typing import Any

import pynvml
import pytest

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.plan.resolve import power_knobs
from llenergymeasure.study.power import power_notice, power_problems
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble


def _config(**power: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate({"model": "m", "power": power})


def test_an_experiment_that_leaves_boards_as_they_are_asks_nothing() -> None:
    """No section, an empty one, or one whose value a sweep leaves out: no driver is looked for."""
    plain = ExperimentConfig.model_validate({"model": "m"})
    for config in (plain, _config(), _config(cap_w=None)):
        assert power_knobs(config) is None
        assert list(power_problems([(config, "cuda")], ask=True, nvml=object())) == []
        assert list(power_notice([config])) == []


def test_knobs_are_those_of_the_configuration() -> None:
    """What is not given stays as it is."""
    assert power_knobs(_config(cap_w=300, sm_clock_mhz=1410)) == PowerKnobs(300.0, 1410, None)
    (notice,) = power_notice([_config(cap_w=300), _config(cap_w=400)])
    assert "taken back after each" in notice and "administrator" in notice


def test_they_are_for_nvidia_gpus() -> None:
    """An experiment that runs elsewhere has none, whatever is in the machine."""
    (problem,) = power_problems([(_config(cap_w=300), "cpu")], ask=True, nvml=NvmlDouble(GpuDouble()))
    assert "an experiment runs on cpu" in problem
    (problem,) = power_problems([(_config(cap_w=300), "cuda")], ask=True, nvml=NvmlDouble())
    assert "need an NVIDIA GPU" in problem


def test_every_value_of_a_sweep_is_looked_at() -> None:
    """Each that a board does not take is told, once."""
    asked = [(_config(cap_w=watts), "cuda") for watts in (100, 300, 900, 900)]
    problems = list(power_problems(asked, ask=True, nvml=NvmlDouble(GpuDouble())))
    assert ["not 100" in problems[0], "not 900" in problems[1], len(problems)] == [True, True, 2]


@pytest.mark.parametrize(("ask", "found"), [(True, 1), (False, 0)])
def test_permission_is_asked_for_only_before_a_run(ask: bool, found: int) -> None:
    """A dry run sets nothing, not even what is in force."""
    fails: dict[str | int, int] = {"nvmlDeviceSetPowerManagementLimit": pynvml.NVML_ERROR_NO_PERMISSION}
    nvml = NvmlDouble(GpuDouble(fails=fails))
    problems = list(power_problems([(_config(cap_w=300), "cuda")], ask=ask, nvml=nvml))
    assert len(problems) == found and all("run as root" in problem for problem in problems)
