from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llenergymeasure.model.job import Limits, Protocol, TrialJob, WarmupProtocol, WindowProtocol
from llenergymeasure.model.outcome import Failure
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.trial_folders import write_job
from llenergymeasure.trial.failure import read_failure

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("own_cache")]

_PROTOCOL = Protocol(WarmupProtocol("fixed", 1), WindowProtocol(0.05))
# The first request after the one batch of the warm-up.
_IN_WINDOW = 4


def _drive(folder: Path, job: TrialJob) -> Failure:
    """Drive a trial that fails, with the real driver and the real worker."""
    write_job(folder, job)
    ended = subprocess.run(
        [sys.executable, "-m", "llenergymeasure.trial", str(folder)], check=False, capture_output=True, timeout=120
    )
    assert ended.returncode == 1, ended.stderr
    assert not (folder / "trace.json").exists()
    failure = read_failure(folder)
    assert failure is not None
    return failure


def _job(mode: str, at: int | None, limits: Limits | None = None) -> TrialJob:
    options = {"fail": mode, **({} if at is None else {"fail_at_request": at})}
    return trial_job(options=options, protocol=_PROTOCOL, limits=limits or Limits())


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("raise", "backend_error", "was asked to fail"),
        ("out_of_memory", "out_of_memory", "run out of memory"),
        ("exit", "exit_status", "status 3 without a report"),
        ("segfault", "killed", "killed by SIGSEGV"),
        ("garbage", "internal", "wrote an event that cannot be read"),
    ],
)
@pytest.mark.parametrize(
    ("at", "last_mark"), [(None, "load.begin"), (0, "warmup.begin"), (_IN_WINDOW, "warmup.end")], ids=str
)
def test_an_engine_that_fails(tmp_path: Path, mode: str, kind: str, words: str, at: int | None, last_mark: str) -> None:
    """However and whenever an engine fails, its trial says how, where, and what was printed last."""
    failure = _drive(tmp_path, _job(mode, at))
    assert failure.kind == kind and words in failure.message
    if mode in ("raise", "out_of_memory"):  # only who can still write says that the window had begun
        assert failure.last_mark == ("window.begin" if at == _IN_WINDOW else last_mark)
        assert "Traceback" in failure.traceback and failure.exit_status == 1
    elif mode == "garbage":
        assert "garbage" in failure.log_tail
    else:
        assert failure.last_mark == last_mark


@pytest.mark.parametrize("at", [None, _IN_WINDOW], ids=["loading", "window"])
def test_an_engine_that_hangs_is_given_up(tmp_path: Path, at: int | None) -> None:
    """A worker that gives no sign of life and ignores SIGTERM is killed after its limit."""
    silence = {"load": 3.0 if at is None else 60.0, "warmup": 60.0, "window": 1.0, "close": 60.0}
    failure = _drive(tmp_path, _job("hang", at, Limits(silence_seconds=silence)))
    assert (failure.kind, failure.exit_status) == ("silent", -9)
    where = "3 s in load" if at is None else "1 s in window"
    assert failure.message == f"no sign of life for {where}"


def test_loading_longer_than_its_limit_is_given_up(tmp_path: Path) -> None:
    """A load that does not end is a timeout."""
    job = trial_job(options={"load_seconds": 60.0}, protocol=_PROTOCOL, limits=Limits(load_seconds=1.0))
    failure = _drive(tmp_path, job)
    assert (failure.kind, failure.message) == ("timeout", "loading took longer than 1 s")


def test_a_wrong_option_is_the_users(tmp_path: Path) -> None:
    """What the engine's options do not take is named."""
    failure = _drive(tmp_path, trial_job(options={"concurrency": "many"}, protocol=_PROTOCOL))
    assert failure.kind == "bad_option" and "simulated.concurrency" in failure.message
