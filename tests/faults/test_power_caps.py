"""A cap does not outlive its trial, whichever process is killed: real processes on a virtual board of the shared library."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from llenergymeasure.model.event import Child, PowerSet, read_events
from llenergymeasure.model.job import Metering, PowerKnobs, Protocol, WarmupProtocol, WindowProtocol
from llenergymeasure.schedulers.local import LocalScheduler
from llenergymeasure.store.trace_files import read_trace
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.trial_folders import write_job
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.native.driver import VirtualDriver, virtual_driver
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.trial.failure import read_failure
from llenergymeasure.trial.power_hold import holds_power

pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.skipif(sys.platform != "linux", reason="the library stands for a driver under Linux"),
]

_LIMITS = """
import json
from llenergymeasure.machine.gpus import gpus
print(json.dumps([gpu.power_limit_w for gpu in gpus()]))
"""
_KNOBS = PowerKnobs(cap_w=400.0)
_PATIENCE_S = 60.0


def _board() -> VirtualGpu:
    work = Workload.of(time.monotonic_ns(), [H100_SXM.idle(1.0)], H100_SXM.thermal)
    return VirtualGpu(H100_SXM, work, H100_SXM.sensors())


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualDriver]:
    """One idle board whose limits may be set."""
    with virtual_driver([_board()], tmp_path_factory.mktemp("boards"), horizon_s=600.0, may_set=True) as playing:
        yield playing


def _limits_w(boards: VirtualDriver) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITS], env=dict(boards.environment), capture_output=True, check=True, timeout=60
    )
    found: list[float] = json.loads(done.stdout)
    return found


def _drive(folder: Path, boards: VirtualDriver, window_s: float) -> subprocess.Popen[bytes]:
    protocol = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(window_s))
    write_job(folder, trial_job(protocol=protocol, metering=Metering(("nvml",)), power=_KNOBS))
    return subprocess.Popen([sys.executable, "-m", "llenergymeasure.trial", str(folder)], env=dict(boards.environment))


def _wait_for(condition: Callable[[], Any]) -> Any:
    """The only way to learn of another process is to look."""
    end = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def _measuring(folder: Path) -> bool:
    events = folder / "events.jsonl"
    return events.exists() and "measuring" in events.read_text(encoding="utf-8")


@pytest.mark.parametrize("role", ["worker", "meter", "driver"])
def test_whoever_is_killed_the_cap_is_taken_back(tmp_path: Path, boards: VirtualDriver, role: str) -> None:
    """While it is measured the board has the cap; a moment after a SIGKILL it has its own again."""
    with _drive(tmp_path, boards, 600.0) as driver:
        _wait_for(lambda: _measuring(tmp_path))
        holders = [one for one in psutil.Process(driver.pid).children() if holds_power(one.cmdline())]
        assert len(holders) == 1 and _limits_w(boards) == [400.0]
        pids = {one.role: one.pid for one in read_events(tmp_path / "driver.jsonl") if isinstance(one, Child)}
        psutil.Process(driver.pid if role == "driver" else pids[role]).kill()
        if role == "meter":  # which nobody misses before the end
            driver.send_signal(signal.SIGTERM)
        driver.wait(_PATIENCE_S)
        _, alive = psutil.wait_procs(holders, timeout=_PATIENCE_S)
    assert not alive and _limits_w(boards) == [700.0]


def test_a_trial_that_the_host_ends_gives_its_cap_back(
    tmp_path: Path, boards: VirtualDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ending a driver with all that it started leaves the one process that still has something to do."""
    for name, value in boards.environment.items():
        monkeypatch.setenv(name, value)
    protocol = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(600.0))
    write_job(tmp_path, trial_job(protocol=protocol, metering=Metering(("nvml",)), power=_KNOBS))
    handle = LocalScheduler().submit(tmp_path)
    try:
        _wait_for(lambda: _measuring(tmp_path))
        family = psutil.Process().children(recursive=True)
        (holder,) = (one for one in family if holds_power(one.cmdline()))
    finally:
        handle.kill()
    _, alive = psutil.wait_procs([holder], timeout=_PATIENCE_S)
    assert not alive and _limits_w(boards) == [700.0]


def test_a_whole_trial_says_what_it_was_held_to(tmp_path: Path, boards: VirtualDriver) -> None:
    """Asked for, in force by the board's own word, and taken back."""
    with _drive(tmp_path, boards, 0.3) as driver:
        assert driver.wait(_PATIENCE_S) == 0
    head = read_trace(tmp_path).head
    assert head.power_set is not None and head.power_set.requested == _KNOBS
    assert [(board.cap_before_w, board.cap_w) for board in head.power_set.boards] == [(700.0, 400.0)]
    assert [gpu.power_limit_w for gpu in head.machine.gpus] == [400.0]
    assert head.power_restored is not None and not head.power_restored.problems
    assert _limits_w(boards) == [700.0]


def test_without_permission_no_trial_is_run(tmp_path: Path) -> None:
    """The driver of the board refuses: the failure names the remedy, and nothing was set or started."""
    (tmp_path / "boards").mkdir()
    (tmp_path / "trial").mkdir()
    with virtual_driver([_board()], tmp_path / "boards") as boards, _drive(tmp_path / "trial", boards, 0.3) as driver:
        assert driver.wait(_PATIENCE_S) == 1
        assert _limits_w(boards) == [700.0]
    failure = read_failure(tmp_path / "trial")
    assert failure is not None and failure.kind == "unsupported"
    assert "may not set its power limit" in failure.message and "root" in failure.hint
    events = list(read_events(tmp_path / "trial" / "driver.jsonl"))
    assert not any(isinstance(event, PowerSet | Child) for event in events)
