"""Watch one worker until it ends: its signs of life, its limits, and the wish to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from llenergymeasure.clock import Clock
from llenergymeasure.model.event import Event, EventTail, Unreadable, WarmupDone
from llenergymeasure.model.folder import STAMPS, WORKER_EVENTS
from llenergymeasure.model.job import Limits
from llenergymeasure.model.mark import Mark, Phase
from llenergymeasure.model.outcome import FailureKind
from llenergymeasure.model.stamps import count_stamps
from llenergymeasure.runners.ended import ended
from llenergymeasure.trial.limits import Observed, overdue
from llenergymeasure.units import s_to_ns

_POLL_S = 0.1
_TERM_S = 3.0

# The phase a worker is in after each mark that ends one.
_NEXT: dict[Phase, Phase] = {
    "load": "warmup",
    "idle_loaded": "warmup",
    "warmup": "window",
    "window": "close",
    "quiet": "close",
}


class Supervisor:
    """Follows one worker. ``events`` grows while it runs; ``stopped`` says why it was stopped from here, if it was.

    ``warming`` is called with the events so far, again and again while the worker warms up.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        limits: Limits,
        clock: Clock,
        wait: Callable[[subprocess.Popen[bytes], float], bool] = ended,
        warming: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._process = process
        self._wait = wait
        self._warming = warming
        self._stamps = folder / STAMPS
        self._tail = EventTail(folder / WORKER_EVENTS)
        self._limits = limits
        self._clock = clock
        self._phase: Phase = "load"
        self._started_ns = self._last_sign_ns = clock.now_ns()
        self._load_ended_ns: int | None = None
        self._stamp_count = 0
        self._kill_at_ns: int | None = None
        self._term_sent = False
        self.events: list[Event] = []
        self.stopped: tuple[FailureKind, str] | None = None

    def until_end(self, wish: Callable[[], str]) -> int:
        """Return the worker's exit status. ``wish()`` is a reason to finish the batch and stop, or an empty string."""
        while True:
            over = self._wait(self._process, _POLL_S)
            self._look()
            if over:
                return int(self._process.returncode)
            if self._phase == "warmup":
                self._warming(self.events)
            reason = wish()
            if reason:
                self._ask_to_finish(reason)
            late = overdue(self._limits, self._observed(), self._clock.now_ns())
            if late is not None and self.stopped is None:
                self.stopped = late
                self._begin_end(grace_s=0.0)
            self._escalate()

    def _observed(self) -> Observed:
        return Observed(self._phase, self._started_ns, self._load_ended_ns, self._last_sign_ns)

    def _look(self) -> None:
        events, stamps, now_ns = self._tail.new(), count_stamps(self._stamps), self._clock.now_ns()
        if events or stamps != self._stamp_count:
            self._last_sign_ns = now_ns
        self._stamp_count = stamps
        self.events += events
        for event in events:
            self._follow(event, now_ns)

    def _follow(self, event: Event, now_ns: int) -> None:
        """Durations are counted from when an event is seen: its own stamp may be of another clock."""
        match event:
            case Mark(phase, edge):
                self._phase = phase if edge == "begin" else _NEXT.get(phase, "close")
                if event.name == "load.end":
                    self._load_ended_ns = now_ns
            case WarmupDone():  # the window's first mark is held back until its end
                self._phase = "window"
            case Unreadable(_, reason):
                self.stopped = self.stopped or ("internal", f"the worker wrote an event that cannot be read: {reason}")
                self._begin_end(grace_s=0.0)

    def _ask_to_finish(self, reason: str) -> None:
        if self._kill_at_ns is None:
            self._begin_end(grace_s=self._limits.grace_seconds)
            os.kill(self._process.pid, signal.SIGTERM)
            if self._phase in ("load", "idle_loaded", "warmup"):
                self.stopped = ("interrupted", reason)

    def _begin_end(self, grace_s: float) -> None:
        self._kill_at_ns = self._clock.now_ns() + s_to_ns(grace_s)

    def _escalate(self) -> None:
        if self._kill_at_ns is None or self._clock.now_ns() < self._kill_at_ns:
            return
        if self.stopped is None:
            self.stopped = ("interrupted", "the worker did not finish its batch in time")
        signal_group(self._process.pid, signal.SIGKILL if self._term_sent else signal.SIGTERM)
        self._term_sent = True
        self._kill_at_ns = self._clock.now_ns() + s_to_ns(_TERM_S)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the process group that ``pid`` leads; nothing when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def reap_descendants(keep: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """Kill every descendant of this process but ``keep``, and wait for them. Returns their pids."""
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in keep]
    for child in left:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5.0)
    return tuple(child.pid for child in left)
