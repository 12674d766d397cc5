"""What else the machine does, read beside the energy."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import EnergySource, Surroundings
from llenergymeasure.energy.host_load import HostLoad, with_host_load
from llenergymeasure.energy.select import Reads, Selection, select
from llenergymeasure.model.reading import Channel, Status
from llenergymeasure.testing.virtual_clock import VirtualClock

_BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def _around(worker: int | None = None) -> Surroundings:
    return Surroundings(MonotonicClock(), "a CPU", 2, lambda: worker)


def _values(load: EnergySource, channels: tuple[Channel, ...]) -> dict[str, float]:
    readings = load.read(channels)
    assert {reading.status for reading in readings} == {Status.OK}
    return {channel.detail: reading.value for channel, reading in zip(channels, readings, strict=True)}


def test_work_shows_in_what_is_busy_and_in_the_workers_part() -> None:
    """A process that burns 0.3 s of CPU adds as much to both; nothing falls."""
    with subprocess.Popen([sys.executable, "-c", _BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        load = HostLoad(_around(worker.pid))
        channels = tuple(channel for channel in load.channels() if channel.kind == "cpu_time")
        before = _values(load, channels)
        assert worker.stdout is not None
        worker.stdout.readline()
        after = _values(load, channels)
        worker.communicate(b"\n")
    assert {"busy", "idle", "worker", "meter"} <= set(before)
    assert after["worker"] >= 0.29
    assert after["busy"] - before["busy"] >= 0.2
    assert all(after[detail] >= before[detail] for detail in before)


def test_before_there_is_a_worker_it_took_nothing() -> None:
    """Truly 0, not unknown."""
    load = HostLoad(_around())
    (worker,) = (channel for channel in load.channels() if channel.detail == "worker")
    assert load.read([worker])[0].value == 0.0


def test_a_worker_that_cannot_be_read_is_not_idle() -> None:
    """Its time is missing, not 0."""
    load = HostLoad(_around(2**22 + 1))
    (worker,) = (channel for channel in load.channels() if channel.detail == "worker")
    assert load.read([worker])[0].status is Status.FAILED


@pytest.mark.parametrize(("plugged", "value"), [(True, 0.0), (False, 1.0)])
def test_a_battery_is_read_where_there_is_one(monkeypatch: pytest.MonkeyPatch, plugged: bool, value: float) -> None:
    """1 while it feeds the machine."""
    battery = SimpleNamespace(power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    load = HostLoad(_around())
    (channel,) = (channel for channel in load.channels() if channel.kind == "on_battery")
    assert load.read([channel])[0].value == value


def test_a_machine_without_a_battery_has_no_such_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has a system that does not say what feeds it."""
    for battery in (None, SimpleNamespace(power_plugged=None)):
        monkeypatch.setattr(psutil, "sensors_battery", lambda battery=battery: battery, raising=False)
        assert "on_battery" not in {channel.kind for channel in HostLoad(_around()).channels()}


def test_it_is_read_behind_whatever_was_selected() -> None:
    """Ids go on from those of the sources; verdicts and what is chosen stay."""
    selection = select(("simulated",), Surroundings(VirtualClock(), "x", 2), known=())
    both = with_host_load(selection, _around())
    assert [channel.id for channel in both.channels] == list(range(len(both.channels)))
    assert both.channels[: len(selection.channels)] == selection.channels
    assert both.verdicts == selection.verdicts
    alone = with_host_load(Selection((), ()), _around())
    assert isinstance(alone.reads[0], Reads) and {channel.source for channel in alone.channels} == {"host"}
