"""A worker of its own keeps the processor busy at the times that it is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.errors import BackendError
from llenergymeasure.machine.busy_load import BusyLoad
from llenergymeasure.model.codec import to_line
from llenergymeasure.model.folder import WORKER_ERROR
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.outcome import Failure
from llenergymeasure.model.reading import Channel
from llenergymeasure.runners.local import open_runner
from llenergymeasure.units import s_to_ns

_MS = 10**6


def _channel(domain: str) -> Channel:
    return Channel(0, "s", domain, "d", "d", "counter", "J", 50.0)  # type: ignore[arg-type]


def test_it_works_when_it_is_asked_to_and_says_when_it_did() -> None:
    """The times that come back hold those that were asked for, one for one and apart."""
    clock = MonotonicClock()
    with BusyLoad(open_runner("local"), "cpu", clock) as load:
        begin_ns = clock.now_ns() + s_to_ns(0.3)
        asked = (Interval(begin_ns, begin_ns + 60 * _MS), Interval(begin_ns + 200 * _MS, begin_ns + 260 * _MS))
        load.work(asked)
        did = load.worked()
        assert load.heats(_channel("package")) and not load.heats(_channel("gpu"))
    assert len(did) == 2 and did[0].end_ns < did[1].begin_ns
    for wanted, found in zip(asked, did, strict=True):
        assert found.begin_ns >= wanted.begin_ns and found.end_ns >= wanted.end_ns


class _Broken:
    """A runner whose worker writes why it cannot work, and ends."""

    at = "local"

    def check(self) -> tuple[str, ...]:
        return ()

    def launch(self, job: Path, log: Path) -> subprocess.Popen[bytes]:
        (job.parent / WORKER_ERROR).write_text(to_line(Failure("backend_error", "PyTorch sees no GPU here")))
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], start_new_session=True)


def test_a_load_that_cannot_be_made_says_why() -> None:
    """The worker's own words are the reason."""
    with pytest.raises(BackendError, match="no GPU"), BusyLoad(_Broken(), "cuda", MonotonicClock()):
        pass
