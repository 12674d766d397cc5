"""Trial drivers as children of this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from llenergymeasure.model.folder import DRIVER_LOG
from llenergymeasure.runners.ended import ended
from llenergymeasure.trial.power_hold import holds_power

_DRIVER = [sys.executable, "-m", "llenergymeasure.trial"]


def open_scheduler() -> LocalScheduler:
    """The scheduler for this machine."""
    return LocalScheduler()


class LocalHandle:
    """A child driver."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self, within_s: float = 0.0) -> int | None:
        return self._process.returncode if ended(self._process, within_s) else None

    def cancel(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """End the driver and all that it started; what it started could not be found any more once it is gone.

        What holds power caps for it ends by itself, when it has taken them back.
        """
        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._process.kill()
        self._process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                if not holds_power(process.cmdline()):
                    process.kill()


class LocalScheduler:
    """One driver at a time, in a session of its own so that Ctrl-C reaches only the host."""

    def __init__(self) -> None:
        self._next: subprocess.Popen[bytes] | None = None

    def submit(self, folder: Path) -> LocalHandle:
        """The driver that was started ahead takes the folder; without one, or when it has gone, a new one does."""
        process, self._next = self._next, None
        if process is None or not _took(process, folder):
            with open(folder / DRIVER_LOG, "ab") as output:
                process = subprocess.Popen(
                    [*_DRIVER, str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        return LocalHandle(process)

    def ahead(self, trials: Path) -> None:
        """Start a driver that waits for its folder's name; it ends by itself when this process does."""
        if self._next is None:
            quiet = subprocess.DEVNULL
            self._next = subprocess.Popen(
                [*_DRIVER, str(trials), "--next"],
                stdin=subprocess.PIPE,
                stdout=quiet,
                stderr=quiet,
                start_new_session=True,
            )

    def close(self) -> None:
        if self._next is not None:
            self._next.communicate()
            self._next = None


def _took(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Whether a waiting driver could be told its folder."""
    assert process.stdin is not None
    try:
        process.stdin.write(os.fsencode(folder.name))
        process.stdin.close()
    except OSError:
        process.wait()
        return False
    return True
