"""Wait for a child process without waking up for it: a poll disturbs what is measured, and notices late."""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import suppress


def ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Whether a child ends within that time; ``returncode`` is set then. Linux wakes the caller by itself."""
    if process.poll() is not None:
        return True
    descriptor = _descriptor(process.pid)
    if descriptor is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
        return process.returncode is not None
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll(1000 * within_s)
    finally:
        os.close(descriptor)
    return process.poll() is not None


def _descriptor(pid: int) -> int | None:
    """A file descriptor that can be read when the process has ended; ``None`` where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
