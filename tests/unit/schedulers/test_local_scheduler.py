from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llenergymeasure import plugins
from llenergymeasure.model.event import Child, read_events
from llenergymeasure.model.job import Protocol, WarmupProtocol, WindowProtocol
from llenergymeasure.model.outcome import Failure
from llenergymeasure.schedulers.contract import Handle, Scheduler
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.study.settle import settle
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.trial_folders import write_job

pytestmark = pytest.mark.usefixtures("own_cache")

_SHORT = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(0.01))
_ENDLESS = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(600))

Submit = Callable[[Path], Handle]


@pytest.fixture
def submit() -> Iterator[Submit]:
    handles: list[Handle] = []

    def submit(folder: Path) -> Handle:
        scheduler: Scheduler = plugins.load("schedulers", "local")()
        handles.append(scheduler.submit(folder))
        return handles[-1]

    yield submit
    for handle in handles:
        handle.kill()


def _status(handle: Handle) -> int:
    """The exit status of a driver; fails after a deadline."""
    end = time.monotonic() + 60
    while (status := handle.poll()) is None:
        assert time.monotonic() < end, "the driver did not end"
        time.sleep(0.02)
    return status


def _wait_for_window(folder: Path) -> None:
    end = time.monotonic() + 60
    events = folder / "events.jsonl"
    while not (events.exists() and "measuring" in events.read_text()):
        assert time.monotonic() < end, "the window did not begin"
        time.sleep(0.02)


def test_a_driver_leaves_a_trace(tmp_path: Path, submit: Submit) -> None:
    """A trial that goes well ends with status 0 and can be analysed."""
    write_job(tmp_path, trial_job(protocol=_SHORT))
    assert _status(submit(tmp_path)) == 0
    assert (tmp_path / "trace.json").exists()
    result = settle(tmp_path)
    assert isinstance(result, ExperimentResult), result
    assert result.tokens.output_tokens % 32 == 0 and result.tokens.output_tokens > 0


def test_a_driver_without_a_job_leaves_an_error(tmp_path: Path, submit: Submit) -> None:
    """A trial that cannot begin ends with status 1 and says why."""
    assert _status(submit(tmp_path)) == 1
    assert "not a job" in json.loads((tmp_path / "error.json").read_text())["message"]


def test_a_cancelled_trial_finishes_its_batch(tmp_path: Path, submit: Submit) -> None:
    """Asked to stop in the window, driver and worker close cleanly and what was measured stays."""
    write_job(tmp_path, trial_job(protocol=_ENDLESS))
    handle = submit(tmp_path)
    _wait_for_window(tmp_path)
    assert handle.poll() is None
    handle.cancel()
    assert _status(handle) == 0
    assert json.loads((tmp_path / "trace.json").read_text())["window"]["stopped_by"] == "signal"


def test_a_killed_driver_takes_its_worker_with_it(tmp_path: Path, submit: Submit) -> None:
    """Nothing goes on that nobody watches, and the trial is interrupted."""
    write_job(tmp_path, trial_job(protocol=_ENDLESS))
    handle = submit(tmp_path)
    _wait_for_window(tmp_path)
    (worker,) = [event.pid for event in read_events(tmp_path / "driver.jsonl") if isinstance(event, Child)]
    handle.kill()
    assert handle.poll() == -signal.SIGKILL
    end = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and b"Z" not in Path(f"/proc/{worker}/stat").read_bytes().split(b")")[1][:3]:
        assert time.monotonic() < end, "the worker outlived its driver"
        time.sleep(0.02)
    outcome = settle(tmp_path)
    assert isinstance(outcome, Failure) and outcome.kind == "interrupted"


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    found: Scheduler = plugins.load("schedulers", "local")()
    yield found
    found.close()


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_driver_started_ahead_takes_the_next_folder(tmp_path: Path, scheduler: Scheduler) -> None:
    """It waits for one trial, does it as any driver does, and what it prints is in the trial's folder."""
    write_job(tmp_path, trial_job(protocol=_SHORT))
    before = _children()
    scheduler.ahead(tmp_path.parent)
    scheduler.ahead(tmp_path.parent)
    (waiting,) = _children() - before
    handle = scheduler.submit(tmp_path)
    assert _children() - before == {waiting}
    assert _status(handle) == 0
    assert (tmp_path / "trace.json").exists() and (tmp_path / "driver.log").read_text() == ""


def test_a_driver_started_ahead_that_is_gone_is_replaced(tmp_path: Path, scheduler: Scheduler) -> None:
    """Whatever ended it, the trial has a driver."""
    write_job(tmp_path, trial_job(protocol=_SHORT))
    before = _children()
    scheduler.ahead(tmp_path.parent)
    (waiting,) = _children() - before
    psutil.Process(waiting).kill()
    psutil.wait_procs([psutil.Process(waiting)], timeout=20)
    assert _status(scheduler.submit(tmp_path)) == 0


def test_a_driver_without_a_trial_ends(tmp_path: Path, scheduler: Scheduler) -> None:
    """No trial follows: nothing is left behind."""
    before = _children()
    scheduler.ahead(tmp_path.parent)
    scheduler.close()
    assert _children() == before
