"""One driver a trial folder: the driver holds a lock, and whoever wants to read an unfinished folder waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from llenergymeasure.errors import StoreError

_LOCK = "driver.lock"

# A driver whose host is gone ends within 30 s.
_WAIT_S = 60.0


def driver_lock(folder: Path) -> FileLock:
    """The lock that a driver holds while it lives; the system frees it when the driver is killed."""
    return FileLock(folder / _LOCK)


def wait_until_alone(folder: Path, say: Callable[[str], None]) -> None:
    """Return when no driver works in ``folder``. Raises ``StoreError`` when one does not end."""
    if not folder.is_dir():
        return
    try:
        with driver_lock(folder).acquire(timeout=0):
            return
    except Timeout:
        say(f"waiting for the driver of {folder.name} to end")
    try:
        with driver_lock(folder).acquire(timeout=_WAIT_S):
            return
    except Timeout as error:
        raise StoreError(f"{folder}: its driver is still at work", hint="stop it, then try again") from error
