"""CodeCarbon is a witness: asked for by name, read apart."""

from __future__ import annotations

import builtins
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from llenergymeasure.energy import codecarbon
from llenergymeasure.energy.codecarbon import CodecarbonSource, Kept
from llenergymeasure.energy.contract import Surroundings, Unavailable
from llenergymeasure.energy.select import select
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import Status
from llenergymeasure.testing.codecarbon_double import TrackerDouble
from llenergymeasure.testing.virtual_clock import VirtualClock

_AROUND = Surroundings(VirtualClock(), "some CPU", 2, asked_for=True)


class _Opened:
    """A source, and the tracker that it opened."""

    def __init__(self, around: Surroundings = _AROUND, **how: Any) -> None:
        self.trackers: list[TrackerDouble] = []

        def open_tracker(kept: Kept) -> TrackerDouble:
            self.trackers.append(TrackerDouble(kept, **how))
            return self.trackers[-1]

        self.source = CodecarbonSource(open_tracker, "3.3.2", around)


def test_energy_and_co2e_are_cumulative_channels_of_a_witness() -> None:
    """Kilowatt-hours become joules and kilograms grams; the name repeats what CodeCarbon says it looks at."""
    opened = _Opened(step_kwh=0.001)
    channels = opened.source.channels()
    assert not isinstance(channels, Unavailable)
    first, second = opened.source.read(channels), opened.source.read(channels)
    assert [(channel.kind, channel.unit, channel.detail) for channel in channels] == [
        ("witness", "J", ""),
        ("witness", "g", "CO2e, FRA"),
    ]
    assert {channel.device_name for channel in channels} == {"CodeCarbon 3.3.2: RAM() + CPU(Cpu Load)"}
    assert second[0].value - first[0].value == pytest.approx(3600.0)
    assert second[1].value - first[1].value == pytest.approx(0.056)


def test_without_a_country_there_are_no_grams() -> None:
    """The mean of the world is nobody's grid."""
    channels = _Opened(country=None).source.channels()
    assert not isinstance(channels, Unavailable)
    assert [channel.unit for channel in channels] == ["J"]


def test_it_is_started_only_when_it_was_asked_for() -> None:
    """Trying what is here opens no tracker."""
    opened = _Opened(dataclasses.replace(_AROUND, asked_for=False))
    found = opened.source.channels()
    assert isinstance(found, Unavailable)
    assert "only when it is asked for by name" in found.reason
    assert opened.trackers == []


def test_a_tracker_that_fails_quietly_is_unavailable() -> None:
    """CodeCarbon swallows its errors and hands over nothing."""
    found = _Opened(broken=True).source.channels()
    assert isinstance(found, Unavailable)
    assert "gave no figures" in found.reason


def test_a_read_that_fails_has_no_value() -> None:
    """An old figure is never repeated."""
    opened = _Opened()
    channels = opened.source.channels()
    assert not isinstance(channels, Unavailable)
    opened.trackers[0].broken = True
    readings = opened.source.read(channels)
    assert [reading.status for reading in readings] == [Status.FAILED, Status.FAILED]
    assert all(math.isnan(reading.value) for reading in readings)


def test_it_is_stopped_once() -> None:
    """Closing twice stops the tracker one time."""
    opened = _Opened()
    opened.source.channels()
    opened.source.close()
    opened.source.close()
    assert opened.trackers[0].calls.count("stop") == 1


@pytest.mark.parametrize(("wish", "read"), [(("auto",), []), (("auto", "codecarbon"), ["witness", "witness"])])
def test_auto_never_chooses_it(wish: tuple[str, ...], read: list[str]) -> None:
    """It takes its name to have it read, beside whatever else is."""

    def load(name: str) -> Callable[[Surroundings], CodecarbonSource]:
        return lambda around: _Opened(around).source

    selection = select(wish, _AROUND, known=("codecarbon",), load=load)
    assert [channel.kind for channel in selection.channels] == read
    assert [verdict.chosen for verdict in selection.verdicts] == [bool(read)]
    assert ("witness of the whole trial" in selection.verdicts[0].reason) is bool(read)


def test_without_codecarbon_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is an error of the opening, with the command that mends it."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "codecarbon":
            raise ImportError("no module named codecarbon")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnergyError, match="CodeCarbon cannot be imported") as caught:
        codecarbon.open_source(_AROUND)
    assert "llenergymeasure[codecarbon]" in caught.value.hint
