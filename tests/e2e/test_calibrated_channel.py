"""A channel is held against a reference meter, and what is measured after that is corrected by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from llenergymeasure import measure
from llenergymeasure.cli import sensors
from llenergymeasure.cli.config import config
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.errors import EnergyError
from llenergymeasure.machine.sensor_profiles import stored_calibrations

_NAME = "simulated:cpu:package:counter"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_an_unknown_channel_is_refused_with_those_that_there_are() -> None:
    """A name that nothing has is not metered for a minute first."""
    found = CliRunner().invoke(config, ["--calibrate", "simulated:cpu:wall:counter"])
    assert isinstance(found.exception, EnergyError) and _NAME in found.exception.hint


def test_a_channel_is_calibrated_and_then_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gain is kept, the energy after it is divided by it, its uncertainty is the comparison's, and the grade is A."""
    monkeypatch.setattr(sensors, "_between_two_enters", lambda: MonotonicClock().sleep(1.0))
    found = CliRunner().invoke(
        config, ["--calibrate", _NAME, "--joules", "30", "--percent", "0.4"], input="\na meter\n"
    )
    assert found.exit_code == 0, found.output
    calibration = stored_calibrations()[_NAME]
    assert calibration.gain == pytest.approx(2.0, rel=0.3) and calibration.reference == "a meter"
    assert calibration.u_gain >= 0.004
    with measure(["cpu"], source="simulated") as measured:
        MonotonicClock().sleep(1.0)
    (part,) = measured.channels
    assert part.grade == measured.energy_j.grade == "A"
    assert measured.energy_j.value is not None and measured.duration_s is not None
    # Its truth is 60 W, give or take 10 W over two seconds.
    assert measured.energy_j.value * calibration.gain / measured.duration_s == pytest.approx(60.0, abs=11.0)
