from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from llenergymeasure.model.event import Event, Progress, WarmupDone, event_line
from llenergymeasure.model.job import Limits
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.stamps import StampWriter
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.trial.supervise import Supervisor, signal_group

_LIMITS = Limits(
    load_seconds=100, run_seconds=50, silence_seconds={"load": 90, "warmup": 40, "window": 20}, grace_seconds=10
)
_LOADED = (Mark("load", "begin", 1), Mark("load", "end", 2))
_WARM = (*_LOADED, Mark("warmup", "begin", 3), Mark("warmup", "end", 4), WarmupDone(1, 1.0, None, None, "pool"))
_NOT_WARMED = (*_LOADED, WarmupDone(0, 0.0, None, None, "none"), Progress("measuring"))

Step = Callable[[], object]


class Worker:
    """A real process in a session of its own; each look of the supervisor first makes one step of the script happen."""

    def __init__(self, folder: Path, clock: VirtualClock, *, stubborn: bool = False, code: int | None = None) -> None:
        stubbornly = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        last = f"raise SystemExit({code})" if code is not None else "import time; time.sleep(60)"
        program = f"{stubbornly if stubborn else ''}\nprint('ready', flush=True)\n{last}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.script: list[Step] = []
        self._folder, self._clock = folder, clock

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    def ends(self, within_s: float) -> bool:
        if not self.script:
            self.process.wait(10)
            return True
        self.script.pop(0)()
        return False

    def says(self, *events: Event) -> Step:
        return lambda: self.prints("".join(map(event_line, events)))

    def prints(self, text: str) -> None:
        with open(self._folder / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(text)

    def passes(self, seconds: float) -> Step:
        return lambda: self._clock.sleep(seconds)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Worker, Supervisor]]]:
    started: list[Worker] = []

    def start(
        *, stubborn: bool = False, code: int | None = None, warming: Callable[[Sequence[Event]], None] = len
    ) -> tuple[Worker, Supervisor]:
        clock = VirtualClock()
        worker = Worker(tmp_path, clock, stubborn=stubborn, code=code)
        started.append(worker)
        return worker, Supervisor(worker, tmp_path, _LIMITS, clock, Worker.ends, warming)  # type: ignore[arg-type]

    yield start
    for worker in started:
        signal_group(worker.pid, signal.SIGKILL)
        worker.process.wait(10)
        assert worker.process.stdout is not None
        worker.process.stdout.close()


Start = Callable[..., tuple[Worker, Supervisor]]


def _never() -> str:
    return ""


def _after(worker: Worker, steps: int) -> Callable[[], str]:
    """A wish to stop once only ``steps`` of the script are left."""
    return lambda: "stopped on request" if len(worker.script) <= steps else ""


def test_a_worker_that_ends_by_itself(start: Start) -> None:
    """Its exit status is returned, its events are kept, and nothing was stopped."""
    worker, supervisor = start(code=3)
    worker.script = [worker.says(*_LOADED), worker.says(Progress("two"))]
    assert supervisor.until_end(_never) == 3
    assert supervisor.events == [*_LOADED, Progress("two")]
    assert supervisor.stopped is None


def test_a_warm_up_is_looked_after_while_it_lasts(start: Start) -> None:
    """With the events so far; neither while the model loads nor in the window."""
    seen: list[int] = []
    worker, supervisor = start(code=0, warming=lambda events: seen.append(len(events)))
    worker.script = [
        worker.says(Mark("load", "begin", 1)),
        worker.passes(1),
        worker.says(Mark("load", "end", 2), Mark("warmup", "begin", 3)),
        worker.passes(1),
        worker.says(Mark("warmup", "end", 4), WarmupDone(1, 1.0, None, None, "pool")),
        worker.passes(1),
    ]
    assert supervisor.until_end(_never) == 0
    assert seen == [3, 3]


def test_events_written_at_the_very_end_are_seen(start: Start) -> None:
    """What a worker wrote between the last look and its end is not lost."""
    worker, supervisor = start(code=0)
    worker.prints(event_line(Progress("last words")))
    assert supervisor.until_end(_never) == 0
    assert supervisor.events == [Progress("last words")]


def test_loading_for_too_long_is_ended_by_a_signal(start: Start) -> None:
    """A worker past its limit gets SIGTERM, and the reason is kept."""
    worker, supervisor = start()
    worker.script = [worker.passes(89), worker.says(Progress("still loading")), worker.passes(12)]
    assert supervisor.until_end(_never) == -signal.SIGTERM
    assert supervisor.stopped == ("timeout", "loading took longer than 100 s")


def test_a_worker_that_ignores_the_signal_is_killed(start: Start) -> None:
    """Three seconds after SIGTERM comes SIGKILL."""
    worker, supervisor = start(stubborn=True)
    worker.script = [worker.passes(91), worker.passes(2.9), worker.passes(0.2)]
    assert supervisor.until_end(_never) == -signal.SIGKILL
    assert supervisor.stopped == ("silent", "no sign of life for 90 s in load")


