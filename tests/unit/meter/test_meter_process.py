"""The meter as the trial driver starts it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import OpenSource, Surroundings
from llenergymeasure.energy.select import select
from llenergymeasure.meter.__main__ import meter
from llenergymeasure.meter.binary import ReadingsWriter, read_readings
from llenergymeasure.model.event import (
    Child,
    ClockTriple,
    Event,
    EventLog,
    EventTail,
    Finished,
    Hello,
    MeterCost,
    Metered,
    read_events,
)
from llenergymeasure.model.folder import DRIVER_EVENTS, JOB, METER_EVENTS, METER_READINGS
from llenergymeasure.model.job import Metering, ProbeJob, job_text
from llenergymeasure.model.reading import Channel, Reading, Status
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.simulated_source import SimulatedSource
from llenergymeasure.testing.virtual_clock import VirtualClock

_PATIENCE_S = 30.0


def _job(*sources: str) -> str:
    return job_text(trial_job(metering=Metering(sources)))


@contextmanager
def _meter(folder: Path, job: str) -> Iterator[subprocess.Popen[str]]:
    (folder / JOB).write_text(job, encoding="utf-8")
    command = [sys.executable, "-m", "llenergymeasure.meter", str(folder), str(os.getpid())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait_for(process: subprocess.Popen[str], folder: Path, kind: type[Event]) -> None:
    """Return when the meter has written an event of this kind; its own end is waited on in between."""
    tail, clock = EventTail(folder / METER_EVENTS), MonotonicClock()
    deadline_ns = clock.now_ns() + int(_PATIENCE_S * 1e9)
    while not any(isinstance(event, kind) for event in tail.new()):
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            assert clock.now_ns() < deadline_ns, f"no {kind.__name__} within {_PATIENCE_S} s"
            continue
        pytest.fail(f"the meter ended with status {process.returncode}")


def test_a_trial_is_metered_from_the_first_idle_to_the_last(tmp_path: Path) -> None:
    """Hello, verdicts and channels, clock triples, readings from before ``Metered`` to after SIGTERM, cost, end."""
    with _meter(tmp_path, _job("estimate")) as process:
        _wait_for(process, tmp_path, ClockTriple)
        begun_ns = MonotonicClock().now_ns()
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_S) == 0
    events = list(read_events(tmp_path / METER_EVENTS))
    assert [type(event) for event in events if not isinstance(event, ClockTriple)] == [
        Hello,
        Metered,
        MeterCost,
        Finished,
    ]
    (metered,) = (event for event in events if isinstance(event, Metered))
    assert {channel.source for channel in metered.channels} == {"estimate", "host"}
    assert {verdict.source for verdict in metered.verdicts} >= {"nvml", "estimate"}
    readings = list(read_readings(tmp_path / METER_READINGS))
    (cost,) = (event for event in events if isinstance(event, MeterCost))
    assert cost.readings == len(readings) >= 2
    assert readings[-1].t_ns >= begun_ns
    (model,) = (channel.id for channel in metered.channels if channel.kind == "model")
    assert {reading.value for reading in readings if reading.channel == model} == {0.0}


def test_the_driver_hears_of_the_meter_when_every_channel_was_read(tmp_path: Path) -> None:
    """What begins after ``Metered`` lies after a reading that is already in the file."""
    path = tmp_path / METER_READINGS

    class Watched(io.StringIO):
        readings_at: ClassVar[dict[str, int]] = {}

        def write(self, line: str) -> int:
            self.readings_at[json.loads(line)["event"]] = len(read_readings(path))
            return super().write(line)

    clock = VirtualClock()
    selection = select(("simulated",), Surroundings(clock, "x", 2), known=())
    with closing(ReadingsWriter(path)) as sink:
        meter(selection, None, sink, EventLog(Watched()), clock, lambda: True)
    channels = len(selection.channels)
    assert channels == 4
    assert Watched.readings_at == {"Metered": channels, "MeterCost": 2 * channels}


def test_the_trial_hears_of_a_source_that_breaks_while_it_is_read(tmp_path: Path) -> None:
    """Verdicts are written again, with what the source did; its readings failed, the others' did not."""

    class Breaking(SimulatedSource):
        def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
            if (tmp_path / METER_READINGS).stat().st_size > 40:
                raise ConnectionResetError("the plug hung up")
            return super().read(channels)

    clock = VirtualClock()

    def load(name: str) -> OpenSource:
        return lambda around: (Breaking if name == "wall" else SimulatedSource)(clock)

    (tmp_path / METER_READINGS).touch()
    selection = select(("wall", "good"), Surroundings(clock, "x", 2), known=(), load=load)
    with closing(ReadingsWriter(tmp_path / METER_READINGS)) as sink:
        log = EventLog.append_to(tmp_path / METER_EVENTS)
        meter(selection, None, sink, log, clock, lambda: True)
        log.close()
    first, last = (event for event in read_events(tmp_path / METER_EVENTS) if isinstance(event, Metered))
    assert {verdict.source: verdict.usable for verdict in first.verdicts} == {"wall": True, "good": True}
    assert {verdict.source: verdict.usable for verdict in last.verdicts} == {"wall": False, "good": True}
    assert "a read raised ConnectionResetError: the plug hung up" in last.verdicts[0].reason
    assert last.channels == first.channels
    readings = list(read_readings(tmp_path / METER_READINGS))
    assert [reading.status for reading in readings[:8]] == [Status.OK] * 8
    assert {reading.channel: reading.status is Status.OK for reading in readings[8:]} == {
        number: number >= 4 for number in range(8)
    }


def test_the_worker_is_found_in_the_drivers_events(tmp_path: Path) -> None:
    """CPU time of the process that the driver calls the worker is in the last reading."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint(1, flush=True)\ninput()"
    with (
        _meter(tmp_path, _job("estimate")) as process,
        subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker,
    ):
        _wait_for(process, tmp_path, Metered)
        with closing(EventLog.append_to(tmp_path / DRIVER_EVENTS)) as log:
            log.write(Child("worker", worker.pid, 0))
        assert worker.stdout is not None
        worker.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_S) == 0
        worker.communicate(b"\n")
    assert list(read_readings(tmp_path / METER_READINGS))[-1].value >= 0.1


def test_a_named_source_that_cannot_be_used_ends_the_meter_with_the_reason(tmp_path: Path) -> None:
    """Exit status 1, and the log says which source and why."""
    with _meter(tmp_path, _job("no-such-source")) as process:
        output, _ = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 1
    assert "'no-such-source' cannot be used here" in output


def test_a_job_that_is_no_trial_is_refused(tmp_path: Path) -> None:
    """There is nothing to meter in a probe."""
    with _meter(tmp_path, job_text(ProbeJob("simulated"))) as process:
        output, _ = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 1
    assert "not metered" in output


def test_a_killed_meter_leaves_readings_that_can_be_read(tmp_path: Path) -> None:
    """What was flushed is there; the file needs no closing."""
    with _meter(tmp_path, _job("simulated")) as process:
        _wait_for(process, tmp_path, Metered)
        process.kill()
        process.wait()
    assert len(read_readings(tmp_path / METER_READINGS)) >= 4
