"""What is said of sensors: in a listing, after they were characterised, and when options do not go together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from llenergymeasure.cli.config import config
from llenergymeasure.cli.sensors import described, to_keep
from llenergymeasure.cli.showing import is_characterised
from llenergymeasure.energy.characterise import NO_LOAD
from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import Channel

_COUNTER = Channel(0, "nvml", "gpu", "GPU-1", "a board", "counter", "J", 0.1)
_PROFILE = SensorProfile("2026-11-25T00:00:00+00:00", "570.1", tick_s=0.1, to_power_idle=0.9997)


def test_a_share_that_rounds_to_nothing_has_no_minus() -> None:
    """-0.03 % is +0.0 %."""
    assert "  counter over power at rest: +0.0 %" in described(_COUNTER, _PROFILE)


@pytest.mark.parametrize(
    ("profile", "verdict"),
    [
        (replace(_PROFILE, passed=True), "passed"),
        (_PROFILE, "not passed"),
        (replace(_PROFILE, notes=(NO_LOAD,)), "not judged: that takes a load"),
    ],
)
def test_a_counter_that_no_load_was_made_for_did_not_fail(profile: SensorProfile, verdict: str) -> None:
    """It passed, or it did not, or nobody could know."""
    assert described(_COUNTER, profile)[0] == f"nvml:GPU-1:gpu:counter    {verdict}"


def test_a_profile_made_without_a_load_replaces_none_that_had_one() -> None:
    """Unless the driver is another one; a profile with a load always counts."""
    poor, whole = replace(_PROFILE, notes=(NO_LOAD,)), replace(_PROFILE, duty=1.0)
    assert to_keep({"a": whole}, {"a": poor, "b": poor}) == {"a": whole, "b": poor}
    assert to_keep({"a": poor}, {"a": whole}) == {"a": whole}
    other = replace(poor, driver="580.2")
    assert to_keep({"a": whole}, {"a": other}) == {"a": other}


@pytest.mark.parametrize(("driver", "known"), [("570.1", True), ("580.2", False)])
def test_a_profile_counts_under_the_driver_that_it_was_made_with(driver: str, known: bool) -> None:
    """Under another one the listing asks for a new one; a model needs none."""
    machine = replace(snapshot(), gpus=(Gpu("GPU-1", "a board", driver_version=driver),))
    profiles = {"nvml:GPU-1:gpu:counter": _PROFILE}
    assert is_characterised("nvml", machine, profiles) is known
    assert not is_characterised("rapl", machine, profiles)
    assert is_characterised("estimate", machine, {})


@pytest.mark.parametrize("options", [["--characterise", "--json"], ["--joules", "3"], ["--calibrate", "x", "--json"]])
def test_options_that_do_not_go_together_are_refused(options: list[str]) -> None:
    """None is passed over in silence."""
    done = CliRunner().invoke(config, options)
    assert done.exit_code == 2 and ("--json is for" in done.output or "go with --calibrate" in done.output)