def test_stamps_are_signs_of_life(start: Start, tmp_path: Path) -> None:
    """A window writes no events; its stamps show that it goes on, and their absence that it does not."""
    worker, supervisor = start()
    with StampWriter(tmp_path / "stamps.bin") as stamps:
        worker.script = [
            worker.says(*_WARM),
            *(step for t_ns in range(2) for step in (worker.passes(12), lambda t_ns=t_ns: stamps.token(0, t_ns))),
            worker.passes(19.9),
            worker.passes(0.2),
        ]
        assert supervisor.until_end(_never) == -signal.SIGTERM
    assert supervisor.stopped == ("silent", "no sign of life for 20 s in window")


@pytest.mark.parametrize("events", [_WARM, _NOT_WARMED], ids=["after a warm-up", "without one"])
def test_a_wish_in_the_window_lets_the_batch_finish(start: Start, events: Sequence[Event]) -> None:
    """The window's own mark is held back; that it has begun is known all the same, and the cut trial counts."""
    worker, supervisor = start()
    worker.script = [worker.says(*events), worker.passes(1)]
    assert supervisor.until_end(_after(worker, 0)) == -signal.SIGTERM
    assert supervisor.stopped is None


@pytest.mark.parametrize(
    "events", [(), _LOADED, (*_LOADED, Mark("warmup", "begin", 3))], ids=["load", "loaded", "warm-up"]
)
def test_a_wish_before_the_window_interrupts_the_trial(start: Start, events: Sequence[Event]) -> None:
    """What was stopped before it measured is interrupted."""
    worker, supervisor = start()
    worker.script = [worker.says(*events), worker.passes(1)]
    assert supervisor.until_end(_after(worker, 0)) == -signal.SIGTERM
    assert supervisor.stopped == ("interrupted", "stopped on request")


def test_a_batch_that_does_not_finish_in_time_is_ended(start: Start) -> None:
    """After the grace the whole group gets SIGTERM, and then SIGKILL."""
    worker, supervisor = start(stubborn=True)
    worker.script = [
        worker.says(*_WARM),
        worker.passes(9.9),
        worker.passes(0.2),
        worker.passes(2.9),
        worker.passes(0.2),
    ]
    assert supervisor.until_end(_after(worker, 4)) == -signal.SIGKILL
    assert supervisor.stopped == ("interrupted", "the worker did not finish its batch in time")


def test_a_limit_that_comes_after_a_wish_is_the_reason(start: Start) -> None:
    """A worker asked to finish that then passes its limit is ended at once, for the limit."""
    worker, supervisor = start(stubborn=True)
    worker.script = [worker.says(*_WARM), worker.passes(19), worker.passes(1.1), worker.passes(3.1)]
    assert supervisor.until_end(lambda: "enough" if len(worker.script) <= 2 else "") == -signal.SIGKILL
    assert supervisor.stopped == ("silent", "no sign of life for 20 s in window")


def test_a_line_that_is_no_event_ends_the_worker(start: Start) -> None:
    """Facts that cannot be read make no trial: it fails clearly, and the events around it are kept."""
    worker, supervisor = start()
    worker.script = [lambda: worker.prints(event_line(Progress("one")) + "garbage\n" + event_line(Progress("two")))]
    assert supervisor.until_end(_never) == -signal.SIGTERM
    assert supervisor.stopped is not None
    assert supervisor.stopped[0] == "internal" and "cannot be read: not a JSON line: 'garbage'" in supervisor.stopped[1]
    assert [event.message for event in supervisor.events if isinstance(event, Progress)] == ["one", "two"]


@pytest.mark.parametrize("t_ns", [-(10**18), 10**18])
def test_a_workers_clock_does_not_decide_its_limits(start: Start, t_ns: int) -> None:
    """Limits are counted on the driver's clock: a worker on another one is given up neither at once nor never."""
    worker, supervisor = start()
    worker.script = [
        worker.says(Mark("load", "begin", t_ns), Mark("load", "end", t_ns)),
        *(step for _ in range(2) for step in (worker.passes(24.9), worker.says(Progress("going on")))),
        worker.passes(0.3),
    ]
    assert supervisor.until_end(_never) == -signal.SIGTERM
    assert supervisor.stopped == ("timeout", "the trial took longer than 50 s after loading")


def test_a_group_that_is_gone_takes_no_signal() -> None:
    """Signalling what has ended is no error."""
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    child.wait(10)
    signal_group(child.pid, signal.SIGTERM)


_FAMILY = """
import subprocess, sys
from llenergymeasure.trial.supervise import reap_descendants
from llenergymeasure.worker.lifeline import adopt_orphans
adopt_orphans()
sleeper = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
kept = subprocess.Popen(sleeper, stdout=subprocess.PIPE)
parent = subprocess.Popen(
    [sys.executable, "-c",
     "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, start_new_session=True);"
     "child.stdout.readline(); print(child.pid, flush=True)", *sleeper],
    stdout=subprocess.PIPE, text=True)
orphan = int(parent.stdout.readline())
parent.wait()
kept.stdout.readline()
reaped = reap_descendants(keep=frozenset((kept.pid,)))
assert reaped == (orphan,), (reaped, orphan)
assert kept.poll() is None
assert reap_descendants() == (kept.pid,)
assert reap_descendants() == ()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans can be adopted on Linux only")
def test_descendants_are_reaped_even_orphans() -> None:
    """A grandchild in its own session whose parent ended is found and killed; who is to be kept is kept."""
    ended = subprocess.run([sys.executable, "-c", _FAMILY], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert os.getpid() != 1
