"""Processes that must not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_WATCH_PERIOD_S = 1.0


def _prctl(option: int, argument: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) == 0)


def die_with_parent(parent_pid: int) -> None:
    """Arrange that this process is killed when the process that started it ends.

    On Linux the kernel does it; elsewhere a thread looks at the parent's pid once a second. A parent that is gone
    already ends this process at once.
    """
    if not _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL)):
        threading.Thread(target=_watch_parent, args=(parent_pid,), daemon=True).start()
    if os.getppid() != parent_pid:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that it can find and reap them (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def leave(status: int) -> NoReturn:
    """End this process at once: taking down an interpreter with large libraries takes longer than all else at its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_WATCH_PERIOD_S)
    os._exit(1)
