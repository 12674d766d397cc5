from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llenergymeasure.machine.gpus import gpus
from llenergymeasure.model.event import Child, ChildExit, Finished, read_events
from llenergymeasure.model.job import Metering, PowerKnobs, ProbeJob, Protocol, WarmupProtocol, WindowProtocol, job_text
from llenergymeasure.model.mark import Mark, interval_of
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.trace_files import read_trace
from llenergymeasure.study.settle import settle
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.trial_folders import write_job
from llenergymeasure.trial.failure import read_failure

pytestmark = pytest.mark.usefixtures("own_cache")

_PROTOCOL = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(0.5), 0.2, 0.2, 0.2)


def _drive(folder: Path, *sources: str) -> int:
    write_job(folder, trial_job(protocol=_PROTOCOL, metering=Metering(sources)))
    return _run(folder)


def _run(folder: Path) -> int:
    ended = subprocess.run(
        [sys.executable, "-m", "llenergymeasure.trial", str(folder)], check=False, capture_output=True, timeout=120
    )
    return ended.returncode


def test_a_metered_trial(tmp_path: Path) -> None:
    """Meter and worker run, the idles are there, and the energy is the simulation's: 60 W and its swing of 10 W."""
    assert _drive(tmp_path, "simulated") == 0
    trace = read_trace(tmp_path)
    for phase in ("idle", "idle_loaded", "quiet"):
        rest = interval_of(trace.head.marks, phase)
        assert rest is not None and rest.duration_s >= 0.2
    assert trace.head.meter is not None and len(trace.readings) > 20
    events = tuple(read_events(tmp_path / "driver.jsonl"))
    assert [event.role for event in events if isinstance(event, Child)] == ["meter", "worker"]
    assert {event.role: event.returncode for event in events if isinstance(event, ChildExit)} == {
        "worker": 0,
        "meter": 0,
    }
    assert events[-1] == Finished("trial")
    assert not (tmp_path / "stamps.bin").exists() and not (tmp_path / "readings.bin").exists()
    result = settle(tmp_path)
    assert isinstance(result, ExperimentResult)
    assert result.mean_power_w.value is not None and 45 < result.mean_power_w.value < 75
    assert result.validity.valid and "simulated" in {remark.code for remark in result.validity.remarks}


def test_idle_power_of_a_moment_ago_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second trial does not rest; it says whose idle power it takes, and how old that is."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    protocol = replace(_PROTOCOL, idle_seconds=1.0, idle_max_age_seconds=3600.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_job(tmp_path / name, trial_job(protocol=protocol, metering=Metering(("simulated",))))
        assert _run(tmp_path / name) == 0
    first, second = read_trace(tmp_path / "one").head, read_trace(tmp_path / "two").head
    assert interval_of(first.marks, "idle") is not None and first.idle_reused is None
    assert interval_of(second.marks, "idle") is None
    assert second.idle_reused is not None and 0 < second.idle_reused.age_s < 120
    results = [settle(tmp_path / name) for name in ("one", "two")]
    assert all(isinstance(result, ExperimentResult) for result in results)
    idles = [result.energy.baseline_power_w.idle.value for result in results if isinstance(result, ExperimentResult)]
    assert idles[0] == idles[1] is not None
    assert any("idle power is that of" in note for note in results[1].reproducibility_notes)  # type: ignore[union-attr]


def test_without_a_source_there_is_no_meter(tmp_path: Path) -> None:
    """Where nothing can be read nothing is started for it."""
    assert _drive(tmp_path) == 0
    assert read_trace(tmp_path).head.meter is None
    assert [event.role for event in read_events(tmp_path / "driver.jsonl") if isinstance(event, Child)] == ["worker"]


def test_a_trial_loads_nothing_before_its_meter_reads(tmp_path: Path) -> None:
    """Without a rest meter and worker start side by side, and the meter's first reading is before the load all the same."""
    protocol = replace(_PROTOCOL, idle_seconds=0.0)
    write_job(tmp_path, trial_job(protocol=protocol, metering=Metering(("simulated",))))
    assert _run(tmp_path) == 0
    trace = read_trace(tmp_path)
    load = interval_of(trace.head.marks, "load")
    assert load is not None and min(trace.readings.t_ns) < load.begin_ns


def test_a_meter_that_fails_takes_the_worker_with_it(tmp_path: Path) -> None:
    """The worker that was started beside it loads nothing, and the error names the log."""
    protocol = replace(_PROTOCOL, idle_seconds=0.0)
    write_job(tmp_path, trial_job(protocol=protocol, metering=Metering(("no-such-source",))))
    assert _run(tmp_path) == 1
    failure = read_failure(tmp_path)
    assert failure is not None and "the meter did not start" in failure.message
    assert not any(isinstance(event, Mark) for event in read_events(tmp_path / "events.jsonl"))
    (worker,) = [
        event.pid
        for event in read_events(tmp_path / "driver.jsonl")
        if isinstance(event, Child) and event.role == "worker"
    ]
    assert not Path(f"/proc/{worker}").exists()


def test_a_meter_that_does_not_start_fails_the_trial(tmp_path: Path) -> None:
    """An energy source that nobody knows: no worker is started, and the error names the log."""
    assert _drive(tmp_path, "no-such-source") == 1
    failure = read_failure(tmp_path)
    assert failure is not None and "the meter did not start" in failure.message
    assert "meter.log" in failure.hint
    assert not (tmp_path / "events.jsonl").exists()


def test_another_kind_of_job_is_no_trial(tmp_path: Path) -> None:
    """A driver that is given a probe says so."""
    (tmp_path / "job.json").write_text(job_text(ProbeJob("simulated")))
    assert _run(tmp_path) == 1
    assert "a probe job is not a trial" in json.loads((tmp_path / "error.json").read_text())["message"]


def test_a_cap_that_cannot_be_set_is_a_failure_before_anything_is_started(tmp_path: Path) -> None:
    """Without a GPU to set it on neither the meter nor the worker begins."""
    job = trial_job(protocol=_PROTOCOL, metering=Metering(("simulated",)), power=PowerKnobs(cap_w=300.0))
    write_job(tmp_path, job)
    if gpus():
        pytest.skip("there is a GPU here, whose cap is none of a test's business")
    assert _run(tmp_path) == 1
    failure = read_failure(tmp_path)
    assert failure is not None and failure.kind == "unsupported"
    assert "need an NVIDIA GPU" in failure.message and failure.hint
    assert not any(isinstance(event, Child) for event in read_events(tmp_path / "driver.jsonl"))
