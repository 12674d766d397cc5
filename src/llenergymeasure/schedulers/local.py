"""Trial drivers as children of this process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil

_DRIVER_LOG = "driver.log"


def open_scheduler() -> LocalScheduler:
    """The scheduler for this machine."""
    return LocalScheduler()


class LocalHandle:
    """A child driver."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def cancel(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """End the driver and all that it started; what it started could not be found any more once it is gone."""
        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._process.kill()
        self._process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class LocalScheduler:
    """One driver at a time, in a session of its own so that Ctrl-C reaches only the host."""

    def submit(self, folder: Path) -> LocalHandle:
        command = [sys.executable, "-m", "llenergymeasure.trial", str(folder)]
        with open(folder / _DRIVER_LOG, "ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        return LocalHandle(process)
