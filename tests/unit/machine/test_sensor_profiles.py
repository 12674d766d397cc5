"""Profiles and calibrations are kept on the machine and given to the channels that they are of."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.select import Reads, Selection
from llenergymeasure.errors import StoreError
from llenergymeasure.machine.sensor_profiles import (
    calibrations_path,
    name_of,
    profiles_path,
    stored_calibrations,
    stored_profiles,
    text_of,
    told,
    with_what_is_known,
)
from llenergymeasure.model.codec import decode, encode
from llenergymeasure.model.profile import Calibration, SensorProfile
from llenergymeasure.model.reading import Channel
from llenergymeasure.testing.simulated_source import SimulatedSource

_COUNTER = Channel(0, "rapl", "package", "cpu", "a CPU", "counter", "J", 20.0, update_period_s=0.001)
_PROFILE = SensorProfile(
    "2026-11-25T00:00:00+00:00", platform.release(), tick_s=0.1, lag_s=0.02, averaging_s=0.1, duty=1.0, passed=True
)
_CALIBRATION = Calibration(1.02, 0.006, "an interposer", "2026-11-25T00:00:00+00:00")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a configuration of the test's own."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _selection(channel: Channel = _COUNTER) -> Selection:
    return Selection((), (Reads(SimulatedSource(MonotonicClock()), (channel,)),))


def test_nothing_kept_changes_nothing() -> None:
    """A machine that was never characterised has channels as their sources give them."""
    selection = _selection()
    assert with_what_is_known(selection) is selection
    assert stored_profiles() == {} and stored_calibrations() == {}


def test_a_channel_gets_what_was_found_out_about_it() -> None:
    """Tick, lag, averaging and duty, the profile itself, and its calibration."""
    _keep(profiles_path(), text_of({name_of(_COUNTER): _PROFILE}))
    _keep(calibrations_path(), text_of({name_of(_COUNTER): _CALIBRATION}))
    (channel,) = with_what_is_known(_selection()).channels
    assert (channel.update_period_s, channel.lag_s, channel.averaging_s, channel.duty) == (0.1, 0.02, 0.1, 1.0)
    assert (channel.profile, channel.calibration) == (_PROFILE, _CALIBRATION)
    assert decode(Channel, encode(channel)) == channel


def test_a_profile_under_another_driver_is_none() -> None:
    """A driver may change how a sensor is read; a calibration is the board's own and stays."""
    _keep(profiles_path(), text_of({name_of(_COUNTER): dataclasses.replace(_PROFILE, driver="an older one")}))
    _keep(calibrations_path(), text_of({name_of(_COUNTER): _CALIBRATION}))
    (channel,) = with_what_is_known(_selection()).channels
    assert channel.profile is None and channel.update_period_s == 0.001
    assert channel.calibration == _CALIBRATION


def test_other_channels_are_left_alone() -> None:
    """Names tell sources, boards, domains and kinds apart."""
    _keep(profiles_path(), text_of({name_of(_COUNTER): _PROFILE}))
    other = dataclasses.replace(_COUNTER, domain="dram")
    assert with_what_is_known(_selection(other)).channels == (other,)


def test_what_a_source_states_of_the_averaging_stands_and_what_was_not_measured_is_kept() -> None:
    """A nominal second stays a second; a profile without a tick leaves the channel's own."""
    stated = dataclasses.replace(_COUNTER, averaging_s=1.0, lag_s=0.5)
    found = told(stated, SensorProfile("now", None, averaging_s=0.998), None)
    assert (found.averaging_s, found.lag_s, found.update_period_s) == (1.0, 0.5, 0.001)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_spoiled_file_of_profiles_holds_none(text: str) -> None:
    """It is a cache."""
    _keep(profiles_path(), text)
    assert stored_profiles() == {}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_spoiled_file_of_calibrations_is_told(text: str) -> None:
    """Quietly leaving a calibration out would change every number."""
    _keep(calibrations_path(), text)
    with pytest.raises(StoreError, match="not a file of calibrations"):
        stored_calibrations()
