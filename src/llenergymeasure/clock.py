"""Time. Every process stamps with the monotonic clock; the wall clock is read here and nowhere else."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from datetime import datetime, timezone
from typing import Protocol

from llenergymeasure.units import s_to_ns


class Clock(Protocol):
    """What code that waits or stamps takes as an argument."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` have passed on this clock."""


class MonotonicClock:
    """The operating system's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


# A sleep that costs less when nothing can end it: sensors are read hundreds of times a second.
_SHORT_S = 0.005


class WokenClock(MonotonicClock):
    """The same clock; a signal ends a sleep unless it is short. For a process's main thread to make, once."""

    def __init__(self) -> None:
        self._woken, written = os.pipe()
        for end in (self._woken, written):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(written)

    def sleep(self, seconds: float) -> None:
        if seconds < _SHORT_S:
            time.sleep(seconds)
        else:
            select.select([self._woken], [], [], seconds)


class Ticker:
    """Calls at most once each ``period_s`` on a clock: for progress that must not flood."""

    def __init__(self, clock: Clock, period_s: float) -> None:
        self._clock = clock
        self._period_ns = s_to_ns(period_s)
        self._next_ns = clock.now_ns()

    def due(self) -> bool:
        """True when a period has passed since it was last true (and the first time)."""
        now_ns = self._clock.now_ns()
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + self._period_ns
        return True


def clock_triple_ns() -> tuple[int, int, int]:
    """(monotonic, realtime, boottime) in ns, read together. Where the system has no boottime clock, monotonic stands in."""
    monotonic_ns = time.monotonic_ns()
    realtime_ns = time.time_ns()
    if hasattr(time, "CLOCK_BOOTTIME"):
        return monotonic_ns, realtime_ns, time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return monotonic_ns, realtime_ns, monotonic_ns


def utc_now() -> datetime:
    """The wall clock as an aware UTC time: for names and provenance, never for durations."""
    return datetime.now(timezone.utc)


def boot_id() -> str:
    """Identifies this boot of this kernel; with equal time namespaces, monotonic stamps of two processes compare directly."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return f"{sys.platform}:{os.uname().nodename}"


def namespace_inode(kind: str) -> int | None:
    """The inode of this process's ``pid`` or ``time`` namespace; ``None`` where the system has none."""
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except OSError:
        return None
